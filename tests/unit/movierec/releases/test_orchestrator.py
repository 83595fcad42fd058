"""Releases end to end on in-memory ports: the state machine's steps."""

from collections.abc import Mapping
from typing import Any

import pytest

from movierec.errors import ReleaseError, ReleaseNotFoundError, UnavailableError
from movierec.releases import evaluation as evaluations
from movierec.releases import log, quality_gate, state_machine
from movierec.releases.by_hand import ByHand
from movierec.releases.evaluation import Evaluation
from movierec.releases.notifications import announce
from movierec.releases.orchestrator import Orchestrator
from movierec.releases.policy import Policy
from movierec.releases.request import Request
from movierec.releases.rollback import close
from movierec.releases.traffic_split import TrafficSplit
from movierec.reports.release_report import publish_page
from tests.unit.movierec.releases.release_lab import M2, M3, STABLE, Lab, canary, put_model


def test_a_model_that_the_gate_refuses_gets_no_version(lab: Lab) -> None:
    put_model(lab.store, M2, counts={"users": 10})
    release = lab.begin()

    found = Orchestrator(lab.releases).check(release)

    assert found.state == "aborted"
    assert "knows 10 users" in found.reason
    assert Orchestrator(lab.releases).cut(release).version is None


def test_a_refused_model_is_marked_and_the_notification_has_the_reason(lab: Lab) -> None:
    put_model(lab.store, M2, counts={"users": 10}, truncated=True)
    release = lab.begin()
    Orchestrator(lab.releases).check(release)
    announce(lab.releases, release)

    mark = quality_gate.recorded(lab.store, M2)
    assert mark is not None
    assert (mark["passed"], mark["release_id"]) == (False, release)
    assert len(mark["faults"]) == 2
    text = lab.topic.sent[-1][1]
    assert all(fault in text for fault in mark["faults"])


def test_a_truncated_model_is_released_if_the_request_allows_it(lab: Lab) -> None:
    put_model(lab.store, M2, truncated=True)
    assert Orchestrator(lab.releases).check(lab.begin()).state == "aborted"
    allowed = lab.begin(Request(M2, allow_truncated=True))
    assert Orchestrator(lab.releases).check(allowed).state == "gate"
    assert lab.releases.state_of(allowed).request.allow_truncated


def test_cutting_twice_publishes_once(lab: Lab) -> None:
    release = lab.begin()
    Orchestrator(lab.releases).check(release)
    Orchestrator(lab.releases).cut(release)
    Orchestrator(lab.releases).cut(release)

    assert len(lab.function._versions) == 2
    assert lab.steps(release).count("cut") == 1


def test_a_version_that_fails_its_smoke_test_gets_no_requests(lab: Lab) -> None:
    def broken(version: str, model: str, event: Mapping[str, Any]) -> object:
        return {"statusCode": 500, "body": f"no list for {event['pathParameters']['user_id']}"}

    lab.function.answer = broken
    release = lab.tested()

    found = lab.releases.state_of(release)
    assert (found.state, found.reason) == ("aborted", "status 500: no list for 1")
    assert Orchestrator(lab.releases).advance(release).state == "aborted"
    assert lab.releases.split() == STABLE


def test_code_that_was_deployed_after_the_cut_ends_the_release(lab: Lab) -> None:
    release = lab.begin()
    Orchestrator(lab.releases).check(release)
    Orchestrator(lab.releases).cut(release)
    lab.function.deploy()

    with pytest.raises(ReleaseNotFoundError, match="deployed anew meanwhile"):
        Orchestrator(lab.releases).test(release)


def test_the_very_first_release_gets_all_requests_at_once() -> None:
    lab = Lab()
    release = lab.tested()

    assert Orchestrator(lab.releases).advance(release).state == "promoted"
    assert lab.releases.split() == STABLE


def test_a_good_canary_gets_more_users_step_by_step(lab: Lab) -> None:
    release = lab.exposed()
    shares = [lab.releases.split()]
    for _ in range(3):
        lab.tick(release, "fine")
        shares.append(lab.releases.split())

    assert shares == [canary(share) for share in (5, 25, 50, 100)]
    assert lab.tick(release).state == "promoted"
    assert lab.releases.split() == TrafficSplit("2")


def test_a_share_lasts_its_shortest_time(lab: Lab) -> None:
    release = lab.exposed()

    assert lab.tick(release, "fine", seconds=59).percent == 5
    assert lab.last(release).name == "hold"
    assert lab.tick(release, "fine", seconds=1).percent == 25


def test_a_bad_canary_is_rolled_back_at_once(lab: Lab) -> None:
    release = lab.exposed()

    found = lab.tick(release, "worse", seconds=1)

    assert (found.state, lab.releases.split()) == ("rolled back", STABLE)
    assert lab.last(release).facts["evaluation"]["verdict"] == "worse"


