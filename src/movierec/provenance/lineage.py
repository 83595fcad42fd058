"""The chain from one recommendation back to the data, as values.

    recommendation ─▶ function version ─▶ release
          │                 └─▶ code commit
          ├─▶ site's own log line
          └─▶ model ─▶ data set ─▶ lake versions ─▶ Kafka offsets

A `Chain` holds the links as they were found: a row, a Lambda configuration, manifests. A link that
is not there is None and has a line in `missing` that says why the chain ends there. Reading is done
by `movierec.aws.lineage_resolver`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from movierec.lake.served import Served, utc

Facts = Mapping[str, Any]

# The site writes its line when it has the answer, by its own clock; the proxy writes by its own.
SITE_CLOCK_WITHIN: Final = timedelta(days=1)

# The steps of a release that can send users to its version, of `movierec.releases.log.StepName`.
_SENDING: Final = ("route", "weigh", "promote")


@dataclass(frozen=True, slots=True)
class Function:
    """A published version of the API function, as Lambda describes it."""

    name: str
    version: str
    code_version: str
    code_sha256: str
    model_version: str
    published_at: str
    description: str


@dataclass(frozen=True, slots=True)
class Lineage:
    """Everything that one recommendation came from.

    `site_event` is a row of the lake's table `events`; `release` holds the release's steps in
    order; `model` and `dataset` are manifests.
    """

    served: Served
    site_event: Facts | None = None
    function: Function | None = None
    release: tuple[Facts, ...] = ()
    model: Facts | None = None
    dataset: Facts | None = None
    missing: tuple[str, ...] = ()


def nearest(rows: Sequence[Served], at: datetime) -> Served | None:
    """Return the recommendation that was served nearest to a time, None without any."""
    return min(rows, key=lambda row: abs(row.served_at - at), default=None)


def first_exposure(steps: Sequence[Facts], version: str) -> str | None:
    """Return when a release first sent users to a version (UTC, ISO 8601), None if it never did.

    `steps` are the release's, in order. Cutting and testing a version sends it nobody; going back
    to an earlier one does.
    """
    times = (str(step.get("at") or "") for step in steps if _sends_users_to(step, version))
    return next(times, None)


def _sends_users_to(step: Facts, version: str) -> bool:
    if step.get("version") == version and step.get("name") in _SENDING:
        return True
    # An abort, a pause or a look says nothing of the routing after it.
    after = _versions_in(step.get("after"))
    return version in after and version not in _versions_in(step.get("before"))


def _versions_in(split: Facts | None) -> tuple[str | None, ...]:
    return (split["stable"], split["canary"]) if split else ()


def release_behind(
    found: Served, version: str, newest_first: Iterable[Sequence[Facts]]
) -> tuple[Facts, ...]:
    """Return the release that had users on a version when `found` was served, () without any.

    A version can be released again. Releases are read one by one, and no further than needed;
    when all began later (the clocks of release and proxy differ), the earliest is taken.
    """
    served_at = found.served_at.isoformat(timespec="milliseconds")
    earliest: tuple[Facts, ...] = ()
    for steps in newest_first:
        since = first_exposure(steps, version)
        if since is not None:
            earliest = tuple(steps)
            if since <= served_at:
                break
    return earliest


def site_event(found: Served, rows: Sequence[Facts]) -> Facts | None:
    """Return the site's own record of a recommendation, None if no row is one.

    `rows` are `recommend` events of the user around that time. The site logs the list that it
    got: it must be the same; of several the nearest in time is taken.
    """
    same = [row for row in rows if tuple(row["movie_ids"] or ()) == found.movie_ids]
    return min(same, key=lambda row: abs(utc(row["event_time"]) - found.served_at), default=None)
