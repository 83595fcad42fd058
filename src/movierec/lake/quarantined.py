"""Lines in quarantine that may be admitted to events after all, and how they are chosen.

A line that only names an unknown movie waits: the catalog grows. Others may become events when the
limits or the parser have changed.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol, Self

import numpy as np
import numpy.typing as npt

from movierec.errors import UsageError
from movierec.lake.log_lines import Reason
from movierec.lake.ports import Lake

Offsets = npt.NDArray[np.int64]

REPLAY: Final = "quarantine-replay"
"""Name of the transaction with which events are admitted from quarantine."""

_NEVER: Final = frozenset({Reason.DUPLICATE, Reason.OFFSETS_EXPIRED})


@dataclass(frozen=True, slots=True)
class Selection:
    """Lines in quarantine, by reason and by the time they came there."""

    reasons: frozenset[str]
    since: datetime | None = None
    """The first time, aware."""
    until: datetime | None = None
    """The first time after, aware."""

    @classmethod
    def of(
        cls,
        reasons: Collection[str],
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> Self:
        """Return the lines of these reasons; without any, of all that may be admitted.

        Raises UsageError for another word, and for a reason whose lines are never events.
        """
        for reason in reasons:
            if reason not in ADMISSIBLE:
                why = "is of lines that are never events" if reason in _NEVER else "is no reason"
                raise UsageError(f"{reason!r} {why}: name one of {', '.join(sorted(ADMISSIBLE))}")
        return cls(frozenset(reasons) or ADMISSIBLE, since, until)


ADMISSIBLE: Final = frozenset(str(reason) for reason in Reason if reason not in _NEVER)

WAITING: Final = Selection(frozenset({str(Reason.UNKNOWN_MOVIE)}))
"""Lines whose only fault is a movie that the catalog did not have."""


@dataclass(frozen=True, slots=True)
class Span:
    """The chosen lines of one partition: how many, and their first and last offset.

    `topic` is as in the table: None is that of rows of before.
    """

    topic: str | None
    partition: int
    first: int
    last: int
    lines: int


@dataclass(frozen=True, slots=True)
class QuarantinedLines:
    """Lines of one partition: ascending offsets (n,), bytes, and two times in microseconds.

    `recorded_us` is Kafka's timestamp, `site_clock.NO_TIME` without one.
    """

    offsets: Offsets
    raw: list[bytes]
    recorded_us: Offsets
    ingested_us: Offsets

    def __len__(self) -> int:
        """Return the number of lines."""
        return len(self.raw)


@dataclass(frozen=True, slots=True)
class NewUsers:
    """Users in events who are not in table users, each once.

    `created` are those whose account was created in these events, `others` those who were seen
    only; `reached` is the last offset of each partition that was considered.
    """

    created: Offsets
    others: Offsets
    reached: Mapping[int, int]


class QuarantineLake(Lake, Protocol):
    """The lake with its lines in quarantine, for those who try them again."""

    def quarantine_spans(self, chosen: Selection) -> Sequence[Span]:
        """Return what is chosen of each partition that has any of it."""
        ...

    def quarantined_lines(
        self,
        chosen: Selection,
        topics: Collection[str | None],
        partition: int,
        *,
        after: int,
        until: int,
        most: int,
    ) -> QuarantinedLines:
        """Return the first `most` chosen lines past an offset, up to and including another."""
        ...

    def offsets_in_both(
        self, chosen: Selection, topics: Collection[str | None], partition: int
    ) -> frozenset[int]:
        """Return the offsets of the chosen lines that are events as well."""
        ...

    def remove_quarantined(
        self, topics: Collection[str | None], offsets: Mapping[int, Offsets]
    ) -> None:
        """Delete lines of a topic, by partition and offset; those that are gone do not matter.

        Raises ConflictError if other writers were in the way again and again.
        """
        ...

    def new_users(self, topics: Collection[str | None], after: Mapping[int, int]) -> NewUsers:
        """Return users of a topic's events whom table users lacks.

        `after` has the last offset that need not be considered, of partitions that have one.
        """
        ...
