"""The emergency rollback, and what follows the end of a release.

It imports no page and no chart, and needs no state machine.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from movierec.releases import log as release_log
from movierec.releases import traffic_split
from movierec.releases.context import Releases
from movierec.releases.log import Step
from movierec.releases.notifications import announce
from movierec.releases.traffic_split import TrafficSplit


def roll_back(
    releases: Releases,
    reason: str = "",
    *,
    of: str | None = None,
    to: str | None = None,
    facts: Mapping[str, Any] | None = None,
    at: datetime | None = None,
) -> TrafficSplit:
    """Send everybody to the stable version, or an earlier one; do nothing if they are there.

    With `of`, only if that version is the canary; `at` is when it was decided, if not now.
    Users come before records: it is carried out even if it cannot be written down, and the
    error is raised after that.
    """
    alias = releases.require_alias()
    before = alias.split
    after = traffic_split.roll_back(before, to)
    if after == before or (of is not None and before.canary != of):
        return before
    if to is not None:
        releases.function.model_of(to)  # raises for a version that there is not
    release, left = releases.release_behind(alias), before.canary or before.stable
    try:
        model = releases.function.model_of(left)
        step = Step(release, releases.function.name, model, before, "rollback", left, after, reason)
        written = replace(step, at=release_log.stamp(at) if at else "", facts=facts or {})
        releases.log.write(written, insist=True)
    finally:
        releases.function.force_update(after, release)
    return after


def close(releases: Releases, release_id: str) -> None:
    """Clean up behind a release that has ended, and tell people; one that is open is left."""
    found, _ = releases.write_ahead.reconcile(releases.state_of(release_id))
    if not found.closed:
        return
    if found.version:
        releases.alarms.delete(found.version)
    announce(releases, release_id)
