"""Releases of the API function: each step decided, written down, then carried out.

Every change of routing is one call that the function's alias applies atomically. Steps forward
name the alias's revision, so that one that was decided before a rollback is refused after it; a
rollback names none and always goes through. What a crash leaves behind: `release_steps`.

`begin`, `check`, `cut`, `test`, `advance` and `close` are the state machine's, in that order, each
safe to repeat; the rest are a person's and the brakes'. All of them may raise ReleaseError when
the present state does not allow the step, ReleaseNotFoundError without a function or alias,
ReleaseConflictError when somebody else moved the alias meanwhile, and UnavailableError.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from movierec.errors import ReleaseError, ReleaseNotFoundError
from movierec.model import artifact
from movierec.ports import Clock, ObjectStore
from movierec.releases import admission, quality_gate, smoke_test, state_machine, traffic_split
from movierec.releases import log as release_log
from movierec.releases.admission import Turn
from movierec.releases.evaluation import Evaluation
from movierec.releases.log import ReleaseLog, Step, StepName
from movierec.releases.notifications import notices, record_key
from movierec.releases.policy import Policy
from movierec.releases.ports import CanaryAlarms, NoticeTopic, ServedFunction
from movierec.releases.request import Request, require_model
from movierec.releases.state_machine import Decision, Standing
from movierec.releases.traffic_split import ALIAS, Alias, Routing
from movierec.releases.write_ahead import Steps

MISSING_AFTER: Final = timedelta(seconds=90)
"""How long a canary has had users before silence counts against it: metrics are late at first."""


@dataclass(frozen=True, slots=True)
class Releases:
    """The releases of one function."""

    function: ServedFunction
    log: ReleaseLog
    clock: Clock
    alarms: CanaryAlarms
    topic: NoticeTopic
    link: Callable[[str], str]
    """Where people find an object of the artifacts bucket, by its key."""

    @property
    def store(self) -> ObjectStore:
        """Return the artifacts bucket."""
        return self.log.store

    @property
    def _steps(self) -> Steps:
        return Steps(self.function, self.log)

    # Looks ------------------------------------------------------------------------------

    def describe(self) -> Routing | None:
        """Return who gets which version, None before the first release."""
        alias = self.function.alias()
        return alias.routing if alias else None

    def models(self, found: Routing) -> Mapping[str, str | None]:
        """Return the model that each version of a routing is pinned to."""
        versions = (found.stable, found.canary)
        return {version: self.function.model_of(version) for version in versions if version}

    def standing(self, release_id: str) -> Standing:
        """Return where a release stands. Raises ReleaseNotFoundError."""
        return state_machine.standing(self.log.steps(release_id, holds=False))

    # The state machine's ----------------------------------------------------------------

    def begin(self, release_id: str, request: Request, policy: Policy) -> Turn:
        """Ask for a release, and say whether it is its turn: one release at a time.

        What is in the way is waited for, or ended first, as the policy says.
        """
        alias = self.function.alias()
        if release_id not in self.log.releases():
            facts = {"policy": asdict(policy), "request": asdict(request)}
            self._steps.write(release_id, "start", alias, facts=facts)
        found = self.standing(release_id)
        if found.closed:
            return "closed"
        others = admission.in_the_way(self.log, found, alias, self.clock.now())
        if others and policy.on_busy == "wait":
            return "wait"
        for other in others:
            self.end(other, f"replaced by release {release_id}")
        return "now"

    def check(self, release_id: str) -> Standing:
        """Hold the release's model against the quality gate."""
        found, alias = self.standing(release_id), self.function.alias()
        if found.state != "start":
            return found
        stable = self.function.model_of(alias.routing.stable) if alias else None
        model = found.request.model(self.store, stable)
        faults = quality_gate.faults(self.store, model, stable)
        name: StepName = "abort" if faults else "gate"
        reason = "; ".join(faults) or "loads, covers the users, beats popularity"
        self._steps.write(release_id, name, alias, model_version=model, reason=reason)
        return self.standing(release_id)

    def cut(self, release_id: str) -> Standing:
        """Publish a version with the release's model."""
        found, alias = self.standing(release_id), self.function.alias()
        if found.state not in ("gate", "cut"):
            return found
        model = str(found.model_version)
        version = self.function.version_with(model)
        refused = admission.refusal(self.log, found, version, alias)
        if refused:
            self._steps.write(release_id, "abort", alias, model, version, reason=refused)
            return self.standing(release_id)
        if found.state == "gate":
            self._steps.write(release_id, "cut", alias, model, version)
        if version is None:
            self.function.publish(model, release_log.describe_version(release_id, model, ""))
        return self.standing(release_id)

    def test(self, release_id: str) -> Standing:
        """Ask the version what a user would ask, before any user does."""
        found, alias = self.standing(release_id), self.function.alias()
        if found.state != "cut":
            return found
        model = str(found.model_version)
        version = self.function.version_with(model)
        if version is None:
            raise ReleaseNotFoundError(
                f"release {release_id}: no version of the present code has model {model}: it was "
                "deployed anew meanwhile; start another release"
            )
        self._smoke(release_id, alias, model, version)
        return self.standing(release_id)

    def advance(self, release_id: str, evaluation: Evaluation | None = None) -> Standing:
        """Take the next step of a release that has passed its smoke test, or hold."""
        found, alias = self._steps.settle(self.standing(release_id))
        if found.closed or found.state not in ("smoke", "exposed"):
            return found
        everybody = Routing(str(found.version))
        if alias is None or alias.routing == everybody:
            reason = "serves everybody already" if alias else "the first release"
            self._steps.take(found, "promote", alias, everybody, reason=reason)
            return self.standing(release_id)
        verdict, now = (evaluation and evaluation.verdict) or "unclear", self.log.now()
        decision = state_machine.decide(found, verdict, now)
        facts = state_machine.record(found, verdict, evaluation)
        self._carry_out(found, alias, decision, facts, now)
        return self.standing(release_id)

    def close(self, release_id: str) -> None:
        """Clean up behind a release that has ended, and tell people; one that is open is left."""
        found, _ = self._steps.settle(self.standing(release_id))
        if not found.closed:
            return
        if found.version:
            self.alarms.disarm(found.version)
        self.announce(release_id)

    def end(self, release_id: str, reason: str) -> None:
        """End a release, whatever it is at; do nothing to one that has ended."""
        alias = self.function.alias()
        if admission.out(alias) == release_id:
            self.rollback(reason)
            return
        found = self.standing(release_id)
        if not found.closed:
            self._steps.write_next(found, "abort", alias, reason=reason)

    def announce(self, release_id: str) -> None:
        """Tell people what they have not been told of a release. Raises UnavailableError."""
        link = self.link(release_log.page_key(release_id))
        for notice in notices(self.log.steps(release_id, holds=False), link):
            key = record_key(release_id, notice.event, "sns")
            if key not in self.store.keys(key):
                message = self.topic.publish(notice.subject, notice.text, notice.attributes)
                self.store.put(key, artifact.dump_json({"message_id": message}))

    # The brakes' and a person's ---------------------------------------------------------

    def rollback(
        self,
        reason: str = "",
        *,
        of: str | None = None,
        to: str | None = None,
        facts: Mapping[str, Any] | None = None,
        at: datetime | None = None,
    ) -> Routing:
        """Send everybody to the stable version, or an earlier one; do nothing if they are there.

        With `of`, only if that version is the canary; `at` is when it was decided, if not now.
        Users come before records: it is carried out even if it cannot be written down, and the
        error is raised after that.
        """
        alias = self._require_alias()
        before = alias.routing
        after = traffic_split.roll_back(before, to)
        if after == before or (of is not None and before.canary != of):
            return before
        if to is not None:
            self.function.model_of(to)  # raises for a version that there is not
        release, left = self._release_of(alias), before.canary or before.stable
        try:
            model = self.function.model_of(left)
            step = Step(release, self.function.name, model, before, "rollback", left, after, reason)
            written = replace(step, at=release_log.stamp(at) if at else "", facts=facts or {})
            self.log.write(written, insist=True)
        finally:
            self.function.force(after, release)
        return after

    def set_weights(self, canary_percent: float, reason: str = "") -> Routing:
        """Send another share of users to the canary."""
        return self._by_hand("weigh", lambda r: traffic_split.weigh(r, canary_percent), reason)

    def promote(self, reason: str = "") -> Routing:
        """Make the canary stable, for everybody."""
        return self._by_hand("promote", traffic_split.promote, reason)

    def pause(self, release_id: str, reason: str = "") -> Standing:
        """Have a release wait where it is; the brakes go on working."""
        return self._mark(release_id, "pause", reason)

    def resume(self, release_id: str, reason: str = "") -> Standing:
        """Have a paused release go on; its time at the present share begins anew."""
        return self._mark(release_id, "resume", reason)

    def release_now(
        self, model_version: str, reason: str = "", *, canary_percent: float | None = None
    ) -> tuple[str, Routing]:
        """Publish a version, test it, and send users to it at once, without gate and schedule.

        The first release gets everybody; later ones `canary_percent` of users, or everybody if it
        is None. A version that fails its smoke test is never routed to: ReleaseError says why.
        What is out already, to all or some, is not published again: only its share changes.
        Returns the release and the routing.
        """
        require_model(self.store, model_version)
        alias = self.function.alias()
        version = self.function.version_with(model_version)
        # Before anything is published: another canary may be out.
        after = traffic_split.route(
            alias.routing if alias else None, version or "new", canary_percent
        )
        if alias and version and version in (alias.routing.stable, alias.routing.canary):
            out, name = version, _step_to(after, "weigh")
            moved = self._by_hand(
                name, lambda r: traffic_split.route(r, out, canary_percent), reason
            )
            return self._release_of(alias), moved
        return self._cut_now(alias, model_version, version, canary_percent, reason)

    # Steps ------------------------------------------------------------------------------

    def _carry_out(
        self,
        found: Standing,
        alias: Alias,
        decision: Decision,
        facts: Mapping[str, Any],
        now: datetime,
    ) -> None:
        version = str(found.version)
        if decision.name == "hold":
            self._steps.write_next(
                found, "hold", alias, reason=decision.reason, facts=facts, at=now
            )
            if found.percent and now - found.since > MISSING_AFTER:
                self.alarms.expect_data(version)
            return
        if decision.name == "rollback":
            self.rollback(decision.reason, of=version, facts=facts, at=now)
            return
        after = Routing(version)
        if decision.name == "weigh":
            after = traffic_split.route(alias.routing, version, decision.percent)
            self.alarms.arm(version)
        reason = decision.reason
        self._steps.take(found, decision.name, alias, after, reason=reason, facts=facts, at=now)

    def _by_hand(
        self, name: StepName, change: Callable[[Routing], Routing], reason: str
    ) -> Routing:
        alias = self._require_alias()
        after, release = change(alias.routing), self._release_of(alias)
        if after != alias.routing:
            canary = str(alias.routing.canary)
            model = self.function.model_of(canary)
            self._steps.write(release, name, alias, model, canary, after=after, reason=reason)
            self.function.point(after, release, over=alias)
        return after

    def _cut_now(
        self,
        alias: Alias | None,
        model: str,
        version: str | None,
        canary_percent: float | None,
        reason: str,
    ) -> tuple[str, Routing]:
        release = self._new_release()
        self._steps.write(release, "cut", alias, model, version, reason=reason)
        if version is None:
            description = release_log.describe_version(release, model, reason)
            version = self.function.publish(model, description)
        faults = self._smoke(release, alias, model, version)
        if faults:
            raise ReleaseError(
                f"version {version} of {self.function.name} with model {model} failed its smoke "
                f"test and gets no users: {faults}"
            )
        after = traffic_split.route(alias.routing if alias else None, version, canary_percent)
        name = _step_to(after, "route")
        self._steps.write(release, name, alias, model, version, after=after, reason=reason)
        self.function.point(after, release, over=alias)
        return release, after

    def _mark(self, release_id: str, name: StepName, reason: str) -> Standing:
        found = self.standing(release_id)
        if found.closed:
            raise ReleaseError(
                f"release {release_id} is {found.state}: there is nothing to {name}; "
                "see `movierec release list`"
            )
        self._steps.write_next(found, name, self.function.alias(), reason=reason)
        return self.standing(release_id)

    # Parts ------------------------------------------------------------------------------

    def _smoke(self, release: str, alias: Alias | None, model: str, version: str) -> str:
        """Take the smoke test's step, or end the release; return what is wrong, "" if nothing."""
        faults = "; ".join(smoke_test.run(self.function, version, model))
        name: StepName = "abort" if faults else "smoke"
        self._steps.write(release, name, alias, model, version, reason=faults)
        return faults

    def _require_alias(self) -> Alias:
        alias = self.function.alias()
        if alias is None:
            raise ReleaseNotFoundError(
                f"{self.function.name} has no alias {ALIAS}: {ReleaseNotFoundError.next_step}"
            )
        return alias

    def _release_of(self, alias: Alias) -> str:
        """Return the release that the alias is in, a new one if nobody wrote that down."""
        return alias.release_id or self._new_release()

    def _new_release(self) -> str:
        return release_log.release_id(self.clock.now())


def _step_to(after: Routing, share: StepName) -> StepName:
    """Return the step that leads to a routing: one to a share of users, or everybody's."""
    return share if after.canary else "promote"
