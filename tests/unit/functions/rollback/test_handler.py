"""The automatic rollback: from a canary's alarm to no requests on it."""

import logging
from typing import Any

import pytest
from aws_lambda_powertools import Logger

from functions.rollback.handler import Alarm, Dependencies, alarms, handle_alarm
from functions.rollout import handler as rollout_handler
from movierec.errors import UnavailableError, UsageError
from movierec.releases.log import page_key
from movierec.releases.rollback import roll_back
from movierec.releases.traffic_split import TrafficSplit
from movierec.testing.releases import MemoryAsyncInvoker
from tests.unit.movierec.releases.release_lab import M1, M3, POLICY, Lab, put_model

ALARM = Alarm("movierec-canary-2-errors", "ALARM", "3 errors")


@pytest.fixture
def lab() -> Lab:
    found = Lab()
    found.serve(M1)
    return found


@pytest.fixture
def rollout() -> MemoryAsyncInvoker:
    return MemoryAsyncInvoker()


@pytest.fixture
def deps(lab: Lab, rollout: MemoryAsyncInvoker) -> Dependencies:
    return Dependencies(lab.releases, rollout, Logger(service="test", level=logging.CRITICAL))


def test_an_alarm_takes_the_canarys_users_away_and_people_hear_of_it(
    lab: Lab, deps: Dependencies
) -> None:
    release = lab.exposed()

    assert handle_alarm(ALARM, deps) == "2"
    assert lab.releases.split() == TrafficSplit("1")
    last = lab.last(release)
    assert (last.name, last.reason) == ("rollback", f"alarm {ALARM.name}: 3 errors")
    assert last.facts == {"alarm": {"name": ALARM.name, "reason": "3 errors"}}
    assert lab.topic.sent[-1][2]["event"] == "rollback"
    assert lab.alarms.armed == set()


def test_the_page_that_people_are_sent_to_tells_of_it_without_a_state_machine(
    lab: Lab, deps: Dependencies, rollout: MemoryAsyncInvoker
) -> None:
    release = lab.exposed()

    handle_alarm(ALARM, deps)

    [event] = rollout.events
    logger = Logger(service="test", level=logging.CRITICAL)
    answer = rollout_handler.act(event, rollout_handler.Dependencies(lab.releases, POLICY, logger))
    assert answer["state"] == "rolled back"
    assert b"3 errors" in lab.store.get(page_key(release))


def test_a_page_that_cannot_be_asked_for_stops_no_rollback(
    lab: Lab, deps: Dependencies, rollout: MemoryAsyncInvoker
) -> None:
    lab.exposed()
    rollout.fail = 1

    assert handle_alarm(ALARM, deps) == "2"
    assert lab.releases.split() == TrafficSplit("1")
    assert lab.topic.sent[-1][2]["event"] == "rollback"


def test_the_page_is_asked_for_when_people_have_been_told(
    lab: Lab, deps: Dependencies, rollout: MemoryAsyncInvoker
) -> None:
    lab.exposed()
    lab.topic.fail = 1

    with pytest.raises(UnavailableError):
        handle_alarm(ALARM, deps)

    assert rollout.events == []


def test_an_alarm_that_comes_twice_rolls_back_once(lab: Lab, deps: Dependencies) -> None:
    release = lab.exposed()
    handle_alarm(ALARM, deps)

    assert handle_alarm(ALARM, deps) is None
    assert lab.steps(release).count("rollback") == 1


def test_a_call_that_died_after_the_rollback_is_finished_by_the_next(
    lab: Lab, deps: Dependencies
) -> None:
    lab.exposed()
    lab.topic.fail = 1
    with pytest.raises(UnavailableError):
        handle_alarm(ALARM, deps)
    assert lab.releases.split() == TrafficSplit("1")

    handle_alarm(ALARM, deps)
    assert [attributes["event"] for _, _, attributes in lab.topic.sent] == ["start", "rollback"]


def test_a_late_alarm_leaves_the_next_canary_alone(lab: Lab, deps: Dependencies) -> None:
    lab.exposed()
    roll_back(lab.releases, "by hand")
    put_model(lab.store, M3)
    lab.exposed()

    assert handle_alarm(ALARM, deps) is None
    assert lab.releases.split() == TrafficSplit("1", "3", 5)
    assert "3" in lab.alarms.armed


@pytest.mark.parametrize(
    "alarm",
    [
        Alarm("movierec-canary-2-errors", "OK", "no errors"),
        Alarm("movierec-canary-2-errors", "INSUFFICIENT_DATA", "silence"),
        Alarm("movierec-availability", "ALARM", "something else"),
    ],
)
def test_any_other_alarm_changes_nothing(lab: Lab, deps: Dependencies, alarm: Alarm) -> None:
    lab.exposed()

    assert handle_alarm(alarm, deps) is None
    assert lab.releases.split() == TrafficSplit("1", "2", 5)


@pytest.mark.parametrize(
    "event",
    [{}, {"Records": [{}]}, {"Records": [{"Sns": {"Message": "no JSON"}}]}, {"Records": None}],
)
def test_what_is_no_alarm_is_refused(event: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="not an alarm's message from SNS"):
        list(alarms(event))
