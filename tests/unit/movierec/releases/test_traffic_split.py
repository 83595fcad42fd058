"""The traffic split after each change."""

from typing import Any

import pytest
from hypothesis import given

from movierec.errors import ReleaseError
from movierec.releases import traffic_split
from movierec.releases.traffic_split import TrafficSplit
from tests.unit.movierec.releases.splits import splits

STABLE = TrafficSplit("1")
CANARY = TrafficSplit("1", "2", 20.0)
RELEASE = "20261120T101500123Z"


def test_the_first_version_ever_gets_all_requests() -> None:
    assert traffic_split.route(None, "1", 5) == TrafficSplit("1")


def test_a_later_version_becomes_canary_with_its_share() -> None:
    assert traffic_split.route(STABLE, "2", 5) == TrafficSplit("1", "2", 5)


def test_a_later_version_without_a_share_gets_all_requests() -> None:
    assert traffic_split.route(STABLE, "2", None) == TrafficSplit("2")


def test_releasing_what_is_stable_changes_nothing() -> None:
    assert traffic_split.route(STABLE, "1", 5) == STABLE


def test_releasing_the_canary_again_sets_its_share() -> None:
    assert traffic_split.route(CANARY, "2", 30) == TrafficSplit("1", "2", 30)


@pytest.mark.parametrize("version", ["1", "3"])
def test_nothing_else_is_released_while_a_canary_is_out(version: str) -> None:
    with pytest.raises(ReleaseError, match=r"version 2 is canary with 20% .* roll it back"):
        traffic_split.route(CANARY, version, None)


def test_weighing_moves_only_the_share() -> None:
    assert traffic_split.weigh(CANARY, 50) == TrafficSplit("1", "2", 50)


def test_promotion_makes_the_canary_stable() -> None:
    assert traffic_split.promote(CANARY) == TrafficSplit("2")


@pytest.mark.parametrize("step", [lambda r: traffic_split.weigh(r, 50), traffic_split.promote])
def test_without_a_canary_there_is_no_way_forward(step: Any) -> None:
    with pytest.raises(ReleaseError, match="version 1 has all users"):
        step(STABLE)


@given(splits())
def test_a_rollback_is_always_allowed_and_repeatable(found: TrafficSplit) -> None:
    after = traffic_split.roll_back(found)

    assert after == TrafficSplit(found.stable)
    assert traffic_split.roll_back(after) == after


def test_a_rollback_to_an_earlier_version_gives_it_all_requests() -> None:
    assert traffic_split.roll_back(CANARY, "7") == TrafficSplit("7")


@pytest.mark.parametrize("percent", [-0.1, 100.1, float("nan"), float("inf")])
def test_a_share_outside_0_to_100_is_refused(percent: float) -> None:
    with pytest.raises(ReleaseError, match="choose 0 to 100"):
        traffic_split.weigh(CANARY, percent)


def test_a_share_without_a_canary_and_a_canary_of_itself_are_refused() -> None:
    with pytest.raises(ReleaseError, match="no canary"):
        TrafficSplit("1", None, 5)
    with pytest.raises(ReleaseError, match="at once"):
        TrafficSplit("1", "1", 5)
