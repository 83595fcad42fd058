"""Execute a release step by step, for its Step Functions state machine.

`begin`, `check`, `cut`, `test` and `advance`, in that order, each idempotent; `end` any time. Each
step is decided, logged (`movierec.releases.write_ahead`), then applied in one atomic UpdateAlias.
A step forward carries the alias's revision (optimistic concurrency), so that one that was decided
before a rollback is refused after it.

All may raise ReleaseError when the present state does not allow the step, ReleaseNotFoundError
without a function or alias, ReleaseConflictError after a concurrent change of the alias, and
UnavailableError.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from movierec.errors import ReleaseNotFoundError
from movierec.releases import admission, quality_gate, state_machine, traffic_split
from movierec.releases import log as release_log
from movierec.releases.admission import Admission
from movierec.releases.evaluation import Evaluation
from movierec.releases.log import StepName
from movierec.releases.policy import Policy
from movierec.releases.registry import Releases
from movierec.releases.request import Request
from movierec.releases.rollback import roll_back
from movierec.releases.state_machine import NextAction, ReleaseState
from movierec.releases.traffic_split import Alias, TrafficSplit

MISSING_AFTER: Final = timedelta(seconds=90)
"""Time until a canary without metrics raises its alarm: the first ones arrive late."""


@dataclass(frozen=True, slots=True)
class Orchestrator:
    """The automatic steps of a function's releases."""

    releases: Releases

    def begin(self, release_id: str, request: Request, policy: Policy) -> Admission:
        """Start a release, and return whether it may go on now: one release at a time.

        Blocking releases are waited for, or ended first, as the policy says.
        """
        alias = self.releases.function.alias()
        if release_id in self.releases.log.releases():
            found = self.releases.state_of(release_id)
        else:
            facts = {"policy": asdict(policy), "request": request.to_json()}
            started = self.releases.write_ahead.write(release_id, "start", alias, facts=facts)
            found = state_machine.state_of((started,))
        if found.closed:
            return "closed"
        others = admission.blocking_releases(
            self.releases.log, found, alias, self.releases.clock.now()
        )
        if others and policy.on_busy == "wait":
            return "wait"
        for other in others:
            self.end(other, f"replaced by release {release_id}")
        return "now"

    def check(self, release_id: str) -> ReleaseState:
        """Apply the quality gate to the release's model, and mark the model with its verdict."""
        found, alias = self.releases.state_of(release_id), self.releases.function.alias()
        if found.state != "start":
            return found
        stable = self.releases.function.model_of(alias.split.stable) if alias else None
        model = found.request.model(self.releases.store, stable)
        store, allowed = self.releases.store, found.request.allow_truncated
        verdict = quality_gate.judge(store, model, stable, allow_truncated=allowed)
        at = release_log.stamp(self.releases.log.now())
        quality_gate.record(store, model, verdict, release_id=release_id, stable=stable, at=at)
        name: StepName = "abort" if verdict.faults else "gate"
        step = self.releases.write_ahead.write(
            release_id, name, alias, model_version=model, reason=verdict.reason
        )
        return state_machine.after_step(found, step)

    def cut(self, release_id: str) -> ReleaseState:
        """Publish a version with the release's model."""
        found, alias = self.releases.state_of(release_id), self.releases.function.alias()
        if found.state not in ("gate", "cut"):
            return found
        model = str(found.model_version)
        version = self.releases.function.version_with(model)
        refused = admission.rejection_reason(self.releases.log, found, version, alias)
        if refused:
            step = self.releases.write_ahead.write(
                release_id, "abort", alias, model, version, reason=refused
            )
            return state_machine.after_step(found, step)
        if found.state == "gate":
            step = self.releases.write_ahead.write(release_id, "cut", alias, model, version)
            found = state_machine.after_step(found, step)
        if version is None:
            self.releases.function.publish(
                model, release_log.describe_version(release_id, model, "")
            )
        return found

    def test(self, release_id: str) -> ReleaseState:
        """Run the smoke test on the version, before it gets any request."""
        found, alias = self.releases.state_of(release_id), self.releases.function.alias()
        if found.state != "cut":
            return found
        model = str(found.model_version)
        version = self.releases.function.version_with(model)
        if version is None:
            raise ReleaseNotFoundError(
                f"release {release_id}: no version of the present code has model {model}: it was "
                "deployed anew meanwhile; start another release"
            )
        step = self.releases.run_smoke_test(release_id, alias, model, version)
        return state_machine.after_step(found, step)

    def advance(self, release_id: str, evaluation: Evaluation | None = None) -> ReleaseState:
        """Shift traffic, promote, roll back or hold a release that has passed its smoke test."""
        found, alias = self.releases.write_ahead.reconcile(self.releases.state_of(release_id))
        if found.closed or found.state not in ("smoke", "exposed"):
            return found
        all_requests = TrafficSplit(str(found.version))
        if alias is None or alias.split == all_requests:
            reason = "serves everybody already" if alias else "the first release"
            return self.releases.write_ahead.apply(
                found, "promote", alias, all_requests, reason=reason
            )
        finding, now = state_machine.finding(evaluation), self.releases.log.now()
        decision = state_machine.next_action(
            found, finding, now, (evaluation and evaluation.refused) or ""
        )
        facts = state_machine.record(found, finding, evaluation)
        return self._apply(found, alias, decision, facts, now)

    def end(self, release_id: str, reason: str) -> None:
        """End a release in any state: roll back its canary, else abort. Idempotent."""
        alias = self.releases.function.alias()
        if admission.active_canary(alias) == release_id:
            roll_back(self.releases, reason)
            return
        found = self.releases.state_of(release_id)
        if not found.closed:
            self.releases.write_ahead.write_next(found, "abort", alias, reason=reason)

    def _apply(
        self,
        found: ReleaseState,
        alias: Alias,
        decision: NextAction,
        facts: Mapping[str, Any],
        now: datetime,
    ) -> ReleaseState:
        version = str(found.version)
        if decision.name == "hold":
            held = self.releases.write_ahead.write_next(
                found, "hold", alias, reason=decision.reason, facts=facts, at=now
            )
            if found.percent and now - found.since > MISSING_AFTER:
                self.releases.alarms.enable_missing_data(version)
            return held
        if decision.name == "rollback":
            roll_back(self.releases, decision.reason, of=version, facts=facts, at=now)
            return self.releases.state_of(found.release_id)
        after = TrafficSplit(version)
        if decision.name == "weigh":
            after = traffic_split.route(alias.split, version, decision.percent)
            self.releases.alarms.create(version)
        reason = decision.reason
        return self.releases.write_ahead.apply(
            found, decision.name, alias, after, reason=reason, facts=facts, at=now
        )
