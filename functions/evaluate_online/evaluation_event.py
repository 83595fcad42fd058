"""Parse and validate evaluate_online's event."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any, Final, Self

from functions.evaluate_online.outcomes import Experiment, Weights
from movierec.errors import UsageError
from movierec.lake.served import microseconds

_DAY_S: Final = 86_400.0
_LONGEST_S: Final = 90 * _DAY_S

_RELEASE: Final = ("release_id", "stable", "canary", "since", "weights")


@dataclass(frozen=True, slots=True)
class Release:
    """An active release: its two versions, and the traffic split over time."""

    release_id: str
    stable: str
    canary: str
    since: datetime
    weights: Weights

    def experiment(self, settle_s: float) -> Experiment:
        """Return the experiment that assigns its trials."""
        return Experiment(self.stable, self.canary, self.weights, settle_s)


@dataclass(frozen=True, slots=True)
class Request:
    """A scheduled evaluation of the last `window_s`, or one of a release."""

    window_s: float
    release: Release | None

    @classmethod
    def read(cls, event: Mapping[str, Any]) -> Self:
        """Return the request; other keys are ignored. Raises UsageError naming the fault.

        A release with missing fields is refused: it would be evaluated without a verdict.
        """
        window_s = event.get("window_s", _DAY_S)
        if not _is_number(window_s) or not 0 < window_s <= _LONGEST_S:
            raise UsageError(f"window_s is {window_s!r}: expected seconds, up to {_LONGEST_S:.0f}")
        given = [name for name in _RELEASE if name in event]
        if not given:
            return cls(float(window_s), None)
        missing = [name for name in _RELEASE if name not in event]
        if missing:
            raise UsageError(f"the event has {', '.join(given)}, but no {', '.join(missing)}")
        return cls(float(window_s), _release(event))

    def since(self, now: datetime) -> datetime:
        """Return when the window begins."""
        return self.release.since if self.release else now - timedelta(seconds=self.window_s)


def _release(event: Mapping[str, Any]) -> Release:
    release_id, stable, canary = (event[name] for name in _RELEASE[:3])
    # It becomes part of an object's key.
    if not isinstance(release_id, str) or not re.fullmatch(r"[0-9A-Za-z_.-]+", release_id):
        raise UsageError(f"release_id is {release_id!r}: expected letters, digits, _ . -")
    for name, version in (("stable", stable), ("canary", canary)):
        if not isinstance(version, str) or not re.fullmatch(r"[0-9]+", version):
            raise UsageError(f"{name} is {version!r}: expected a function version like '3'")
    if stable == canary:
        raise UsageError(f"version {stable} cannot be stable and canary at once")
    since = _time("since", event["since"])
    return Release(release_id, stable, canary, since, _weights(event["weights"]))


def _weights(pairs: Any) -> Weights:  # noqa: ANN401  any JSON value
    if not isinstance(pairs, list) or not all(_is_pair(pair) for pair in pairs):
        raise UsageError(f"weights is {pairs!r}: expected a list of [time, percent]")
    times = [microseconds(_time("a time in weights", time)) for time, _ in pairs]
    if any(earlier > later for earlier, later in pairwise(times)):
        raise UsageError("the times in weights do not ascend: pass the history in order")
    for _, percent in pairs:
        if not _is_number(percent) or not 0 <= percent <= 100:  # noqa: PLR2004
            raise UsageError(f"a percent in weights is {percent!r}: expected 0 to 100")
    return Weights(tuple(times), tuple(float(percent) for _, percent in pairs))


def _time(name: str, value: object) -> datetime:
    try:
        at = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise UsageError(f"{name} is {value!r}: expected a time like 2026-11-20T10:15:00Z")
    return at.astimezone(UTC)


def _is_pair(value: object) -> bool:
    return isinstance(value, list) and len(value) == 2  # noqa: PLR2004


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
