"""Traffic split between Lambda versions: which share of requests the canary gets.

Functions here map a `TrafficSplit` to the next one; `movierec.aws.lambda_alias` converts it to and
from Lambda's alias. A step that the state does not allow raises ReleaseError.
"""

from dataclasses import dataclass
from typing import Final

from movierec import settings
from movierec.errors import ReleaseError

ALIAS: Final = settings.LIVE_ALIAS
"""Name of the Lambda alias, and of the API Gateway stage in front of it."""

ALL_PERCENT: Final = 100.0


@dataclass(frozen=True, slots=True)
class TrafficSplit:
    """Split of requests between published versions: `canary_percent` go to the canary, if any.

    Versions are Lambda's own: "1", "2", ... A canary may have 0 %: it exists without requests.
    """

    stable: str
    canary: str | None = None
    canary_percent: float = 0.0

    def __post_init__(self) -> None:
        """Raise ReleaseError for an invalid split."""
        if not 0 <= self.canary_percent <= ALL_PERCENT:
            raise ReleaseError(f"{self.canary_percent}% of requests: choose 0 to 100")
        if self.canary is None and self.canary_percent:
            raise ReleaseError(f"{self.canary_percent}% of requests, but no canary: cut one first")
        if self.canary == self.stable:
            raise ReleaseError(f"version {self.stable} cannot be stable and canary at once")


def describe(split: TrafficSplit | None) -> str:
    """Return a split in words; "" for no split."""
    if split is None:
        return ""
    if split.canary is None:
        return f"version {split.stable} gets all requests"
    return f"version {split.canary} gets {split.canary_percent:g}% of requests"


def route(before: TrafficSplit | None, version: str, canary_percent: float | None) -> TrafficSplit:
    """Return the split with a new version in it.

    The very first version gets all requests. A later one gets `canary_percent` of them as canary;
    None moves all requests at once. The stable version changes nothing. Raises ReleaseError while
    another canary is active.
    """
    if before is None:
        return TrafficSplit(version)
    if before.canary not in (None, version):
        raise ReleaseError(
            f"version {before.canary} is canary with {before.canary_percent:g}% of requests: "
            "promote it or roll it back before releasing another"
        )
    if version == before.stable:
        return before
    if canary_percent is None:
        return TrafficSplit(version)
    return TrafficSplit(before.stable, version, canary_percent)


def weigh(before: TrafficSplit, canary_percent: float) -> TrafficSplit:
    """Return the split with another share for the canary. Raises ReleaseError without one."""
    return TrafficSplit(before.stable, _canary(before, "weighed"), canary_percent)


def promote(before: TrafficSplit) -> TrafficSplit:
    """Return the split with the canary as stable version. Raises ReleaseError without one."""
    return TrafficSplit(_canary(before, "promoted"))


def roll_back(before: TrafficSplit, to: str | None = None) -> TrafficSplit:
    """Return the split without its canary: idempotent, and always allowed.

    With `to`, that version becomes stable.
    """
    return TrafficSplit(to or before.stable)


def _canary(split: TrafficSplit, done: str) -> str:
    if split.canary is None:
        raise ReleaseError(
            f"no canary can be {done}: version {split.stable} has all users; it was rolled back, "
            "or never released (see releases/ in the artifacts bucket)"
        )
    return split.canary


@dataclass(frozen=True, slots=True)
class Alias:
    """The alias as read: its traffic split, the release that last moved it, and its revision.

    An update with a stale revision is refused.
    """

    split: TrafficSplit
    release_id: str | None
    revision: str
