"""Who gets which version: the routing after each change, and Lambda's words for it."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from movierec.errors import ReleaseError
from movierec.releases import traffic_split
from movierec.releases.traffic_split import Routing

STABLE = Routing("1")
CANARY = Routing("1", "2", 20.0)
RELEASE = "20261120T101500123Z"

versions = st.integers(1, 10_000).map(str)
# Lambda keeps a weight as a decimal; a millionth of a percent is finer than anybody needs.
percents = st.integers(0, 10_000).map(lambda hundredths: hundredths / 100)


@st.composite
def routings(draw: st.DrawFn) -> Routing:
    stable, canary = draw(st.lists(versions, min_size=2, max_size=2, unique=True))
    return draw(st.sampled_from([Routing(stable), Routing(stable, canary, draw(percents))]))


def test_the_first_version_ever_gets_everybody() -> None:
    assert traffic_split.route(None, "1", 5) == Routing("1")


def test_a_later_version_becomes_canary_with_its_share() -> None:
    assert traffic_split.route(STABLE, "2", 5) == Routing("1", "2", 5)


def test_a_later_version_without_a_share_gets_everybody() -> None:
    assert traffic_split.route(STABLE, "2", None) == Routing("2")


def test_releasing_what_is_stable_changes_nothing() -> None:
    assert traffic_split.route(STABLE, "1", 5) == STABLE


def test_releasing_the_canary_again_sets_its_share() -> None:
    assert traffic_split.route(CANARY, "2", 30) == Routing("1", "2", 30)


@pytest.mark.parametrize("version", ["1", "3"])
def test_nothing_else_is_released_while_a_canary_is_out(version: str) -> None:
    with pytest.raises(ReleaseError, match=r"version 2 is canary with 20% .* roll it back"):
        traffic_split.route(CANARY, version, None)


def test_weighing_moves_only_the_share() -> None:
    assert traffic_split.weigh(CANARY, 50) == Routing("1", "2", 50)


def test_promotion_makes_the_canary_stable() -> None:
    assert traffic_split.promote(CANARY) == Routing("2")


@pytest.mark.parametrize("step", [lambda r: traffic_split.weigh(r, 50), traffic_split.promote])
def test_without_a_canary_there_is_no_way_forward(step: Any) -> None:
    with pytest.raises(ReleaseError, match="version 1 has all users"):
        step(STABLE)


@given(routings())
def test_a_rollback_is_always_allowed_and_repeatable(found: Routing) -> None:
    after = traffic_split.roll_back(found)

    assert after == Routing(found.stable)
    assert traffic_split.roll_back(after) == after


def test_a_rollback_to_an_earlier_version_gives_it_everybody() -> None:
    assert traffic_split.roll_back(CANARY, "7") == Routing("7")


@pytest.mark.parametrize("percent", [-0.1, 100.1, float("nan"), float("inf")])
def test_a_share_outside_0_to_100_is_refused(percent: float) -> None:
    with pytest.raises(ReleaseError, match="choose 0 to 100"):
        traffic_split.weigh(CANARY, percent)


def test_a_share_for_nobody_and_a_canary_of_itself_are_refused() -> None:
    with pytest.raises(ReleaseError, match="no canary"):
        Routing("1", None, 5)
    with pytest.raises(ReleaseError, match="at once"):
        Routing("1", "1", 5)


# Lambda's words


@given(routings())
def test_lambdas_alias_and_back_is_the_same_routing(found: Routing) -> None:
    alias = traffic_split.to_alias(found, RELEASE)

    assert traffic_split.of_alias(alias) == found
    assert traffic_split.release_of(alias) == RELEASE


@given(routings())
def test_no_additional_version_ever_weighs_1(found: Routing) -> None:
    """LocalStack refuses it, and a stable version with no users must still be named."""
    weights = traffic_split.to_alias(found, RELEASE)["RoutingConfig"]["AdditionalVersionWeights"]

    assert all(0 <= weight < 1 for weight in weights.values())


def test_at_100_percent_the_canary_is_the_aliass_own_version() -> None:
    alias = traffic_split.to_alias(Routing("1", "2", 100.0), RELEASE)

    assert alias["FunctionVersion"] == "2"
    assert alias["RoutingConfig"] == {"AdditionalVersionWeights": {"1": 0.0}}


@pytest.mark.parametrize(
    ("alias", "found"),
    [
        ({"FunctionVersion": "3"}, Routing("3")),
        ({"FunctionVersion": "3", "RoutingConfig": {}}, Routing("3")),
        ({"FunctionVersion": "3", "RoutingConfig": None, "Description": ""}, Routing("3")),
        (
            {"FunctionVersion": "3", "RoutingConfig": {"AdditionalVersionWeights": {"4": 0.07}}},
            Routing("3", "4", 7.0),
        ),
    ],
)
def test_an_alias_that_others_made_is_understood(alias: dict[str, Any], found: Routing) -> None:
    assert traffic_split.of_alias(alias) == found
    assert traffic_split.release_of(alias) is None


ARN = "arn:aws:lambda:eu-west-1:123456789012:function:movierec-api"
HEAD = "arn:aws:apigateway:eu-west-1:lambda:path/2015-03-31/functions/"
URI = f"{HEAD}{ARN}/invocations"
ALIASED = f"{HEAD}{ARN}:live/invocations"


def test_an_integration_is_led_through_the_alias_and_back() -> None:
    assert traffic_split.through_alias(URI) == ALIASED
    assert traffic_split.past_alias(ALIASED) == URI


def test_leading_it_through_the_alias_twice_is_the_same_as_once() -> None:
    assert traffic_split.through_alias(ALIASED) == ALIASED
    assert traffic_split.past_alias(URI) == URI


@pytest.mark.parametrize("uri", [URI, ALIASED])
def test_the_function_of_an_integration_is_unqualified(uri: str) -> None:
    assert traffic_split.function_in(uri) == ARN


@pytest.mark.parametrize("uri", ["", "https://example.org/x", f"{HEAD}x/invocations"])
def test_what_invokes_no_function_stays(uri: str) -> None:
    assert traffic_split.function_in(uri) is None
    assert traffic_split.through_alias(uri) == uri
    assert traffic_split.past_alias(uri) == uri
