"""Emergency rollback, and cleanup after the end of a release.

It imports no reports, so that the rollback function's package stays small.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from movierec.releases import log as release_log
from movierec.releases import traffic_split
from movierec.releases.log import Step
from movierec.releases.notifications import announce
from movierec.releases.registry import Releases
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
    """Route all requests to the stable version, or to version `to`; idempotent.

    With `of`, only if that version is the canary; `at` is when it was decided, if not now. Unlike
    other steps, it is applied even if the log cannot be written; that error is raised afterwards.
    """
    alias = releases.require_alias()
    before = alias.split
    after = traffic_split.roll_back(before, to)
    if after == before or (of is not None and before.canary != of):
        return before
    if to is not None:
        releases.function.model_of(to)  # raises if there is no such version
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
    """Delete an ended release's alarms and send its notifications; an open one is left alone."""
    found, _ = releases.write_ahead.reconcile(releases.state_of(release_id))
    if not found.closed:
        return
    if found.version:
        releases.alarms.delete(found.version)
    announce(releases, release_id)
