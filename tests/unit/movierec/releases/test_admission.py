"""Whose turn it is, and what is not released at all."""

from dataclasses import replace

from movierec.releases import log
from movierec.releases.by_hand import ByHand
from movierec.releases.orchestrator import Orchestrator
from movierec.releases.request import Request
from movierec.releases.rollback import roll_back
from movierec.releases.traffic_split import Alias
from tests.unit.movierec.releases.release_lab import M1, M2, POLICY, STABLE, Lab, canary


def test_a_release_begins_with_what_was_asked_for_and_by_which_policy(lab: Lab) -> None:
    release = lab.begin(Request(M2), margin=0.02)

    first = lab.last(release)
    assert first.name == "start"
    assert first.facts["request"] == {"model_version": M2, "code": False, "again": False}
    assert lab.releases.state_of(release).policy == replace(POLICY, margin=0.02)


def test_beginning_twice_is_the_same_as_once(lab: Lab) -> None:
    release = lab.begin()

    assert Orchestrator(lab.releases).begin(release, Request(), POLICY) == "now"
    assert lab.steps(release) == ["start"]


def test_a_release_waits_for_the_one_that_is_out(lab: Lab) -> None:
    first = lab.exposed()
    lab.function.deploy()
    lab.clock.advance(1)
    second = log.release_id(lab.clock.now())

    assert Orchestrator(lab.releases).begin(second, Request(), POLICY) == "wait"
    lab.tick(first, "worse")
    assert Orchestrator(lab.releases).begin(second, Request(), POLICY) == "now"


def test_a_release_waits_for_one_that_is_not_out_yet(lab: Lab) -> None:
    lab.begin()
    lab.clock.advance(1)
    second = log.release_id(lab.clock.now())

    assert Orchestrator(lab.releases).begin(second, Request(), POLICY) == "wait"


def test_a_release_that_died_before_its_first_user_is_not_waited_for(lab: Lab) -> None:
    lab.begin()
    lab.clock.advance(3_600)

    assert lab.begin()


def test_a_release_that_replaces_another_rolls_it_back(lab: Lab) -> None:
    first = lab.exposed()
    second = lab.begin(on_busy="replace")

    assert lab.releases.split() == STABLE
    assert lab.last(first).name == "rollback"
    assert lab.last(first).reason == f"replaced by release {second}"


def test_a_release_that_replaces_one_without_users_aborts_it(lab: Lab) -> None:
    first = lab.tested()
    lab.begin(on_busy="replace")

    assert lab.steps(first)[-1] == "abort"


def test_a_canary_without_a_release_blocks_too(lab: Lab) -> None:
    lab.function.publish(M2, "")
    lab.function._alias = Alias(canary(10), None, "7")
    release = log.release_id(lab.clock.now())

    assert Orchestrator(lab.releases).begin(release, Request(), POLICY) == "wait"
    replacing = replace(POLICY, on_busy="replace")
    lab.clock.advance(1)
    later = log.release_id(lab.clock.now())
    assert Orchestrator(lab.releases).begin(later, Request(), replacing) == "now"
    assert lab.releases.split() == STABLE


def test_a_release_that_has_ended_does_not_begin_again(lab: Lab) -> None:
    release = lab.tested()
    Orchestrator(lab.releases).end(release, "thought better of it")

    assert Orchestrator(lab.releases).begin(release, Request(), POLICY) == "closed"


def test_a_version_with_all_requests_is_not_released(lab: Lab) -> None:
    release = lab.begin(Request(M1))
    Orchestrator(lab.releases).check(release)

    found = Orchestrator(lab.releases).cut(release)
    assert (found.state, "serves everybody already" in found.reason) == ("aborted", True)


def test_what_was_rolled_back_is_not_released_again_by_itself(lab: Lab) -> None:
    first = lab.exposed()
    roll_back(lab.releases, "bad")
    release = lab.begin()
    Orchestrator(lab.releases).check(release)

    found = Orchestrator(lab.releases).cut(release)

    assert found.state == "aborted"
    assert found.reason == f"version 2 was rolled back in release {first}"


def test_what_was_rolled_back_is_released_again_on_request(lab: Lab) -> None:
    lab.exposed()
    roll_back(lab.releases, "bad")

    release = lab.tested(Request(M2, again=True))

    assert lab.releases.state_of(release).state == "smoke"


def test_a_version_that_was_promoted_after_all_is_no_longer_held_against_itself(lab: Lab) -> None:
    lab.exposed()
    roll_back(lab.releases, "by mistake")
    again = lab.tested(Request(M2, again=True))
    Orchestrator(lab.releases).advance(again)
    ByHand(lab.releases).promote()
    lab.clock.advance(1)
    ByHand(lab.releases).release_now(M1)

    release = lab.begin(Request(M2))
    Orchestrator(lab.releases).check(release)

    assert Orchestrator(lab.releases).cut(release).state == "cut"
