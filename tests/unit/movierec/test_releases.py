"""Releases end to end on in-memory ports: the state machine's steps, and people's and alarms'."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from movierec import evaluation as evaluations
from movierec import release_log, rollout
from movierec.errors import (
    ReleaseConflictError,
    ReleaseError,
    ReleaseNotFoundError,
    UnavailableError,
    UsageError,
)
from movierec.evaluation import Evaluation
from movierec.release_policy import Policy
from movierec.releases import Request
from movierec.routing import Alias, Routing
from tests.unit.movierec.release_lab import M1, M2, M3, POLICY, Lab, put_model

STABLE = Routing("1")


@pytest.fixture
def lab() -> Lab:
    found = Lab()
    found.serve(M1)
    return found


def canary(percent: float) -> Routing:
    return Routing("1", "2", percent)


# Turns


def test_a_release_begins_with_what_was_asked_for_and_by_which_policy(lab: Lab) -> None:
    release = lab.begin(Request(M2), margin=0.02)

    first = lab.last(release)
    assert first.name == "start"
    assert first.facts["request"] == {"model_version": M2, "code": False, "again": False}
    assert lab.releases.standing(release).policy == replace(POLICY, margin=0.02)


def test_beginning_twice_is_the_same_as_once(lab: Lab) -> None:
    release = lab.begin()

    assert lab.releases.begin(release, Request(), POLICY) == "now"
    assert lab.steps(release) == ["start"]


def test_a_release_waits_for_the_one_that_is_out(lab: Lab) -> None:
    first = lab.exposed()
    lab.function.deploy()
    lab.clock.advance(1)
    second = release_log.release_id(lab.clock.now())

    assert lab.releases.begin(second, Request(), POLICY) == "wait"
    lab.look(first, "worse")
    assert lab.releases.begin(second, Request(), POLICY) == "now"


def test_a_release_waits_for_one_that_is_not_out_yet(lab: Lab) -> None:
    lab.begin()
    lab.clock.advance(1)
    second = release_log.release_id(lab.clock.now())

    assert lab.releases.begin(second, Request(), POLICY) == "wait"


def test_a_release_that_died_before_its_first_user_is_not_waited_for(lab: Lab) -> None:
    lab.begin()
    lab.clock.advance(3_600)

    assert lab.begin()


def test_a_release_that_replaces_another_rolls_it_back(lab: Lab) -> None:
    first = lab.exposed()
    second = lab.begin(on_busy="replace")

    assert lab.releases.describe() == STABLE
    assert lab.last(first).name == "rollback"
    assert lab.last(first).reason == f"replaced by release {second}"


def test_a_release_that_replaces_one_without_users_aborts_it(lab: Lab) -> None:
    first = lab.tested()
    lab.begin(on_busy="replace")

    assert lab.steps(first)[-1] == "abort"


def test_a_canary_that_nobody_released_is_in_the_way_too(lab: Lab) -> None:
    lab.function.publish(M2, "")
    lab.function._alias = Alias(canary(10), None, "7")
    release = release_log.release_id(lab.clock.now())

    assert lab.releases.begin(release, Request(), POLICY) == "wait"
    replacing = replace(POLICY, on_busy="replace")
    lab.clock.advance(1)
    later = release_log.release_id(lab.clock.now())
    assert lab.releases.begin(later, Request(), replacing) == "now"
    assert lab.releases.describe() == STABLE


def test_a_release_that_has_ended_does_not_begin_again(lab: Lab) -> None:
    release = lab.tested()
    lab.releases.end(release, "thought better of it")

    assert lab.releases.begin(release, Request(), POLICY) == "closed"


# Gate, version, smoke test


def test_the_newest_model_is_released_unless_another_is_named(lab: Lab) -> None:
    put_model(lab.store, M3)

    assert lab.releases.check(lab.begin()).model_version == M3
    lab.clock.advance(3_600)
    assert lab.releases.check(lab.begin(Request(M2))).model_version == M2


def test_new_code_goes_out_with_the_stable_model(lab: Lab) -> None:
    lab.function.deploy()
    release = lab.tested(Request(code=True))

    found = lab.releases.standing(release)
    assert (found.model_version, found.version) == (M1, "2")


def test_a_model_that_the_gate_refuses_gets_no_version(lab: Lab) -> None:
    put_model(lab.store, M2, counts={"users": 10})
    release = lab.begin()

    found = lab.releases.check(release)

    assert found.state == "aborted"
    assert "knows 10 users" in found.reason
    assert lab.releases.cut(release).version is None


def test_what_everybody_has_already_is_not_released(lab: Lab) -> None:
    release = lab.begin(Request(M1))
    lab.releases.check(release)

    found = lab.releases.cut(release)
    assert (found.state, "serves everybody already" in found.reason) == ("aborted", True)


def test_cutting_twice_publishes_once(lab: Lab) -> None:
    release = lab.begin()
    lab.releases.check(release)
    lab.releases.cut(release)
    lab.releases.cut(release)

    assert len(lab.function._versions) == 2
    assert lab.steps(release).count("cut") == 1


def test_what_was_rolled_back_is_not_released_again_by_itself(lab: Lab) -> None:
    first = lab.exposed()
    lab.releases.rollback("bad")
    release = lab.begin()
    lab.releases.check(release)

    found = lab.releases.cut(release)

    assert found.state == "aborted"
    assert found.reason == f"version 2 was rolled back in release {first}"


def test_what_was_rolled_back_is_released_again_on_request(lab: Lab) -> None:
    lab.exposed()
    lab.releases.rollback("bad")

    release = lab.tested(Request(M2, again=True))

    assert lab.releases.standing(release).state == "smoke"


def test_a_version_that_was_promoted_after_all_is_no_longer_held_against_itself(lab: Lab) -> None:
    lab.exposed()
    lab.releases.rollback("by mistake")
    again = lab.tested(Request(M2, again=True))
    lab.releases.advance(again)
    lab.releases.promote()
    lab.clock.advance(1)
    lab.releases.release_now(M1)

    release = lab.begin(Request(M2))
    lab.releases.check(release)

    assert lab.releases.cut(release).state == "cut"


def test_a_version_that_fails_its_smoke_test_gets_nobody(lab: Lab) -> None:
    def broken(version: str, model: str, event: Mapping[str, Any]) -> object:
        return {"statusCode": 500, "body": f"no list for {event['pathParameters']['user_id']}"}

    lab.function.answer = broken
    release = lab.tested()

    found = lab.releases.standing(release)
    assert (found.state, found.reason) == ("aborted", "status 500: no list for 1")
    assert lab.releases.advance(release).state == "aborted"
    assert lab.releases.describe() == STABLE


def test_code_that_was_deployed_after_the_cut_ends_the_release(lab: Lab) -> None:
    release = lab.begin()
    lab.releases.check(release)
    lab.releases.cut(release)
    lab.function.deploy()

    with pytest.raises(ReleaseNotFoundError, match="deployed anew meanwhile"):
        lab.releases.test(release)


# Canary


def test_the_very_first_release_gets_everybody_at_once() -> None:
    lab = Lab()
    release = lab.tested()

    assert lab.releases.advance(release).state == "promoted"
    assert lab.releases.describe() == STABLE


def test_a_good_canary_gets_more_users_step_by_step(lab: Lab) -> None:
    release = lab.exposed()
    shares = [lab.releases.describe()]
    for _ in range(3):
        lab.look(release, "fine")
        shares.append(lab.releases.describe())

    assert shares == [canary(share) for share in (5, 25, 50, 100)]
    assert lab.look(release).state == "promoted"
    assert lab.releases.describe() == Routing("2")


def test_a_share_lasts_its_shortest_time(lab: Lab) -> None:
    release = lab.exposed()

    assert lab.look(release, "fine", seconds=59).percent == 5
    assert lab.last(release).name == "hold"
    assert lab.look(release, "fine", seconds=1).percent == 25


def test_a_bad_canary_is_rolled_back_at_once(lab: Lab) -> None:
    release = lab.exposed()

    found = lab.look(release, "worse", seconds=1)

    assert (found.state, lab.releases.describe()) == ("rolled back", STABLE)
    assert lab.last(release).facts["evaluation"]["verdict"] == "worse"


def test_a_canary_that_nobody_can_judge_is_rolled_back_in_the_end(lab: Lab) -> None:
    release = lab.exposed()

    assert lab.look(release, "unclear", seconds=200).state == "exposed"
    found = lab.look(release, "unclear", seconds=1)
    assert (found.state, found.reason) == ("rolled back", "no verdict after 200 s")


def test_a_look_without_an_evaluation_holds(lab: Lab) -> None:
    release = lab.exposed()

    assert lab.look(release, None, seconds=100).percent == 5


def test_a_canary_is_watched_before_its_first_user_and_data_are_expected_later(lab: Lab) -> None:
    release = lab.exposed(dwell_s=100)
    assert (lab.alarms.armed, lab.alarms.expecting) == ({"2"}, set())

    lab.look(release, "unclear", seconds=90)
    assert lab.alarms.expecting == set()
    lab.look(release, "unclear", seconds=1)
    assert lab.alarms.expecting == {"2"}


def test_a_canary_of_somebody_else_is_not_pushed_aside(lab: Lab) -> None:
    release = lab.tested()
    put_model(lab.store, M3)
    lab.clock.advance(1)
    lab.releases.release_now(M3, canary_percent=10)

    with pytest.raises(ReleaseError, match="version 3 is canary"):
        lab.releases.advance(release)
    assert lab.releases.describe() == Routing("1", "3", 10)
    assert lab.alarms.armed == set()


def test_a_version_that_somebody_gave_to_everybody_meanwhile_is_promoted(lab: Lab) -> None:
    release = lab.tested()
    lab.releases.release_now(M2)

    assert lab.releases.advance(release).state == "promoted"


# People and alarms


def test_a_paused_release_waits_and_its_time_begins_anew(lab: Lab) -> None:
    release = lab.exposed()
    lab.releases.pause(release, "lunch")
    assert lab.look(release, "fine", seconds=1_000).percent == 5

    lab.releases.resume(release)
    assert lab.look(release, "fine", seconds=59).percent == 5
    assert lab.look(release, "fine", seconds=1).percent == 25


def test_a_release_that_has_ended_cannot_be_paused(lab: Lab) -> None:
    release = lab.exposed()
    lab.releases.rollback()

    with pytest.raises(ReleaseError, match=r"is rolled back: there is nothing to pause"):
        lab.releases.pause(release)


def test_a_share_set_by_hand_is_where_the_release_goes_on(lab: Lab) -> None:
    release = lab.exposed()
    lab.releases.set_weights(40, "in a hurry")

    assert lab.look(release, "fine", seconds=59).percent == 40
    assert lab.look(release, "fine", seconds=1).percent == 50


def test_a_release_that_a_person_promoted_has_ended(lab: Lab) -> None:
    release = lab.exposed()
    lab.releases.promote("good enough")

    assert lab.look(release, "worse").state == "promoted"
    assert lab.releases.describe() == Routing("2")


def test_an_alarm_ends_a_release(lab: Lab) -> None:
    release = lab.exposed()
    facts = {"alarm": {"name": "errors"}}

    assert lab.releases.rollback("alarm", of="2", facts=facts) == STABLE
    assert lab.last(release).facts == facts
    assert lab.look(release, "fine").state == "rolled back"


def test_an_alarm_of_a_version_that_is_no_canary_changes_nothing(lab: Lab) -> None:
    release = lab.exposed()
    written = lab.steps(release)

    assert lab.releases.rollback("late", of="1") == canary(5)
    assert lab.steps(release) == written


def test_everybody_can_be_sent_back_to_an_earlier_version(lab: Lab) -> None:
    release = lab.exposed()
    lab.releases.promote()

    assert lab.releases.rollback("complaints", to="1") == STABLE
    assert lab.releases.standing(release).state == "rolled back"
    assert (lab.last(release).version, lab.last(release).model_version) == ("2", M2)


def test_an_earlier_version_beats_a_canary_too(lab: Lab) -> None:
    lab.exposed()
    lab.releases.promote()
    put_model(lab.store, M3)
    lab.exposed()

    assert lab.releases.rollback(to="1") == STABLE


def test_a_version_that_there_is_not_gets_nobody(lab: Lab) -> None:
    lab.exposed()

    with pytest.raises(ReleaseNotFoundError, match="no version 9"):
        lab.releases.rollback(to="9")
    assert lab.releases.describe() == canary(5)


@pytest.mark.parametrize("fault", ["store", "model"])
def test_a_rollback_that_cannot_be_written_down_is_carried_out_all_the_same(
    lab: Lab, fault: str
) -> None:
    lab.exposed()
    if fault == "store":
        lab.store.fail_puts = 1
    else:
        lab.function._versions.pop()  # Lambda does not say which model it was

    with pytest.raises((UnavailableError, ReleaseNotFoundError)):
        lab.releases.rollback()
    assert lab.releases.describe() == STABLE


# By hand


def test_by_hand_what_is_out_changes_only_its_share(lab: Lab) -> None:
    release, _ = lab.releases.release_now(M2, canary_percent=10)
    lab.clock.advance(1)

    again, routing = lab.releases.release_now(M2, canary_percent=30)

    assert (again, routing) == (release, canary(30))
    assert lab.steps(release) == ["cut", "smoke", "route", "weigh"]
    assert lab.releases.release_now(M2) == (release, Routing("2"))
    assert lab.last(release).name == "promote"


def test_by_hand_what_everybody_has_leaves_no_release_behind(lab: Lab) -> None:
    assert lab.releases.release_now(M1)[1] == STABLE
    assert len(lab.log.releases()) == 1
    assert lab.log.open_releases() == ()


def test_by_hand_a_broken_version_gets_nobody_and_the_release_ends(lab: Lab) -> None:
    lab.function.answer = lambda *_: "Segmentation fault"

    with pytest.raises(ReleaseError, match=r"failed its smoke test.*Segmentation fault"):
        lab.releases.release_now(M2, canary_percent=10)
    assert lab.releases.describe() == STABLE
    assert lab.log.open_releases() == ()


# Crashes


Crash = Callable[[Lab], None]


def before_the_call(lab: Lab) -> None:
    lab.function.fail_points = 1


def after_the_call(lab: Lab) -> None:
    lab.function.lose_answers = 1


@pytest.mark.parametrize("crash", [before_the_call, after_the_call])
def test_a_crash_on_the_way_to_more_users_is_repaired_at_the_next_look(
    lab: Lab, crash: Crash
) -> None:
    release = lab.exposed()
    crash(lab)
    with pytest.raises(UnavailableError):
        lab.look(release, "fine")

    assert lab.look(release, "unclear", seconds=1).percent == 25
    assert lab.releases.describe() == canary(25)
    assert lab.steps(release).count("weigh") == 2


@pytest.mark.parametrize("crash", [before_the_call, after_the_call])
def test_a_crash_at_the_end_is_repaired_when_the_release_is_closed(lab: Lab, crash: Crash) -> None:
    release = lab.exposed()
    lab.releases.set_weights(100)
    crash(lab)
    with pytest.raises(UnavailableError):
        lab.look(release)

    lab.releases.close(release)
    assert lab.releases.describe() == Routing("2")


@pytest.mark.parametrize("crash", [before_the_call, after_the_call])
def test_a_crash_at_the_very_first_release_is_repaired(crash: Crash) -> None:
    lab = Lab()
    release = lab.tested()
    crash(lab)
    with pytest.raises(UnavailableError):
        lab.releases.advance(release)

    assert lab.releases.advance(release).state == "promoted"
    assert lab.releases.describe() == STABLE


def test_a_step_that_cannot_be_written_down_is_not_taken(lab: Lab) -> None:
    release = lab.exposed()
    lab.clock.advance(61)
    found = lab.evaluation(release, "fine")
    lab.store.fail_puts = 1

    with pytest.raises(UnavailableError):
        lab.releases.advance(release, found)
    assert lab.releases.describe() == canary(5)
    assert lab.releases.advance(release, found).percent == 25


def test_a_step_that_was_decided_before_a_rollback_is_refused_after_it(lab: Lab) -> None:
    release = lab.exposed()
    point = lab.function.point

    class Overtaken:
        def point(self, *args: Any, **kwargs: Any) -> None:
            lab.releases.rollback("alarm", of="2")
            point(*args, **kwargs)

        def __getattr__(self, name: str) -> Any:
            return getattr(lab.function, name)

    slow = replace(lab.releases, function=Overtaken())
    lab.clock.advance(61)

    with pytest.raises(ReleaseConflictError):
        slow.advance(release, lab.evaluation(release, "fine"))
    assert lab.releases.advance(release).state == "rolled back"
    assert lab.releases.describe() == STABLE


def test_a_rollback_that_failed_while_a_promotion_got_through_is_made_good(lab: Lab) -> None:
    release = lab.exposed()
    point = lab.function.point

    class Overtaken:
        def point(self, *args: Any, **kwargs: Any) -> None:
            lab.function.fail_points = 1
            with pytest.raises(UnavailableError):
                lab.releases.rollback("alarm", of="2")
            point(*args, **kwargs)

        def __getattr__(self, name: str) -> Any:
            return getattr(lab.function, name)

    replace(lab.releases, function=Overtaken()).promote()
    assert lab.releases.describe() == Routing("2")

    lab.releases.close(release)
    assert lab.releases.describe() == STABLE


def test_who_goes_back_and_forth_stays_where_they_went_last(lab: Lab) -> None:
    release = lab.exposed()
    lab.releases.rollback()
    lab.releases.rollback("it was not the canary after all", to="2")

    lab.releases.close(release)

    assert lab.releases.describe() == Routing("2")
    assert lab.releases.standing(release).version == "2"


@pytest.mark.parametrize(
    ("moved", "state"),
    [(Routing("1"), "rolled back"), (Routing("2"), "promoted"), (canary(33), "exposed")],
)
def test_what_others_did_to_the_alias_is_written_down_as_it_is(
    lab: Lab, moved: Routing, state: str
) -> None:
    release = lab.exposed()
    lab.function._alias = Alias(moved, None, "99")

    found = lab.look(release, "unclear", seconds=1)

    assert (found.state, lab.releases.describe()) == (state, moved)
    assert (
        "moved by others"
        in [step.reason for step in lab.log.steps(release)][-1 - (state == "exposed")]
    )
    assert found.percent == moved.canary_percent


# The end


def test_people_hear_of_a_release_when_it_starts_and_when_it_ends(lab: Lab) -> None:
    release = lab.exposed()
    lab.releases.announce(release)
    lab.look(release, "worse")
    lab.releases.close(release)

    assert [attributes["event"] for _, _, attributes in lab.topic.sent] == ["start", "rollback"]
    subject, text, _ = lab.topic.sent[1]
    assert subject == f"movierec release {release} rolled back"
    assert text.endswith(f"https://s3/releases/{release}/page.html")
    assert lab.alarms.armed == set()


def test_a_notice_that_was_refused_is_sent_again_and_one_that_arrived_is_not(lab: Lab) -> None:
    release = lab.exposed()
    lab.releases.promote()
    lab.topic.fail = 1
    with pytest.raises(UnavailableError):
        lab.releases.close(release)

    lab.releases.close(release)
    lab.releases.close(release)
    assert [attributes["event"] for _, _, attributes in lab.topic.sent] == ["start", "promote"]


def test_a_release_that_goes_on_is_not_closed(lab: Lab) -> None:
    release = lab.exposed()

    lab.releases.close(release)

    assert lab.alarms.armed == {"2"}
    assert lab.topic.sent == []


def test_ending_a_release_takes_its_users_away(lab: Lab) -> None:
    release = lab.exposed()

    lab.releases.end(release, "the state machine failed")
    lab.releases.end(release, "again")

    assert lab.releases.describe() == STABLE
    assert lab.steps(release).count("rollback") == 1


def test_a_release_has_a_page(lab: Lab) -> None:
    release = lab.exposed()

    lab.releases.publish_page(release)

    assert release.encode() in lab.store.get(release_log.page_key(release))
    assert lab.steps(release)[-1] == "weigh"


def test_every_decision_of_a_real_run_can_be_taken_again_from_what_is_stored(lab: Lab) -> None:
    release = lab.exposed()
    lab.look(release, "unclear", seconds=10.0004)
    lab.look(release, "fine", seconds=50.0007)
    lab.releases.pause(release)
    lab.look(release, "fine", seconds=70)
    lab.releases.resume(release)
    lab.look(release, "fine")
    lab.look(release, "worse", seconds=1)

    def again(values: Mapping[str, Any], policy: Policy) -> Evaluation:
        found = Evaluation.from_json(values)
        return evaluations.replay(found, lab.store.get(str(found.trials_key)), policy)

    found = rollout.replay(lab.log.steps(release), again)

    assert [each.decided.name for each in found] == [
        *("weigh", "hold", "weigh", "hold", "weigh", "rollback")
    ]
    assert all(each.ok for each in found)


def test_a_request_is_read_from_what_the_state_machine_is_given() -> None:
    assert Request.read({}) == Request()
    read = Request.read({"model_version": M1, "code": False, "again": True})
    assert read == Request(M1, code=False, again=True)


@pytest.mark.parametrize("values", [{"code": 1}, {"again": "yes"}, {"model": M1}])
def test_a_request_of_another_form_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=next(iter(values))):
        Request.read(values)
