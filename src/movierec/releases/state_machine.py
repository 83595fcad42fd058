"""A release's state, and its next action, as pure functions of its log.

    start ─▶ gate ─▶ cut ─▶ smoke ─▶ 5% ─▶ 25% ─▶ 50% ─▶ 100% ─▶ promoted
       │       │       │       │      └──────┴──────┴───────┴────▶ rolled back
       └───────┴───────┴───────┴▶ aborted (it never got requests)

A release's log is its program counter: `state_of` reduces the logged steps, `next_action` returns
the next one. So an execution may die at any point, and another one continues.
"""

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any, Final, Literal, cast

from movierec.errors import ArtifactError, ReleaseError, StoreError, UsageError
from movierec.releases.evaluation import Evaluation
from movierec.releases.log import CLOSING, Step, StepName
from movierec.releases.policy import Policy
from movierec.releases.request import Request
from movierec.releases.sequential_test import Verdict
from movierec.releases.traffic_split import ALL_PERCENT, TrafficSplit

State = Literal["start", "gate", "cut", "smoke", "exposed", "promoted", "rolled back", "aborted"]

_STATE_AFTER: Final[Mapping[StepName, State]] = {
    "start": "start",
    "gate": "gate",
    "cut": "cut",
    "smoke": "smoke",
    "route": "exposed",
    "weigh": "exposed",
    "promote": "promoted",
    "rollback": "rolled back",
    "abort": "aborted",
}

Finding = Verdict | Literal["refused"]
"""What an evaluation says: its verdict, or that it refused to give one."""

CLOSED: Final[frozenset[State]] = frozenset(_STATE_AFTER[name] for name in CLOSING)


@dataclass(frozen=True, slots=True)
class ReleaseState:
    """The state of a release, reduced from its steps."""

    release_id: str
    state: State
    request: Request
    policy: Policy
    began: datetime
    since: datetime
    """When the present share was set, or the release was last resumed."""
    model_version: str | None = None
    version: str | None = None
    stable: str | None = None
    percent: float = 0.0
    weights: tuple[tuple[datetime, float], ...] = ()
    """The canary's share over time: from when, percent."""
    split_before: TrafficSplit | None = None
    split: TrafficSplit | None = None
    """The alias's split before and after the last step that changed it."""
    revision: str | None = None
    """The alias's when that step was decided: any change since has given it another."""
    paused: bool = False
    reason: str = ""
    steps: int = 0
    """Number of steps, without holds, that it was reduced from."""

    @property
    def closed(self) -> bool:
        """Return whether the release has ended."""
        return self.state in CLOSED


def state_of(steps: Sequence[Step]) -> ReleaseState:
    """Reduce a release's steps, from its first, to its state. Raises ReleaseError for none.

    A step after the closing one (decided before it, refused after it) changes nothing, except a
    rollback: it overrides a promotion, and of two rollbacks the last has the present split.
    """
    if not steps:
        raise ReleaseError("a release without steps has no state: see `movierec release list`")
    first = steps[0]
    policy = _stored_policy(first)
    request = Request.read(first.facts.get("request", {}))
    found = ReleaseState(first.release_id, "start", request, policy, first.time, first.time)
    return functools.reduce(after_step, steps, found)


def after_step(found: ReleaseState, step: Step) -> ReleaseState:
    """Return the state after one more step; see `state_of` for steps after the end."""
    if not found.closed:
        return _after(found, step)
    return _after_late_rollback(found, step) if step.name == "rollback" else found


def _stored_policy(first: Step) -> Policy:
    try:
        return Policy.read(first.facts.get("policy", {}))
    except UsageError as exc:
        raise ReleaseError(
            f"release {first.release_id}: the policy that it was started with cannot be read "
            f"({exc}): it was written by other code; roll it back, and start another release"
        ) from exc


def _after_late_rollback(ended: ReleaseState, step: Step) -> ReleaseState:
    """Return the state after a rollback that follows the closing step.

    Such a step names the version that loses its requests, which may be another release's.
    """
    return replace(
        _after(ended, step),
        version=ended.version,
        model_version=ended.model_version,
        stable=ended.stable,
    )


def _after(before: ReleaseState, step: Step) -> ReleaseState:
    if step.name == "hold":
        return before
    known = replace(
        before,
        steps=before.steps + 1,
        model_version=step.model_version or before.model_version,
        version=step.version or before.version,
        stable=step.before.stable if step.before else before.stable,
    )
    if step.name == "pause":
        return replace(known, paused=True)
    if step.name == "resume":
        return replace(known, paused=False, since=step.time)
    if step.name not in _STATE_AFTER:
        return known
    moved = replace(known, state=_STATE_AFTER[step.name], reason=step.reason)
    if step.name in ("route", "weigh", *CLOSING):
        percent = step.after.canary_percent if step.after else 0.0
        weights = (*known.weights, (step.time, percent))
        return replace(
            moved,
            percent=percent,
            since=step.time,
            weights=weights,
            split_before=step.before,
            split=step.after,
            revision=step.facts.get("revision"),
        )
    return moved


@dataclass(frozen=True, slots=True)
class NextAction:
    """The next step and its reason. `percent` is the canary's share from then on."""

    name: Literal["hold", "weigh", "promote", "rollback"]
    percent: float
    reason: str


def finding(evaluation: Evaluation | None) -> Finding:
    """Return what an evaluation says; without one nothing is clear."""
    if evaluation is None:
        return "unclear"
    return "refused" if evaluation.refused else evaluation.verdict or "unclear"


