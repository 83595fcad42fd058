"""What happened lately, by the lake: the site's answers, who served them, lines, quarantine.

Values, and the port that reads them; `movierec.aws.delta_activity` and
`movierec.testing.memory_activity` implement it.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol

from movierec.lake.served import Served

# At most this many slots a window: what a chart shows on a phone.
_MOST_SLOTS: Final = 72
_SLOTS_S: Final = (60, 300, 900, 3_600, 21_600, 86_400)


@dataclass(frozen=True, slots=True)
class Window:
    """A time span, both ends aware; `until` is outside."""

    since: datetime
    until: datetime

    @property
    def slot_s(self) -> int:
        """The length of a slot, in which lines are counted together."""
        wanted_s = (self.until - self.since).total_seconds() / _MOST_SLOTS
        return next((s for s in _SLOTS_S if s >= wanted_s), _SLOTS_S[-1])

    def slot_of(self, at: datetime) -> datetime:
        """Return the start of a time's slot; slots start at multiples of their length in UTC."""
        epoch_s = int(at.timestamp())
        return datetime.fromtimestamp(epoch_s - epoch_s % self.slot_s, UTC)

    def slots(self) -> tuple[datetime, ...]:
        """Return the starts of the window's slots, in order."""
        step, first = timedelta(seconds=self.slot_s), self.slot_of(self.since)
        count = -(-int((self.until - first).total_seconds()) // self.slot_s)
        return tuple(first + i * step for i in range(count))


@dataclass(frozen=True, slots=True)
class Answers:
    """What the site logged of its requests for recommendations.

    Milliseconds are quantiles of the answers with status 200, None without one.
    """

    requests: int
    ok: int
    p50_ms: float | None = None
    p95_ms: float | None = None
    p99_ms: float | None = None
    at: datetime | None = None
    """The start of the slot; None for a whole window."""

    @property
    def availability(self) -> float | None:
        """The share with status 200, None without requests."""
        return self.ok / self.requests if self.requests else None


@dataclass(frozen=True, slots=True)
class ServedGroup:
    """Recommendations served by one version, with one model, from one source."""

    function_version: str
    model_version: str
    source: str
    requests: int


@dataclass(frozen=True, slots=True)
class LineCount:
    """Events of a kind in a slot."""

    at: datetime
    kind: str
    lines: int


@dataclass(frozen=True, slots=True)
class Quarantined:
    """Lines in quarantine for one reason, with the newest of them."""

    reason: str
    lines: int
    oldest: datetime
    newest: datetime
    examples: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Exposure:
    """How often a model's lists had a movie, and what users did with it in the window."""

    model_version: str
    lists: int
    users: int
    mean_rank: float
    watched: int
    """Of these users, those who watched the movie in the window."""


class LakeActivity(Protocol):
    """Reads the newest tables. A table that was never written has no rows.

    Every method may raise LakeError and UnavailableError.
    """

    def answers(self, window: Window) -> Answers:
        """Return what the site logged of its requests."""
        ...

    def answers_by_slot(self, window: Window) -> Sequence[Answers]:
        """Return the same by slot, in order; slots without requests are left out."""
        ...

    def served(self, window: Window) -> Sequence[ServedGroup]:
        """Return the recommendations by version, model and source, most first."""
        ...

    def lines(self, window: Window) -> Sequence[LineCount]:
        """Return the events by slot and kind, in order."""
        ...

    def quarantined(self, since: datetime, examples: int) -> Sequence[Quarantined]:
        """Return what came to quarantine since a time, by reason, most first."""
        ...

    def served_to(self, user_id: int, most: int) -> Sequence[Served]:
        """Return the newest recommendations of a user, newest first."""
        ...

    def did(self, user_id: int, most: int) -> Sequence[Mapping[str, Any]]:
        """Return the newest watch and rate events of a user, newest first, as rows.

        A movie's minutes of a day are one row with the last minute.
        """
        ...

    def profile(self, user_id: int) -> Mapping[str, Any] | None:
        """Return what the site said last of a user, None if nothing."""
        ...

    def movie(self, movie_id: str) -> Mapping[str, Any] | None:
        """Return what the catalog says of a movie, None if it lacks it."""
        ...

    def exposure(self, movie_id: str, window: Window) -> Sequence[Exposure]:
        """Return a movie's exposure by model version, most first."""
        ...

    def titles(self, movie_ids: Collection[str]) -> Mapping[str, str]:
        """Return the titles of those of these movies that the catalog names."""
        ...
