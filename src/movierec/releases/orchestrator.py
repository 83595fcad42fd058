"""Releases carried out step by step, as their state machine asks.

`begin`, `check`, `cut`, `test` and `advance`, in that order, each safe to repeat; `end` any time.
Each step is decided, written down (`movierec.releases.write_ahead`), then applied in one call that
the function's alias takes atomically. A step forward names the alias's revision, so that one that
was decided before a rollback is refused after it.

All may raise ReleaseError when the present state does not allow the step, ReleaseNotFoundError
without a function or alias, ReleaseConflictError when somebody else moved the alias meanwhile, and
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
from movierec.releases.context import Releases
from movierec.releases.evaluation import Evaluation
from movierec.releases.log import StepName
from movierec.releases.policy import Policy
from movierec.releases.request import Request
from movierec.releases.rollback import roll_back
from movierec.releases.state_machine import NextAction, ReleaseState
from movierec.releases.traffic_split import Alias, TrafficSplit

MISSING_AFTER: Final = timedelta(seconds=90)
"""How long a canary has had users before silence counts against it: metrics are late at first."""


@dataclass(frozen=True, slots=True)
class Orchestrator:
    """The automatic side of a function's releases."""

    releases: Releases

    def begin(self, release_id: str, request: Request, policy: Policy) -> Admission:
        """Ask for a release, and say whether it is its turn: one release at a time.

        What is in the way is waited for, or ended first, as the policy says.
        """
        alias = self.releases.function.alias()
        if release_id not in self.releases.log.releases():
            facts = {"policy": asdict(policy), "request": asdict(request)}
            self.releases.write_ahead.write(release_id, "start", alias, facts=facts)
        found = self.releases.state_of(release_id)
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
        """Hold the release's model against the quality gate."""
        found, alias = self.releases.state_of(release_id), self.releases.function.alias()
        if found.state != "start":
            return found
        stable = self.releases.function.model_of(alias.split.stable) if alias else None
        model = found.request.model(self.releases.store, stable)
        faults = quality_gate.faults(self.releases.store, model, stable)
        name: StepName = "abort" if faults else "gate"
        reason = "; ".join(faults) or "loads, covers the users, beats popularity"
        self.releases.write_ahead.write(release_id, name, alias, model_version=model, reason=reason)
        return self.releases.state_of(release_id)

    def cut(self, release_id: str) -> ReleaseState:
        """Publish a version with the release's model."""
        found, alias = self.releases.state_of(release_id), self.releases.function.alias()
        if found.state not in ("gate", "cut"):
            return found
        model = str(found.model_version)
        version = self.releases.function.version_with(model)
        refused = admission.rejection_reason(self.releases.log, found, version, alias)
        if refused:
            self.releases.write_ahead.write(
                release_id, "abort", alias, model, version, reason=refused
            )
            return self.releases.state_of(release_id)
        if found.state == "gate":
            self.releases.write_ahead.write(release_id, "cut", alias, model, version)
        if version is None:
            self.releases.function.publish(
                model, release_log.describe_version(release_id, model, "")
            )
        return self.releases.state_of(release_id)

    def test(self, release_id: str) -> ReleaseState:
        """Ask the version what a user would ask, before any user does."""
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
        self.releases.run_smoke_test(release_id, alias, model, version)
        return self.releases.state_of(release_id)

    def advance(self, release_id: str, evaluation: Evaluation | None = None) -> ReleaseState:
        """Take the next step of a release that has passed its smoke test, or hold."""
        found, alias = self.releases.write_ahead.reconcile(self.releases.state_of(release_id))
        if found.closed or found.state not in ("smoke", "exposed"):
            return found
        everybody = TrafficSplit(str(found.version))
        if alias is None or alias.split == everybody:
            reason = "serves everybody already" if alias else "the first release"
            self.releases.write_ahead.apply(found, "promote", alias, everybody, reason=reason)
            return self.releases.state_of(release_id)
        verdict, now = (evaluation and evaluation.verdict) or "unclear", self.releases.log.now()
        decision = state_machine.next_action(found, verdict, now)
        facts = state_machine.record(found, verdict, evaluation)
        self._apply(found, alias, decision, facts, now)
        return self.releases.state_of(release_id)

    def end(self, release_id: str, reason: str) -> None:
        """End a release, whatever it is at; do nothing to one that has ended."""
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
    ) -> None:
        version = str(found.version)
        if decision.name == "hold":
            self.releases.write_ahead.write_next(
                found, "hold", alias, reason=decision.reason, facts=facts, at=now
            )
            if found.percent and now - found.since > MISSING_AFTER:
                self.releases.alarms.enable_missing_data(version)
            return
        if decision.name == "rollback":
            roll_back(self.releases, decision.reason, of=version, facts=facts, at=now)
            return
        after = TrafficSplit(version)
        if decision.name == "weigh":
            after = traffic_split.route(alias.split, version, decision.percent)
            self.releases.alarms.create(version)
        reason = decision.reason
        self.releases.write_ahead.apply(
            found, decision.name, alias, after, reason=reason, facts=facts, at=now
        )