def test_a_canary_without_a_verdict_is_rolled_back_in_the_end(lab: Lab) -> None:
    release = lab.exposed()

    assert lab.tick(release, "unclear", seconds=200).state == "exposed"
    found = lab.tick(release, "unclear", seconds=1)
    assert (found.state, found.reason) == ("rolled back", "no verdict after 200 s")


def test_a_canary_whose_lists_meet_no_line_of_the_site_is_held_and_ended_with_the_reason(
    lab: Lab,
) -> None:
    release = lab.exposed()
    now = lab.clock.now()
    refused = Evaluation(release, now, now, {}, {}, {}, refused="no line of the site: clocks?")

    lab.clock.advance(61)
    Orchestrator(lab.releases).advance(release, refused)

    assert lab.last(release).reason == "no line of the site: clocks?"
    assert lab.last(release).facts["decided"]["verdict"] == "refused"
    lab.clock.advance(200)
    found = Orchestrator(lab.releases).advance(release, refused)
    assert (found.state, found.reason) == (
        "rolled back",
        "no verdict after 200 s: no line of the site: clocks?",
    )


def test_a_look_without_an_evaluation_holds(lab: Lab) -> None:
    release = lab.exposed()

    assert lab.tick(release, None, seconds=100).percent == 5


def test_a_canary_is_watched_before_its_first_user_and_data_are_expected_later(lab: Lab) -> None:
    release = lab.exposed(dwell_s=100)
    assert (lab.alarms.armed, lab.alarms.expecting) == ({"2"}, set())

    lab.tick(release, "unclear", seconds=90)
    assert lab.alarms.expecting == set()
    lab.tick(release, "unclear", seconds=1)
    assert lab.alarms.expecting == {"2"}


def test_the_canary_of_another_release_is_not_replaced(lab: Lab) -> None:
    release = lab.tested()
    put_model(lab.store, M3)
    lab.clock.advance(1)
    ByHand(lab.releases).release_now(M3, canary_percent=10)

    with pytest.raises(ReleaseError, match="version 3 is canary"):
        Orchestrator(lab.releases).advance(release)
    assert lab.releases.split() == TrafficSplit("1", "3", 10)
    assert lab.alarms.armed == set()


def test_a_version_that_got_all_requests_meanwhile_is_promoted(lab: Lab) -> None:
    release = lab.tested()
    ByHand(lab.releases).release_now(M2)

    assert Orchestrator(lab.releases).advance(release).state == "promoted"


def test_people_hear_of_a_release_when_it_starts_and_when_it_ends(lab: Lab) -> None:
    release = lab.exposed()
    announce(lab.releases, release)
    lab.tick(release, "worse")
    close(lab.releases, release)

    assert [attributes["event"] for _, _, attributes in lab.topic.sent] == ["start", "rollback"]
    subject, text, _ = lab.topic.sent[1]
    assert subject == f"movierec release {release} rolled back"
    assert text.endswith(f"https://s3/releases/{release}/page.html")
    assert lab.alarms.armed == set()


def test_a_refused_notification_is_sent_again_and_a_delivered_one_is_not(
    lab: Lab,
) -> None:
    release = lab.exposed()
    ByHand(lab.releases).promote()
    lab.topic.fail = 1
    with pytest.raises(UnavailableError):
        close(lab.releases, release)

    close(lab.releases, release)
    close(lab.releases, release)
    assert [attributes["event"] for _, _, attributes in lab.topic.sent] == ["start", "promote"]


def test_a_release_that_goes_on_is_not_closed(lab: Lab) -> None:
    release = lab.exposed()

    close(lab.releases, release)

    assert lab.alarms.armed == {"2"}
    assert lab.topic.sent == []


def test_ending_a_release_takes_its_users_away(lab: Lab) -> None:
    release = lab.exposed()

    Orchestrator(lab.releases).end(release, "the state machine failed")
    Orchestrator(lab.releases).end(release, "again")

    assert lab.releases.split() == STABLE
    assert lab.steps(release).count("rollback") == 1


def test_a_release_has_a_page(lab: Lab) -> None:
    release = lab.exposed()

    publish_page(lab.releases.log, release)

    assert release.encode() in lab.store.get(log.page_key(release))
    assert lab.steps(release)[-1] == "weigh"


def test_every_decision_of_a_real_run_can_be_taken_again_from_what_is_stored(lab: Lab) -> None:
    release = lab.exposed()
    lab.tick(release, "unclear", seconds=10.0004)
    lab.tick(release, "fine", seconds=50.0007)
    ByHand(lab.releases).pause(release)
    lab.tick(release, "fine", seconds=70)
    ByHand(lab.releases).resume(release)
    lab.tick(release, "fine")
    lab.tick(release, "worse", seconds=1)

    def again(values: Mapping[str, Any], policy: Policy) -> Evaluation:
        found = Evaluation.from_json(values)
        return evaluations.replay(found, lab.store.get(str(found.trials_key)), policy)

    found = state_machine.replay(lab.log.steps(release), again)

    assert [each.decided.name for each in found] == [
        *("weigh", "hold", "weigh", "hold", "weigh", "rollback")
    ]
    assert all(each.ok for each in found)
