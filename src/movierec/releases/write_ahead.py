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
    """Optional fields of a step; `at` is when it was decided, if not now."""

    reason: str
    facts: Mapping[str, Any] | None
    at: datetime | None


@dataclass(frozen=True, slots=True)
class WriteAhead:
    """Writes steps of one function's releases, then applies them to the alias."""

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
    ) -> Step:
        """Write a step, with the revision of the alias that it was decided on if it changes it."""
        moved = {"revision": alias.revision} if alias and after else {}
        return self.log.write(
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
    ) -> ReleaseState:
        """Write the next step of a release, with its model and version; return the new state."""
        model, version = found.model_version, found.version
        step = self.write(found.release_id, name, alias, model, version, after=after, **details)
        return state_machine.after_step(found, step)

    def apply(
        self,
        found: ReleaseState,
        name: StepName,
        alias: Alias | None,
        after: TrafficSplit,
        **details: Unpack[Details],
    ) -> ReleaseState:
        """Write the next step of a release, then update the alias; return the new state."""
        reached = self.write_next(found, name, alias, after=after, **details)
        self.function.update_alias(after, found.release_id, over=alias)
        return reached

    def reconcile(self, found: ReleaseState) -> tuple[ReleaseState, Alias | None]:
        """Bring log and alias together after a crash, or a change that was not logged.

        A logged step that was not applied is applied; a foreign change of the alias is logged as
        a step. Returns the state and the alias after that.
        """
        wanted, alias = found.split, self.function.alias()
        present = alias.split if alias else None
        if wanted is None or present == wanted:
            return found, alias
        if _is_unapplied(found, alias):
            self.function.update_alias(wanted, found.release_id, over=alias)
        elif alias and not found.closed:
            name, reason = _foreign_step(found, alias.split), "the alias was moved by others"
            self.write_next(found, name, alias, after=alias.split, reason=reason)
        elif alias and alias.release_id == found.release_id and _still_serves(found, alias):
            self.function.force_update(wanted, found.release_id)
        steps = self.log.steps(found.release_id, holds=False)
        return state_machine.state_of(steps), self.function.alias()


def _is_unapplied(found: ReleaseState, alias: Alias | None) -> bool:
    """Return whether a release's last step was logged but not applied.

    The alias's revision must be unchanged: one that was moved back since is an operator's choice.
    """
    if alias is None:
        return found.split_before is None
    same = alias.split == found.split_before and alias.revision == found.revision
    return same and not found.closed


def _still_serves(found: ReleaseState, alias: Alias) -> bool:
    """Return whether an ended release's version gets requests that its end does not allow.

    As canary, or as stable where a promotion was applied and the rollback after it was not.
    """
    if found.version is None:
        return False
    promoted = found.state == "rolled back" and alias.split.stable == found.version
    return promoted or alias.split.canary == found.version


def _foreign_step(found: ReleaseState, present: TrafficSplit) -> StepName:
    """Return the step that a change of the alias outside of this code amounts to."""
    if present.canary == found.version:
        return "weigh"
    return "promote" if present.stable == found.version else "rollback"
