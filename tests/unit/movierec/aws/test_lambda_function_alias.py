"""Users moved between versions on moto's Lambda, each step recorded."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from movierec.errors import ReleaseConflictError, ReleaseError, UnavailableError
from movierec.releases.by_hand import ByHand
from movierec.releases.log import ReleaseLog
from movierec.releases.registry import Releases
from movierec.releases.rollback import roll_back
from movierec.releases.traffic_split import ALIAS, TrafficSplit
from movierec.testing.memory import MemoryStore
from tests.unit.movierec.aws.lambda_function_lab import FUNCTION, M2, Lab

STEPS: list[Callable[[Releases], object]] = [
    lambda releases: ByHand(releases).set_weights(50),
    lambda releases: ByHand(releases).promote(),
]


def test_each_step_is_recorded_in_order(lab: Lab) -> None:
    lab.with_canary()
    ByHand(lab.releases).set_weights(50)
    ByHand(lab.releases).promote("good numbers")

    assert lab.steps() == [
        "0001-cut",
        "0002-smoke",
        "0003-promote",
        "0001-cut",
        "0002-smoke",
        "0003-route",
        "0004-weigh",
        "0005-promote",
    ]
    *_, last = lab.store.keys("releases/")
    written = json.loads(lab.store.get(last))
    assert set(written.pop("facts")) == {"revision"}
    assert written == {
        "release_id": "20261120T101600000Z",
        "function": FUNCTION,
        "model_version": M2,
        "before": {"stable": "1", "canary": "2", "canary_percent": 50.0},
        "name": "promote",
        "version": "2",
        "after": {"stable": "2", "canary": None, "canary_percent": 0.0},
        "reason": "good numbers",
        "at": "2026-11-20T10:16:00.000+00:00",
    }


@pytest.mark.parametrize("step", STEPS)
def test_a_step_that_cannot_be_recorded_is_not_taken(
    lab: Lab, step: Callable[[Releases], object]
) -> None:
    before = lab.with_canary()
    lab.store.fail_puts = 1

    with pytest.raises(UnavailableError):
        step(lab.releases)
    assert lab.releases.split() == before


def test_a_rollback_that_cannot_be_recorded_is_carried_out_all_the_same(lab: Lab) -> None:
    lab.with_canary()
    lab.store.fail_puts = 1

    with pytest.raises(UnavailableError):
        roll_back(lab.releases)
    assert lab.releases.split() == TrafficSplit("1")


@pytest.mark.parametrize("percent", [0, 5, 99.5, 100])
def test_a_share_set_is_the_share_described(lab: Lab, percent: float) -> None:
    lab.with_canary()

    assert ByHand(lab.releases).set_weights(percent) == TrafficSplit("1", "2", percent)
    assert lab.releases.split() == TrafficSplit("1", "2", percent)


def test_promotion_sends_all_requests_to_the_canary(lab: Lab) -> None:
    lab.with_canary()

    assert ByHand(lab.releases).promote() == TrafficSplit("2")
    assert lab.releases.split() == TrafficSplit("2")


@pytest.mark.parametrize("percent", [0, 20, 100])
def test_a_rollback_sends_all_requests_back(lab: Lab, percent: float) -> None:
    lab.with_canary()
    ByHand(lab.releases).set_weights(percent)

    assert roll_back(lab.releases, "errors") == TrafficSplit("1")
    assert lab.releases.split() == TrafficSplit("1")


def test_a_second_rollback_does_nothing(lab: Lab) -> None:
    lab.with_canary()
    roll_back(lab.releases)
    lab.client.calls.clear()
    written = lab.steps()

    assert roll_back(lab.releases) == TrafficSplit("1")
    assert [name for name, _ in lab.client.calls] == ["get_alias"]
    assert lab.steps() == written


@pytest.mark.parametrize("step", STEPS)
def test_after_a_rollback_there_is_no_way_forward(
    lab: Lab, step: Callable[[Releases], object]
) -> None:
    lab.with_canary()
    roll_back(lab.releases)

    with pytest.raises(ReleaseError, match="version 1 has all users"):
        step(lab.releases)


@pytest.mark.parametrize("step", STEPS)
def test_a_step_forward_is_bound_to_the_state_it_was_decided_on(
    lab: Lab, step: Callable[[Releases], object]
) -> None:
    """So that a rollback in between wins."""
    lab.with_canary()
    revision = lab.client.get_alias(FunctionName=FUNCTION, Name=ALIAS)["RevisionId"]

    step(lab.releases)

    assert lab.client.last("update_alias")["RevisionId"] == revision


def test_a_rollback_is_bound_to_no_state(lab: Lab) -> None:
    lab.with_canary()

    roll_back(lab.releases)

    assert "RevisionId" not in lab.client.last("update_alias")


def test_two_who_take_the_same_step_do_not_both_take_it(lab: Lab) -> None:
    """The other's record appears between our read and our write."""
    lab.with_canary()

    class Raced(MemoryStore):
        def keys(self, prefix: str) -> Iterator[str]:
            found = list(super().keys(prefix))
            self.objects.setdefault(f"{prefix}0004-rollback.json", b"")
            self.objects.setdefault(f"{prefix}0004-weigh.json", b"")
            return iter(found)

    raced = replace(lab.releases, log=ReleaseLog(Raced(lab.store.objects), lab.clock))

    with pytest.raises(ReleaseConflictError, match="somebody else is taking step 4"):
        ByHand(raced).set_weights(50)
    assert roll_back(raced) == TrafficSplit("1")
