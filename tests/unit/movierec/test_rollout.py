"""Releases as values: the routing after each step, Lambda's words for it, and the smoke test."""

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from movierec import rollout
from movierec.errors import ReleaseError
from movierec.rollout import Routing, Step

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
    assert rollout.route(None, "1", 5) == Routing("1")


def test_a_later_version_becomes_canary_with_its_share() -> None:
    assert rollout.route(STABLE, "2", 5) == Routing("1", "2", 5)


def test_a_later_version_without_a_share_gets_everybody() -> None:
    assert rollout.route(STABLE, "2", None) == Routing("2")


def test_releasing_what_is_stable_changes_nothing() -> None:
    assert rollout.route(STABLE, "1", 5) == STABLE


def test_releasing_the_canary_again_sets_its_share() -> None:
    assert rollout.route(CANARY, "2", 30) == Routing("1", "2", 30)


@pytest.mark.parametrize("version", ["1", "3"])
def test_nothing_else_is_released_while_a_canary_is_out(version: str) -> None:
    with pytest.raises(ReleaseError, match=r"version 2 is canary with 20% .* roll it back"):
        rollout.route(CANARY, version, None)


def test_weighing_moves_only_the_share() -> None:
    assert rollout.weigh(CANARY, 50) == Routing("1", "2", 50)


def test_promotion_makes_the_canary_stable() -> None:
    assert rollout.promote(CANARY) == Routing("2")


@pytest.mark.parametrize("step", [lambda r: rollout.weigh(r, 50), rollout.promote])
def test_without_a_canary_there_is_no_way_forward(step: Any) -> None:
    with pytest.raises(ReleaseError, match="version 1 has all users"):
        step(STABLE)


@given(routings())
def test_a_rollback_is_always_allowed_and_repeatable(routing: Routing) -> None:
    after = rollout.roll_back(routing)

    assert after == Routing(routing.stable)
    assert rollout.roll_back(after) == after


@pytest.mark.parametrize("percent", [-0.1, 100.1, float("nan"), float("inf")])
def test_a_share_outside_0_to_100_is_refused(percent: float) -> None:
    with pytest.raises(ReleaseError, match="choose 0 to 100"):
        rollout.weigh(CANARY, percent)


def test_a_share_for_nobody_and_a_canary_of_itself_are_refused() -> None:
    with pytest.raises(ReleaseError, match="no canary"):
        Routing("1", None, 5)
    with pytest.raises(ReleaseError, match="at once"):
        Routing("1", "1", 5)


# Lambda's words


@given(routings())
def test_lambdas_alias_and_back_is_the_same_routing(routing: Routing) -> None:
    alias = rollout.to_alias(routing, RELEASE)

    assert rollout.of_alias(alias) == routing
    assert rollout.release_of(alias) == RELEASE


@given(routings())
def test_no_additional_version_ever_weighs_1(routing: Routing) -> None:
    """LocalStack refuses it, and a stable version with no users must still be named."""
    weights = rollout.to_alias(routing, RELEASE)["RoutingConfig"]["AdditionalVersionWeights"]

    assert all(0 <= weight < 1 for weight in weights.values())


def test_at_100_percent_the_canary_is_the_aliass_own_version() -> None:
    alias = rollout.to_alias(Routing("1", "2", 100.0), RELEASE)

    assert alias["FunctionVersion"] == "2"
    assert alias["RoutingConfig"] == {"AdditionalVersionWeights": {"1": 0.0}}


