"""The lineage of one recommendation, back to the data.

    recommendation ─▶ function version ─▶ release
          │                 └─▶ code commit
          ├─▶ site's own log line
          └─▶ model ─▶ data set ─▶ lake versions ─▶ Kafka offsets

`Lineage` holds the links as they were read: a row, a Lambda configuration, manifests. A link that
was not found is None, with the reason in `missing`. `movierec.aws.lineage_resolver` reads them.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from movierec.lake.served import Served, utc

Facts = Mapping[str, Any]

# The site logs its line when it has the answer; its clock and the proxy's differ.
SITE_CLOCK_WITHIN: Final = timedelta(days=1)

# The steps that can route requests to a release's version, of `movierec.releases.log.StepName`.
_ROUTING_STEPS: Final = ("route", "weigh", "promote")


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
    """All sources of one recommendation.

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
    """Return when a release first routed requests to a version (UTC, ISO 8601), None if never.

    `steps` are the release's, in order. Publishing and testing a version routes none to it; a
    rollback to an earlier one does.
    """
    times = (str(step.get("at") or "") for step in steps if _sends_users_to(step, version))
    return next(times, None)


def _sends_users_to(step: Facts, version: str) -> bool:
    if step.get("version") == version and step.get("name") in _ROUTING_STEPS:
        return True
    # An abort, a pause or a hold has no split after it.
    after = _versions_in(step.get("after"))
    return version in after and version not in _versions_in(step.get("before"))


def _versions_in(split: Facts | None) -> tuple[str | None, ...]:
    return (split["stable"], split["canary"]) if split else ()


def release_behind(
    found: Served, version: str, newest_first: Iterable[Sequence[Facts]]
) -> tuple[Facts, ...]:
    """Return the release that routed requests to a version when `found` was served, () if none.

    A version can be released again. Releases are read one by one, and no further than needed; if
    all began later (the clocks of release and proxy differ), it is the earliest.
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
    """Return the site's own record of a recommendation, None if no row matches.

    `rows` are `recommend` events of the user around that time. The list that the site logged must
    be the same; of several rows it is the nearest in time.
    """
    same = [row for row in rows if tuple(row["movie_ids"] or ()) == found.movie_ids]
    return min(same, key=lambda row: abs(utc(row["event_time"]) - found.served_at), default=None)
