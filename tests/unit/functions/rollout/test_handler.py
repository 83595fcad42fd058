"""The actions of a release as its state machine asks for them, one after the other."""

import logging
from typing import Any

import pytest
from aws_lambda_powertools import Logger

from functions.rollout.handler import Dependencies, act
from movierec.errors import ReleaseNotFoundError, UsageError
from movierec.releases import log
from movierec.releases.rollback import roll_back
from movierec.releases.traffic_split import TrafficSplit
from tests.unit.movierec.releases.release_lab import M1, M2, POLICY, Lab

RELEASE = "20261120T101501000Z"


class Machine(Lab):
    """Asks for actions as the state machine does."""

    def __init__(self) -> None:
        super().__init__()
        self.serve(M1)
        logger = Logger(service="test", level=logging.CRITICAL)
        self.deps = Dependencies(self.releases, POLICY, logger)

    def act(self, action: str, **more: Any) -> dict[str, Any]:
        return act({"action": action, "release_id": RELEASE, **more}, self.deps)

    def until_users(self) -> dict[str, Any]:
        for action in ("begin", "check", "cut", "test"):
            assert self.act(action)["next"] == "go"
        return self.act("advance")


@pytest.fixture
def machine() -> Machine:
    return Machine()


def test_a_good_release_goes_from_begin_to_close(machine: Machine) -> None:
    said = machine.until_users()
    shares = []
    while said["next"] == "look":
        shares.append(machine.releases.state_of(RELEASE).percent)
        machine.clock.advance(61)
        evaluation = machine.evaluation(RELEASE, "fine").to_json()
        said = machine.act("advance", evaluation=evaluation)

    assert shares == [5, 25, 50, 100]
    assert (said["state"], said["next"], said["evaluate"]) == ("promoted", "closed", None)
    assert machine.act("close")["state"] == "promoted"
    events = [attributes["event"] for _, _, attributes in machine.topic.sent]
    assert events == ["start", "promote"]


def test_between_looks_the_machine_is_told_how_long_to_wait_and_what_to_evaluate(
    machine: Machine,
) -> None:
    said = machine.until_users()

    assert (said["next"], said["wait_s"]) == ("look", 10)
    assert said["evaluate"]["canary"] == "2"
    assert said["evaluate"]["stable"] == "1"
    assert [percent for _, percent in said["evaluate"]["weights"]] == [5]


def test_every_action_can_be_repeated(machine: Machine) -> None:
    machine.until_users()
    written = machine.steps(RELEASE)

    for action in ("begin", "check", "cut", "test"):
        assert machine.act(action)["next"] == "go"
    assert machine.steps(RELEASE) == written


def test_a_release_without_a_name_is_named_after_its_start(machine: Machine) -> None:
    event = {"action": "begin", "release_id": "", "started_at": "2026-11-20T10:15:30.5Z"}

    assert act(event, machine.deps)["release_id"] == "20261120T101530500Z"


def test_the_events_policy_goes_over_the_functions_own(machine: Machine) -> None:
    machine.act("begin", policy={"margin": 0.5, "on_busy": "replace", "steps": [50, 100]})

    policy = machine.releases.state_of(RELEASE).policy
    assert (policy.margin, policy.on_busy, policy.steps) == (0.5, "replace", (50, 100))
    assert policy.dwell_s == POLICY.dwell_s


@pytest.mark.parametrize("policy", [{"margn": 0.5}, {"on_busy": "hurry"}, {"margin": 2}])
def test_a_policy_that_makes_no_sense_is_refused_before_anything_is_done(
    machine: Machine, policy: dict[str, Any]
) -> None:
    with pytest.raises(UsageError):
        machine.act("begin", policy=policy)
    assert RELEASE not in machine.log.releases()


def test_a_model_that_was_asked_for_is_released(machine: Machine) -> None:
    machine.act("begin", request={"model_version": M2})
    machine.act("check")

    assert machine.releases.state_of(RELEASE).model_version == M2


def test_a_release_that_must_wait_says_for_how_long(machine: Machine) -> None:
    machine.until_users()
    machine.clock.advance(5)
    other = {"action": "begin", "release_id": "20261120T101506000Z"}

    said = act(other, machine.deps)
    assert (said["next"], said["wait_s"], said["evaluate"]) == ("wait", 10, None)


def test_a_notice_that_cannot_be_sent_stops_nothing_at_the_start(machine: Machine) -> None:
    machine.topic.fail = 1

    assert machine.act("begin")["next"] == "go"


@pytest.mark.parametrize(
    ("cause", "reason"),
    [
        ("Lambda.Unknown", "Lambda.Unknown"),
        ('{"errorMessage": "no such metric", "stackTrace": ["  File"]}', "no such metric"),
        ('{"ErrorCode": 1}', '{"ErrorCode": 1}'),
        ("12", "12"),
    ],
)
def test_a_release_whose_machine_failed_loses_its_users(
    machine: Machine, cause: str, reason: str
) -> None:
    machine.until_users()

    said = machine.act("abort", reason=cause)

    assert (said["state"], said["reason"]) == ("rolled back", reason)
    assert machine.releases.split() == TrafficSplit("1")


def test_a_release_ends_when_it_fails_its_gate(machine: Machine) -> None:
    machine.act("begin", request={"model_version": "20261129T101500Z-abc-def"})

    assert machine.act("check")["next"] == "closed"


def test_the_page_is_written_at_every_step_and_not_at_every_look(machine: Machine) -> None:
    machine.until_users()
    key = log.page_key(RELEASE)
    assert b"exposed at 5%" in machine.store.get(key)
    before = machine.store.get(key)

    machine.clock.advance(1)
    machine.act("advance", evaluation=None)
    assert machine.store.get(key) == before
    roll_back(machine.releases, "alarm")
    machine.act("advance", evaluation=None)
    assert b"rolled back" in machine.store.get(key)


def test_a_page_is_published_on_request_whatever_the_last_step_was(machine: Machine) -> None:
    machine.until_users()
    machine.clock.advance(1)
    machine.act("advance", evaluation=None)
    assert machine.log.last(RELEASE).name == "hold"
    key, written = log.page_key(RELEASE), machine.steps(RELEASE)
    machine.store.put(key, b"an older page")

    for _ in range(2):
        assert machine.act("publish_page")["state"] == "exposed"

    assert b"exposed at 5%" in machine.store.get(key)
    assert machine.steps(RELEASE) == written


@pytest.mark.parametrize(
    "event",
    [
        {"action": "fly", "release_id": RELEASE},
        {"release_id": RELEASE},
        {"action": "begin"},
        {"action": "begin", "release_id": "", "started_at": "noon"},
    ],
)
def test_an_event_that_makes_no_sense_is_refused(machine: Machine, event: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        act(event, machine.deps)


def test_a_release_that_never_began_cannot_go_on(machine: Machine) -> None:
    with pytest.raises(ReleaseNotFoundError):
        machine.act("advance")
