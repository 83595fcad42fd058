"""Releases in the hands of people and alarms."""

import pytest

from movierec.errors import (
    ReleaseConflictError,
    ReleaseError,
    ReleaseNotFoundError,
    UnavailableError,
)
from movierec.releases.by_hand import ByHand
from movierec.releases.rollback import roll_back
from movierec.releases.traffic_split import TrafficSplit
from tests.unit.movierec.releases.release_lab import M1, M2, M3, STABLE, Lab, canary, put_model


def test_a_paused_release_waits_and_its_time_begins_anew(lab: Lab) -> None:
    release = lab.exposed()
    ByHand(lab.releases).pause(release, "lunch")
    assert lab.tick(release, "fine", seconds=1_000).percent == 5

    ByHand(lab.releases).resume(release)
    assert lab.tick(release, "fine", seconds=59).percent == 5
    assert lab.tick(release, "fine", seconds=1).percent == 25


def test_a_release_that_has_ended_cannot_be_paused(lab: Lab) -> None:
    release = lab.exposed()
    roll_back(lab.releases)

    with pytest.raises(ReleaseError, match=r"is rolled back: there is nothing to pause"):
        ByHand(lab.releases).pause(release)


def test_a_share_set_by_hand_is_where_the_release_goes_on(lab: Lab) -> None:
    release = lab.exposed()
    ByHand(lab.releases).set_weights(40, "in a hurry")

    assert lab.tick(release, "fine", seconds=59).percent == 40
    assert lab.tick(release, "fine", seconds=1).percent == 50


def test_a_release_that_a_person_promoted_has_ended(lab: Lab) -> None:
    release = lab.exposed()
    ByHand(lab.releases).promote("good enough")

    assert lab.tick(release, "worse").state == "promoted"
    assert lab.releases.split() == TrafficSplit("2")


def test_an_alarm_ends_a_release(lab: Lab) -> None:
    release = lab.exposed()
    facts = {"alarm": {"name": "errors"}}

    assert roll_back(lab.releases, "alarm", of="2", facts=facts) == STABLE
    assert lab.last(release).facts == facts
    assert lab.tick(release, "fine").state == "rolled back"


def test_an_alarm_of_a_version_that_is_no_canary_changes_nothing(lab: Lab) -> None:
    release = lab.exposed()
    written = lab.steps(release)

    assert roll_back(lab.releases, "late", of="1") == canary(5)
    assert lab.steps(release) == written


def test_all_requests_can_be_sent_back_to_an_earlier_version(lab: Lab) -> None:
    release = lab.exposed()
    ByHand(lab.releases).promote()

    assert roll_back(lab.releases, "complaints", to="1") == STABLE
    assert lab.releases.state_of(release).state == "rolled back"
    assert (lab.last(release).version, lab.last(release).model_version) == ("2", M2)


def test_an_earlier_version_beats_a_canary_too(lab: Lab) -> None:
    lab.exposed()
    ByHand(lab.releases).promote()
    put_model(lab.store, M3)
    lab.exposed()

    assert roll_back(lab.releases, to="1") == STABLE


def test_a_missing_version_gets_no_requests(lab: Lab) -> None:
    lab.exposed()

    with pytest.raises(ReleaseNotFoundError, match="no version 9"):
        roll_back(lab.releases, to="9")
    assert lab.releases.split() == canary(5)


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
        roll_back(lab.releases)
    assert lab.releases.split() == STABLE


def test_by_hand_what_is_out_changes_only_its_share(lab: Lab) -> None:
    release, _ = ByHand(lab.releases).release_now(M2, canary_percent=10)
    lab.clock.advance(1)

    again, split = ByHand(lab.releases).release_now(M2, canary_percent=30)

    assert (again, split) == (release, canary(30))
    assert lab.steps(release) == ["cut", "smoke", "route", "weigh"]
    assert ByHand(lab.releases).release_now(M2) == (release, TrafficSplit("2"))
    assert lab.last(release).name == "promote"


def test_by_hand_a_version_with_all_requests_leaves_no_release_behind(lab: Lab) -> None:
    assert ByHand(lab.releases).release_now(M1)[1] == STABLE
    assert len(lab.log.releases()) == 1
    assert lab.log.open_releases() == ()


def test_by_hand_a_broken_version_gets_no_requests_and_the_release_ends(lab: Lab) -> None:
    lab.function.answer = lambda *_: "Segmentation fault"

    with pytest.raises(ReleaseError, match=r"failed its smoke test.*Segmentation fault"):
        ByHand(lab.releases).release_now(M2, canary_percent=10)
    assert lab.releases.split() == STABLE
    assert lab.log.open_releases() == ()


def test_a_promotion_decided_on_another_split_is_refused(lab: Lab) -> None:
    release = lab.exposed()
    seen = lab.releases.require_alias().revision
    lab.tick(release, "fine")
    written = lab.steps(release)

    with pytest.raises(ReleaseConflictError, match="version 2 gets 25% of requests"):
        ByHand(lab.releases).promote("looks good", revision=seen)

    assert lab.releases.split() == canary(25)
    assert lab.steps(release) == written
    again = lab.releases.require_alias().revision
    assert ByHand(lab.releases).promote("looks good", revision=again) == TrafficSplit("2")


def test_a_pause_decided_on_another_step_is_refused(lab: Lab) -> None:
    release = lab.exposed()
    seen = lab.releases.state_of(release).steps
    lab.tick(release, "fine")

    with pytest.raises(ReleaseConflictError, match="has taken another step since"):
        ByHand(lab.releases).pause(release, steps=seen)

    assert not lab.releases.state_of(release).paused
    assert ByHand(lab.releases).pause(release, steps=lab.releases.state_of(release).steps).paused
