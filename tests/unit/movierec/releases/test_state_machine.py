"""A release as values: folded from its steps, decided, and decided again."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from movierec import settings
from movierec.errors import ArtifactError, ReleaseError
from movierec.releases import state_machine
from movierec.releases.evaluation import Evaluation
from movierec.releases.log import Step, StepName, stamp
from movierec.releases.policy import Policy
from movierec.releases.sequential_test import Verdict
from movierec.releases.state_machine import NextAction, ReleaseState, next_action, state_of
from movierec.releases.traffic_split import TrafficSplit

START = datetime(2026, 11, 20, 10, 15, tzinfo=UTC)
RELEASE = "20261120T101500000Z"
STABLE = TrafficSplit("1")
POLICY = Policy(dwell_s=60, look_s=10, horizon_s=20, settle_s=5, step_limit_s=200)
POLICY_FACTS = {"dwell_s": 60, "look_s": 10, "horizon_s": 20, "settle_s": 5, "step_limit_s": 200}


def canary(percent: float) -> TrafficSplit:
    return TrafficSplit("1", "2", percent)


def step(
    name: StepName,
    seconds: float = 0,
    after: TrafficSplit | None = None,
    before: TrafficSplit = STABLE,
    **facts: Any,
) -> Step:
    at = stamp(START + timedelta(seconds=seconds))
    return Step(RELEASE, "f", "m2", before, name, "2", after, "", at, facts)


BEGUN = Step(RELEASE, "f", None, STABLE, "start", at=stamp(START), facts={"policy": POLICY_FACTS})
TESTED = (BEGUN, step("gate", 1), step("cut", 2), step("smoke", 3))
EXPOSED = (*TESTED, step("weigh", 4, canary(5)))


@pytest.mark.parametrize("stored", [{"margin": "wide"}, {"no_such_rule": 1}, ["dwell_s"]])
def test_a_stored_policy_that_cannot_be_read_is_the_releases_failure(stored: Any) -> None:
    """It was read from the log: no environment variable is to blame."""
    bad = replace(BEGUN, facts={"policy": stored})

    with pytest.raises(ReleaseError, match=f"release {RELEASE}: the policy") as caught:
        state_of((bad,))
    assert settings.RELEASE_POLICY not in str(caught.value)


@pytest.mark.parametrize(
    ("steps", "state"),
    [
        ((BEGUN,), "start"),
        (TESTED[:2], "gate"),
        (TESTED[:3], "cut"),
        (TESTED, "smoke"),
        (EXPOSED, "exposed"),
        ((*EXPOSED, step("hold", 9)), "exposed"),
        ((*EXPOSED, step("promote", 9, TrafficSplit("2"))), "promoted"),
        ((*EXPOSED, step("rollback", 9, STABLE)), "rolled back"),
        ((*TESTED, step("abort", 9)), "aborted"),
    ],
)
def test_the_last_step_tells_the_state(steps: tuple[Step, ...], state: str) -> None:
    assert state_of(steps).state == state


def test_a_state_has_versions_share_and_since_when() -> None:
    found = state_of((*EXPOSED, step("weigh", 70, canary(25), canary(5)), step("hold", 80)))

    assert (found.model_version, found.version, found.stable) == ("m2", "2", "1")
    assert (found.percent, found.since) == (25, START + timedelta(seconds=70))
    assert [percent for _, percent in found.weights] == [5, 25]
    assert (found.split_before, found.split) == (canary(5), canary(25))
    assert found.policy == POLICY


@pytest.mark.parametrize(
    "late", [step("weigh", 9, canary(50)), step("promote", 9, TrafficSplit("2"))]
)
def test_what_comes_after_a_rollback_changes_nothing(late: Step) -> None:
    """It was decided before, and the alias refused it."""
    ended = (*EXPOSED, step("rollback", 8, STABLE))

    assert state_of((*ended, late)) == state_of(ended)


def test_a_rollback_beats_a_promotion() -> None:
    steps = (*EXPOSED, step("promote", 8, TrafficSplit("2")), step("rollback", 9, STABLE))

    assert state_of(steps).state == "rolled back"
    assert state_of(steps).split == STABLE


def test_a_pause_lasts_until_it_is_resumed_and_time_begins_anew() -> None:
    paused = state_of((*EXPOSED, step("pause", 10)))
    resumed = state_of((*EXPOSED, step("pause", 10), step("resume", 50)))

    assert (paused.paused, paused.since) == (True, START + timedelta(seconds=4))
    assert (resumed.paused, resumed.since) == (False, START + timedelta(seconds=50))


def test_a_release_without_a_step_stands_nowhere() -> None:
    with pytest.raises(ReleaseError, match="release list"):
        state_of(())


# Decisions


def exposed(percent: float, seconds: float, **changes: Any) -> tuple[ReleaseState, datetime]:
    """Return a release that has had a share for some time, and the present."""
    found = replace(state_of(EXPOSED), percent=percent, since=START, **changes)
    return found, START + timedelta(seconds=seconds)


def test_after_the_smoke_test_the_first_users_come() -> None:
    assert next_action(state_of(TESTED), "unclear", START).percent == 5
    assert next_action(state_of(TESTED), "unclear", START).name == "weigh"


@pytest.mark.parametrize(
    ("percent", "seconds", "verdict", "name", "share"),
    [
        (5, 59, "fine", "hold", 5),  # its time is not over
        (5, 60, "fine", "weigh", 25),
        (25, 60, "fine", "weigh", 50),
        (50, 60, "fine", "weigh", 100),
        (33, 60, "fine", "weigh", 50),  # a share that was set by hand
        (100, 59, "unclear", "hold", 100),
        (100, 60, "unclear", "promote", 100),  # no control group is left
        (5, 60, "unclear", "hold", 5),
        (5, 200, "unclear", "hold", 5),
        (5, 200.001, "unclear", "rollback", 0),
        (5, 300, "fine", "weigh", 25),
        (5, 0, "worse", "rollback", 0),
        (100, 0, "worse", "rollback", 0),
    ],
)
def test_the_next_step_follows_from_share_time_and_verdict(
    percent: float, seconds: float, verdict: Verdict, name: str, share: float
) -> None:
    found, now = exposed(percent, seconds)
    decision = next_action(found, verdict, now)
    assert (decision.name, decision.percent) == (name, share)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (100, NextAction("hold", 5, "clocks?")),
        (300, NextAction("rollback", 0, "no verdict after 200 s: clocks?")),
    ],
)
def test_a_refused_evaluation_waits_as_without_a_verdict_and_says_why(
    seconds: float, expected: NextAction
) -> None:
    found, now = exposed(5, seconds)

    assert next_action(found, "refused", now, "clocks?") == expected


@pytest.mark.parametrize("seconds", [10, 100, 1000])
def test_a_paused_release_waits_beyond_its_limit(seconds: float) -> None:
    found, now = exposed(5, seconds, paused=True)

    assert next_action(found, "fine", now) == NextAction("hold", 5, "paused by hand")
    assert next_action(found, "worse", now).name == "rollback"


def test_the_next_look_is_not_past_the_end_of_the_shortest_time() -> None:
    assert state_machine.next_tick_s(*exposed(5, 0)) == 10
    assert state_machine.next_tick_s(*exposed(5, 57)) == 3
    assert state_machine.next_tick_s(*exposed(5, 59.9)) == 1
    assert state_machine.next_tick_s(*exposed(5, 100)) == 10


def test_an_evaluation_is_asked_for_with_the_shares_over_time_and_the_policy() -> None:
    event = state_machine.evaluation_event(state_of(EXPOSED))

    assert (event["release_id"], event["stable"], event["canary"]) == (RELEASE, "1", "2")
    assert event["since"] == "2026-11-20T10:15:04+00:00"
    assert event["weights"] == [["2026-11-20T10:15:04+00:00", 5.0]]
    assert event["policy"]["dwell_s"] == 60


def test_without_a_canary_there_is_nothing_to_evaluate() -> None:
    with pytest.raises(ReleaseError, match="no canary"):
        state_machine.evaluation_event(state_of((BEGUN,)))


# Replay


def evaluated(verdict: Verdict) -> Evaluation:
    return Evaluation(RELEASE, START, START, {}, {}, {}, verdict=verdict)


def decided(
    name: StepName,
    seconds: float,
    after: TrafficSplit | None,
    before: TrafficSplit,
    *,
    seen: int,
    verdict: Verdict,
) -> Step:
    """Return a step as the machine writes it."""
    evaluation = evaluated(verdict).to_json()
    facts = {"decided": {"verdict": verdict, "steps": seen}, "evaluation": evaluation}
    return step(name, seconds, after, before, **facts)


def as_stored(values: Mapping[str, Any], _policy: Policy) -> Evaluation:
    return Evaluation.from_json(values)


RUN = (
    *TESTED,
    step("weigh", 4, canary(5), decided={"verdict": "unclear", "steps": 4}),
    decided("hold", 14, None, canary(5), seen=5, verdict="unclear"),
    step("pause", 20, None, canary(5)),
    decided("hold", 70, None, canary(5), seen=6, verdict="fine"),
    step("resume", 80, None, canary(5)),
    decided("weigh", 140, canary(25), canary(5), seen=7, verdict="fine"),
    decided("rollback", 150, STABLE, canary(25), seen=8, verdict="worse"),
)


def test_every_decision_of_the_machine_comes_out_the_same() -> None:
    found = state_machine.replay(RUN, as_stored)

    assert [each.decided.name for each in found] == ["weigh", "hold", "hold", "weigh", "rollback"]
    assert all(each.ok for each in found)


def test_a_decision_on_a_refused_evaluation_comes_out_the_same_without_trials() -> None:
    refused = Evaluation(RELEASE, START, START, {}, {}, {}, refused="clocks?").to_json()
    facts = {"decided": {"verdict": "refused", "steps": 5}, "evaluation": refused}

    def never(values: Mapping[str, Any], policy: Policy) -> Evaluation:
        raise ArtifactError("it has no trials")

    (_, held) = state_machine.replay((*RUN[:5], step("hold", 14, None, canary(5), **facts)), never)

    assert held.ok
    assert held.verdict_again == "refused"


def test_other_trials_lead_to_another_verdict_and_that_is_found_out() -> None:
    def worse(values: Mapping[str, Any], policy: Policy) -> Evaluation:
        return replace(as_stored(values, policy), verdict="worse")

    found = state_machine.replay(RUN, worse)

    assert [each.ok for each in found] == [True, False, False, False, True]
    assert found[1].again == NextAction(
        "rollback", 0.0, "its lists are watched less than the stable version's"
    )


@pytest.mark.parametrize(
    "forged",
    [
        decided("weigh", 140, canary(50), canary(5), seen=7, verdict="fine"),  # another share
        decided("weigh", 139, canary(25), canary(5), seen=7, verdict="fine"),  # too early
        decided(
            "promote", 140, TrafficSplit("2"), canary(5), seen=7, verdict="fine"
        ),  # another step
    ],
)
def test_a_step_that_does_not_follow_is_found_out(forged: Step) -> None:
    found = state_machine.replay((*RUN[:9], forged), as_stored)

    assert not found[-1].ok


def test_trials_that_were_changed_are_a_difference_with_its_reason() -> None:
    def broken(values: Mapping[str, Any], policy: Policy) -> Evaluation:
        raise ArtifactError("it was changed after the look")

    found = state_machine.replay(RUN, broken)

    assert [each.ok for each in found] == [True, False, False, False, False]
    assert found[1].fault == "it was changed after the look"


def test_a_step_that_was_written_between_look_and_decision_does_not_count() -> None:
    """An alarm's rollback came first, but the machine had not seen it."""
    raced = (*RUN[:9], step("rollback", 139, STABLE, canary(5)), RUN[9])

    assert all(each.ok for each in state_machine.replay(raced, as_stored))


def test_what_a_person_did_is_not_decided_again() -> None:
    assert state_machine.replay((*EXPOSED, step("promote", 9, TrafficSplit("2"))), as_stored) == ()