def next_action(
    found: ReleaseState, verdict: Finding, now: datetime, refusal: str = ""
) -> NextAction:
    """Return the next step of a release whose canary gets requests, or is about to.

    A worse canary is rolled back even if the release is paused. `refusal` is why an evaluation
    gave no verdict.
    """
    if verdict != "worse":
        if found.paused:
            return NextAction("hold", found.percent, "paused by hand")
        if found.state == "smoke":
            return NextAction("weigh", found.policy.steps[0], "passed its smoke test")
    in_step_s = (now - found.since).total_seconds()
    return next_action_at(found.percent, verdict, in_step_s, found.policy, refusal)


def next_action_at(
    percent: float, verdict: Finding, in_step_s: float, policy: Policy, refusal: str = ""
) -> NextAction:
    """Return the next step of a canary that has had `percent` of requests for `in_step_s`.

    A step lasts at least `dwell_s`, and ends when the canary is shown to be not worse by the
    margin. At 100 % there is no control group: it only waits for `dwell_s`. A step without a
    verdict by its limit ends in a rollback.
    """
    if verdict == "worse":
        return NextAction("rollback", 0.0, "its lists are watched less than the stable version's")
    if in_step_s < policy.dwell_s:
        return NextAction("hold", percent, f"at {percent:g}% for {in_step_s:.0f} s")
    if percent >= ALL_PERCENT:
        return NextAction("promote", ALL_PERCENT, "held its time with all users")
    if verdict == "fine":
        share = next(step for step in policy.steps if step > percent)
        return NextAction("weigh", share, f"not worse by more than {policy.margin:g}")
    if in_step_s > policy.step_limit_s:
        why = f": {refusal}" if refusal else ""
        return NextAction("rollback", 0.0, f"no verdict after {policy.step_limit_s:g} s{why}")
    return NextAction("hold", percent, refusal or "no verdict yet")


def next_tick_s(found: ReleaseState, now: datetime) -> int:
    """Return the time until the next evaluation tick: whole seconds, at least 1.

    Not past the end of the step's shortest time, when a verdict may be acted on.
    """
    left_s = found.policy.dwell_s - (now - found.since).total_seconds()
    return max(1, round(min(found.policy.look_s, left_s if left_s > 0 else found.policy.look_s)))


def evaluation_event(found: ReleaseState) -> dict[str, Any]:
    """Return a release's event for `functions/evaluate_online`. Raises ReleaseError."""
    if found.version is None or found.stable is None:
        raise ReleaseError(f"release {found.release_id} has no canary to compare with another")
    return {
        "release_id": found.release_id,
        "stable": found.stable,
        "canary": found.version,
        "since": (found.weights[0][0] if found.weights else found.since).isoformat(),
        "weights": [[at.isoformat(), percent] for at, percent in found.weights],
        "policy": asdict(found.policy),
    }


# Replay -------------------------------------------------------------------------------------

EvaluationOf = Callable[[Mapping[str, Any], Policy], Evaluation]
"""Computes a stored evaluation again, from its stored trials."""


def record(found: ReleaseState, verdict: Finding, evaluation: Evaluation | None) -> dict[str, Any]:
    """Return the facts of a step from `next_action`: all that `replay` needs."""
    facts: dict[str, Any] = {"decided": {"verdict": verdict, "steps": found.steps}}
    if evaluation:
        facts["evaluation"] = evaluation.to_json()
    return facts


@dataclass(frozen=True, slots=True)
class Replayed:
    """A logged decision, and the same decision computed again."""

    at: str
    verdict: str
    decided: NextAction
    verdict_again: str
    again: NextAction | None
    fault: str = ""
    """Why it could not be computed again, "" if it could."""

    @property
    def ok(self) -> bool:
        """Return whether verdict, step and share are the same."""
        return (
            self.again is not None
            and self.verdict == self.verdict_again
            and self.decided.name == self.again.name
            and math.isclose(self.decided.percent, self.again.percent, abs_tol=1e-6)
        )


def replay(steps: Sequence[Step], evaluation_of: EvaluationOf) -> tuple[Replayed, ...]:
    """Compute all of a release's automatic decisions again, each from the state at its time.

    `steps` are all of the release's, holds too. An operator's or alarm's decisions are skipped.
    """
    settled = [step for step in steps if step.name != "hold"]
    return tuple(_replayed(step, settled, evaluation_of) for step in steps if _is_decided(step))


def _is_decided(step: Step) -> bool:
    return "decided" in step.facts


def _replayed(step: Step, settled: Sequence[Step], evaluation_of: EvaluationOf) -> Replayed:
    known = step.facts["decided"]
    decided = NextAction(cast("Any", step.name), _share(step), step.reason)
    found = state_of(settled[: known["steps"]])
    try:
        verdict = _verdict_again(step, found.policy, evaluation_of)
    except (ArtifactError, StoreError) as exc:
        return Replayed(step.at, known["verdict"], decided, "", None, str(exc))
    return Replayed(
        step.at, known["verdict"], decided, verdict, next_action(found, verdict, step.time)
    )


def _verdict_again(step: Step, policy: Policy, evaluation_of: EvaluationOf) -> Finding:
    evaluation = step.facts.get("evaluation")
    if evaluation and evaluation.get("refused"):
        return "refused"
    return (evaluation_of(evaluation, policy).verdict if evaluation else None) or "unclear"


def _share(step: Step) -> float:
    """Return the canary's percent of requests after an automatic step."""
    if step.name == "promote":
        return ALL_PERCENT
    split = step.after or step.before
    return split.canary_percent if split else 0.0
