"""Admission of a release: one canary at a time, and no version that was rolled back before.

All may raise UnavailableError.
"""

from datetime import datetime, timedelta
from typing import Final, Literal

from movierec.releases import state_machine
from movierec.releases.log import ReleaseLog
from movierec.releases.state_machine import ReleaseState
from movierec.releases.traffic_split import Alias

Admission = Literal["now", "wait", "closed"]

# Publishing and the smoke test are bounded by Lambda's longest timeout.
_LONGEST_STEP_S: Final = 900.0

# Stands for the release of a canary that was set outside of this code.
_UNRECORDED: Final = ""


def active_canary(alias: Alias | None) -> str | None:
    """Return the release of the active canary, "" if it has no record, None without a canary."""
    if alias is None or alias.split.canary is None:
        return None
    return alias.release_id or _UNRECORDED


def blocking_releases(
    log: ReleaseLog, found: ReleaseState, alias: Alias | None, now: datetime
) -> tuple[str, ...]:
    """Return the releases that must end before this one: the canary's, and earlier ones."""
    others = [r for r in log.open_releases() if r < found.release_id and _is_live(log, r, now)]
    exposed = active_canary(alias)
    if exposed is not None and exposed != found.release_id:
        others.append(exposed)
    return tuple(dict.fromkeys(others))


def _is_live(log: ReleaseLog, release_id: str, now: datetime) -> bool:
    """Return whether an open release without a canary is still being executed.

    The alias names a release with a canary; one that died before is known by its silence alone.
    """
    quiet = now - log.last(release_id).time
    policy = state_machine.state_of(log.steps(release_id, holds=False)).policy
    return quiet < timedelta(seconds=2 * policy.look_s + _LONGEST_STEP_S)


def rejection_reason(
    log: ReleaseLog, found: ReleaseState, version: str | None, alias: Alias | None
) -> str:
    """Return why a version must not be released, "" if it may; None: it is not published yet.

    A request with `again` overrides an earlier rollback.
    """
    if version is None:
        return ""
    if alias and alias.split.stable == version:
        return f"version {version} has this code and model and serves everybody already"
    before = None if found.request.again else _rolled_back_in(log, version)
    return f"version {version} was rolled back in release {before}" if before else ""


def _rolled_back_in(log: ReleaseLog, version: str) -> str | None:
    for release in reversed(log.releases()):
        last = log.closing(release)
        if last and last.version == version and last.name != "abort":
            return release if last.name == "rollback" else None
    return None
