"""Any interleaving of ticks, alarms, crashes and commands ends in a legal state."""

from datetime import UTC, datetime
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from movierec.errors import ReleaseError, UnavailableError
from movierec.model import artifact, sealed_folder
from movierec.releases import state_machine
from movierec.releases.by_hand import ByHand
from movierec.releases.evaluation import Evaluation
from movierec.releases.log import ReleaseLog, release_id
from movierec.releases.orchestrator import Orchestrator
from movierec.releases.policy import Policy
from movierec.releases.registry import Releases
from movierec.releases.request import Request
from movierec.releases.rollback import close, roll_back
from movierec.releases.sequential_test import Verdict
from movierec.releases.state_machine import CLOSED, ReleaseState
from movierec.testing.memory import FakeClock, MemoryStore
from movierec.testing.releases import MemoryAlarms, MemoryFunction, MemoryTopic

MODEL = "20261120T101500Z-abc-def"
POLICY = Policy(dwell_s=60, look_s=10, horizon_s=20, settle_s=5, step_limit_s=200)

# Fine more often, so that some get far.
VERDICTS: list[Verdict] = ["worse", "fine", "fine", "unclear"]
verdicts = st.sampled_from(VERDICTS)


def evaluation(verdict: Verdict) -> Evaluation:
    now = datetime(2026, 11, 20, tzinfo=UTC)
    return Evaluation("r", now, now, {}, {}, {}, verdict=verdict)


class Machine(RuleBasedStateMachine):
    """Releases on in-memory ports that fail now and then, driven by several hands at once."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = FakeClock()
        self.store = MemoryStore({artifact.key(MODEL, sealed_folder.MANIFEST_FILE): b"{}"})
        self.function, self.alarms = MemoryFunction(), MemoryAlarms()
        self.releases = Releases(
            self.function,
            ReleaseLog(self.store, self.clock),
            self.clock,
            self.alarms,
            MemoryTopic(),
            lambda key: key,
        )
        ByHand(self.releases).release_now(MODEL)
        self.release = ""
        self.gone: set[str] = set()

    def state_of(self) -> ReleaseState:
        return self.releases.state_of(self.release)

    def mend(self) -> None:
        self.store.fail_puts = self.function.fail_updates = self.function.lose_answers = 0

    def attempt(self, step: Any, *args: Any, **kwargs: Any) -> Any:
        """Take a step that may be refused, or die on the way."""
        try:
            return step(*args, **kwargs)
        except (ReleaseError, UnavailableError):
            return None

    @precondition(lambda self: not self.release or self.state_of().closed)
    @rule()
    def start(self) -> None:
        self.clock.advance(1)
        self.function.deploy()
        self.mend()
        self.release = release_id(self.clock.now())
        Orchestrator(self.releases).begin(self.release, Request(MODEL, again=True), POLICY)
        self.releases.log.write(self._gated())
        self.attempt(Orchestrator(self.releases).cut, self.release)
        self.attempt(Orchestrator(self.releases).test, self.release)

    def _gated(self) -> Any:
        first = self.releases.log.steps(self.release)[0]
        return type(first)(
            self.release, first.function, MODEL, first.before, "gate", reason="the gate has tests"
        )

    @precondition(lambda self: self.release)
    @rule(verdict=verdicts, seconds=st.sampled_from([1, 10, 70, 250]))
    def tick(self, verdict: Verdict, seconds: int) -> None:
        self.clock.advance(seconds)
        self.attempt(Orchestrator(self.releases).cut, self.release)
        self.attempt(Orchestrator(self.releases).test, self.release)
        self.attempt(Orchestrator(self.releases).advance, self.release, evaluation(verdict))

    def canary(self) -> str | None:
        found = self.releases.split()
        return found.canary if found else None

    def has_canary(self) -> bool:
        return self.canary() is not None

    @precondition(has_canary)
    @rule()
    def alarm(self) -> None:
        canary = self.canary()
        if canary and self.attempt(roll_back, self.releases, "alarm", of=canary) is not None:
            self.gone.add(canary)

    @precondition(has_canary)
    @rule(percent=st.sampled_from([0, 1, 50, 100]))
    def weights_by_hand(self, percent: int) -> None:
        self.attempt(ByHand(self.releases).set_weights, percent)

    @precondition(has_canary)
    @rule()
    def promote_by_hand(self) -> None:
        self.attempt(ByHand(self.releases).promote)

    @precondition(lambda self: self.release)
    @rule(name=st.sampled_from(["pause", "resume"]))
    def hold_by_hand(self, name: str) -> None:
        self.attempt(getattr(ByHand(self.releases), name), self.release)

    @rule(
        fault=st.sampled_from(["fail_updates", "lose_answers", "fail_puts"]),
        times=st.integers(1, 2),
    )
    def crash_next(self, fault: str, times: int) -> None:
        target = self.store if fault == "fail_puts" else self.function
        setattr(target, fault, times)

    @precondition(has_canary)
    @rule(step=st.sampled_from(["weights", "promote", "tick"]))
    def overtaken(self, step: str) -> None:
        """Have an alarm come between a step's decision and its call."""
        canary = self.canary()
        point = MemoryFunction.update_alias

        def late(function: MemoryFunction, *args: Any, **kwargs: Any) -> None:
            if self.attempt(roll_back, self.releases, "alarm", of=canary) is not None and canary:
                self.gone.add(canary)
            point(function, *args, **kwargs)

        slow = _Overtaken(self.function, late)
        other = Releases(
            slow,
            self.releases.log,
            self.clock,
            self.alarms,
            self.releases.topic,
            self.releases.link,
        )
        if step == "weights":
            self.attempt(ByHand(other).set_weights, 33)
        elif step == "promote":
            self.attempt(ByHand(other).promote)
        else:
            self.clock.advance(70)
            self.attempt(Orchestrator(other).advance, self.release, evaluation("fine"))

    @invariant()
    def nobody_is_sent_to_what_was_rolled_back(self) -> None:
        found = self.releases.split()
        assert found is not None
        assert not self.gone & {found.stable, found.canary}

    @invariant()
    def a_release_that_ended_keeps_no_canary(self) -> None:
        if not self.release or not self.state_of().closed:
            return
        self.mend()
        close(self.releases, self.release)
        found = self.releases.split()
        assert found is not None
        assert found.canary is None or self.state_of().version != found.canary
        assert self.state_of().version not in self.alarms.armed

    def teardown(self) -> None:
        """Whatever the machine decided can be decided again from the log alone."""
        self.mend()
        for release in self.releases.log.releases():
            steps = self.releases.log.steps(release)
            found = state_machine.replay(steps, lambda values, _: Evaluation.from_json(values))
            assert all(each.ok for each in found), [each for each in found if not each.ok]

    @invariant()
    def the_log_tells_where_the_alias_is(self) -> None:
        if self.release and self.state_of().state in CLOSED:
            found = self.releases.split()
            assert found is not None
            promoted = self.state_of().state == "promoted"
            assert (found.stable == self.state_of().version) == promoted


class _Overtaken:
    """A function whose alias somebody else moves just before `point`."""

    def __init__(self, function: MemoryFunction, point: Any) -> None:
        self._function, self._update_alias = function, point

    def update_alias(self, *args: Any, **kwargs: Any) -> None:
        self._update_alias(self._function, *args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._function, name)


TestReleases = Machine.TestCase
TestReleases.settings = settings(max_examples=200, stateful_step_count=30, deadline=None)
