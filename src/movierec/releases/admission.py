"""Whose turn it is, and what must not be released at all: one canary at a time, no failure twice.

All may raise UnavailableError.
"""

from datetime import datetime, timedelta
from typing import Final, Literal

from movierec.releases import state_machine
from movierec.releases.log import ReleaseLog
from movierec.releases.state_machine import ReleaseState
from movierec.releases.traffic_split import Alias

Admission = Literal["now", "wait", "closed"]

# Publishing and a smoke test may take as long as Lambda gives a function that cuts a release.
_MOST_OF_A_STEP_S: Final = 900.0

# Whose canary it is that somebody sent users to by other means than ours.
_NOBODYS: Final = ""


def active_canary(alias: Alias | None) -> str | None:
    """Return the release whose canary is out, "" if nobody wrote that down, None without one."""
    if alias is None or alias.split.canary is None:
        return None
    return alias.release_id or _NOBODYS


def blocking_releases(
    log: ReleaseLog, found: ReleaseState, alias: Alias | None, now: datetime
) -> tuple[str, ...]:
    """Return the releases that must end before this one: the canary's, and earlier ones."""
    others = [r for r in log.open_releases() if r < found.release_id and _lives(log, r, now)]
    exposed = active_canary(alias)
    if exposed is not None and exposed != found.release_id:
        others.append(exposed)
    return tuple(dict.fromkeys(others))


def _lives(log: ReleaseLog, release_id: str, now: datetime) -> bool:
    """Say whether anybody still drives a release that never had a user.

    One with a canary is seen by the alias; of one that died before, nothing else tells.
    """
    quiet = now - log.last(release_id).time
    policy = state_machine.state_of(log.steps(release_id, holds=False)).policy
    return quiet < timedelta(seconds=2 * policy.look_s + _MOST_OF_A_STEP_S)


def rejection_reason(
    log: ReleaseLog, found: ReleaseState, version: str | None, alias: Alias | None
) -> str:
    """Return why a version must not be released now, "" if it may; None is one that is yet to be.

    Who asked for it again gets what was rolled back before.
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