@pytest.mark.parametrize(
    ("alias", "routing"),
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
def test_an_alias_that_others_made_is_understood(alias: dict[str, Any], routing: Routing) -> None:
    assert rollout.of_alias(alias) == routing
    assert rollout.release_of(alias) is None


ARN = "arn:aws:lambda:eu-west-1:123456789012:function:movierec-api"
HEAD = "arn:aws:apigateway:eu-west-1:lambda:path/2015-03-31/functions/"
URI = f"{HEAD}{ARN}/invocations"
ALIASED = f"{HEAD}{ARN}:live/invocations"


def test_an_integration_is_led_through_the_alias_and_back() -> None:
    assert rollout.through_alias(URI) == ALIASED
    assert rollout.past_alias(ALIASED) == URI


def test_leading_it_through_the_alias_twice_is_the_same_as_once() -> None:
    assert rollout.through_alias(ALIASED) == ALIASED
    assert rollout.past_alias(URI) == URI


@pytest.mark.parametrize("uri", [URI, ALIASED])
def test_the_function_of_an_integration_is_unqualified(uri: str) -> None:
    assert rollout.function_in(uri) == ARN


@pytest.mark.parametrize("uri", ["", "https://example.org/x", f"{HEAD}x/invocations"])
def test_what_invokes_no_function_stays(uri: str) -> None:
    assert rollout.function_in(uri) is None
    assert rollout.through_alias(uri) == uri
    assert rollout.past_alias(uri) == uri


# Records


def test_release_names_sort_by_time_whatever_the_zone() -> None:
    noon = datetime(2026, 11, 20, 12, tzinfo=UTC)
    later = (noon + timedelta(milliseconds=1)).astimezone(timezone(timedelta(hours=-8)))

    assert rollout.release_id(noon) == "20261120T120000000Z"
    assert rollout.release_id(noon) < rollout.release_id(later)


def test_a_step_is_written_under_its_number() -> None:
    key = rollout.step_key(RELEASE, 12, "promote")

    assert key == f"releases/{RELEASE}/0012-promote.json"
    assert rollout.step_number(key) == 12


def test_a_step_says_what_was_and_what_will_be() -> None:
    step = Step(RELEASE, "f", "m1", CANARY, "promote", "2", Routing("2"), "good", "2026-11-20")

    written = json.loads(rollout.dump_step(step))
    assert written["before"] == {"stable": "1", "canary": "2", "canary_percent": 20.0}
    assert written["after"] == {"stable": "2", "canary": None, "canary_percent": 0.0}
    assert (written["name"], written["version"], written["reason"]) == ("promote", "2", "good")


def test_a_versions_description_fits_and_names_its_release() -> None:
    description = rollout.describe_version(RELEASE, "m1", "x" * 300)

    assert description.startswith(f"{RELEASE} m1 xxx")
    assert len(description) == 256


# Smoke test


def answer(**changes: Any) -> dict[str, Any]:
    headers = {"X-Function-Version": "2", "X-Model-Version": "m2"}
    return {"statusCode": 200, "headers": headers, "body": "a,b", **changes}


def faults(given: object) -> tuple[str, ...]:
    return rollout.smoke_faults(given, version="2", model_version="m2")


def test_a_fit_version_passes_the_smoke_test() -> None:
    assert faults(answer()) == ()


@pytest.mark.parametrize(
    ("given_answer", "fault"),
    [
        ("Task timed out after 10 seconds", "Task timed out"),
        ({"errorMessage": "no module named numpy"}, "numpy"),
        (None, "None"),
        (answer(statusCode=503, body="no model yet"), "status 503: no model yet"),
        (answer(body=""), "no list"),
        (answer(body="a,a"), "distinct"),
        (answer(headers={"X-Function-Version": "2", "X-Model-Version": "m1"}), "'m1', not 'm2'"),
        (answer(headers={"X-Function-Version": "$LATEST", "X-Model-Version": "m2"}), "LATEST"),
        (answer(headers=None), "x-model-version is None"),
    ],
)
def test_an_unfit_version_fails_it_and_says_why(given_answer: object, fault: str) -> None:
    assert fault in "; ".join(faults(given_answer))


def test_the_smoke_event_is_what_the_gateway_sends() -> None:
    event = rollout.smoke_event(7)

    assert event["pathParameters"] == {"user_id": "7"}
    assert event["requestContext"]["resourcePath"] == event["resource"] == "/recommend/{user_id}"
    assert event["requestContext"]["httpMethod"] == event["httpMethod"] == "GET"
