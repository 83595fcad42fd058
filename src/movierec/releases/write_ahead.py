"""Write-ahead log of a release: each step with its reason, stored before it is applied.

A crash in between leaves the alias as it was: the next call of `reconcile` finds the step and
applies it. All may raise ReleaseConflictError and UnavailableError.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypedDict, Unpack

from movierec.releases import log as release_log
from movierec.releases import state_machine
from movierec.releases.log import ReleaseLog, Step, StepName
from movierec.releases.ports import ServedFunction
from movierec.releases.state_machine import ReleaseState
from movierec.releases.traffic_split import Alias, TrafficSplit


class Details(TypedDict, total=False):
    """What a step may have besides its name: why, what it was decided on, and when, if not now."""

    reason: str
    facts: Mapping[str, Any] | None
    at: datetime | None


@dataclass(frozen=True, slots=True)
class WriteAhead:
    """Steps of one function's releases: written, then applied to the alias."""

    function: ServedFunction
    log: ReleaseLog

    def write(
        self,
        release_id: str,
        name: StepName,
        alias: Alias | None,
        model_version: str | None = None,
        version: str | None = None,
        *,
        after: TrafficSplit | None = None,
        reason: str = "",
        facts: Mapping[str, Any] | None = None,
        at: datetime | None = None,
    ) -> None:
        """Write a step down that was decided on an alias, with its revision if it is to move."""
        moved = {"revision": alias.revision} if alias and after else {}
        self.log.write(
            Step(
                release_id,
                self.function.name,
                model_version,
                alias.split if alias else None,
                name,
                version,
                after,
                reason,
                at=release_log.stamp(at) if at else "",
                facts={**moved, **(facts or {})},
            )
        )

    def write_next(
        self,
        found: ReleaseState,
        name: StepName,
        alias: Alias | None,
        *,
        after: TrafficSplit | None = None,
        **details: Unpack[Details],
    ) -> None:
        """Write down the next step of a release, of its own model and version."""
        model, version = found.model_version, found.version
        self.write(found.release_id, name, alias, model, version, after=after, **details)

    def apply(
        self,
        found: ReleaseState,
        name: StepName,
        alias: Alias | None,
        after: TrafficSplit,
        **details: Unpack[Details],
    ) -> None:
        """Write the next step of a release down, then move the alias."""
        self.write_next(found, name, alias, after=after, **details)
        self.function.update_alias(after, found.release_id, over=alias)

    def reconcile(self, found: ReleaseState) -> tuple[ReleaseState, Alias | None]:
        """Bring the alias to where the log says it is: a crash may have come in between.

        What somebody did to the alias without a word in the log is written down as it is found.
        Returns the standing and the alias after that.
        """
        wanted, alias = found.split, self.function.alias()
        present = alias.split if alias else None
        if wanted is None or present == wanted:
            return found, alias
        if _is_undone(found, alias):
            self.function.update_alias(wanted, found.release_id, over=alias)
        elif alias and not found.closed:
            name, reason = _found_moved(found, alias.split), "the alias was moved by others"
            self.write_next(found, name, alias, after=alias.split, reason=reason)
        elif alias and alias.release_id == found.release_id and _has_users(found, alias):
            self.function.force_update(wanted, found.release_id)
        steps = self.log.steps(found.release_id, holds=False)
        return state_machine.state_of(steps), self.function.alias()


def _is_undone(found: ReleaseState, alias: Alias | None) -> bool:
    """Say whether a release's last step was written down, but not carried out.

    The alias is as it was, and nobody has moved it there since: that would be somebody's will.
    """
    if alias is None:
        return found.split_before is None
    same = alias.split == found.split_before and alias.revision == found.revision
    return same and not found.closed


def _has_users(found: ReleaseState, alias: Alias) -> bool:
    """Say whether the version of a release that has ended is where that end has no place for it.

    As canary, or as stable where a promotion was carried out while a rollback could not be.
    """
    if found.version is None:
        return False
    undone = found.state == "rolled back" and alias.split.stable == found.version
    return undone or alias.split.canary == found.version


def _found_moved(found: ReleaseState, present: TrafficSplit) -> StepName:
    """Return the step that somebody else has taken for a release without writing it down."""
    if present.canary == found.version:
        return "weigh"
    return "promote" if present.stable == found.version else "rollback"
