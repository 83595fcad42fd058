"""Traffic splits as Lambda aliases, and integrations with and without the alias."""

from typing import Any

import pytest
from hypothesis import given

from movierec.aws import lambda_alias
from movierec.releases.traffic_split import TrafficSplit
from tests.unit.movierec.releases.splits import splits

RELEASE = "20261120T101500123Z"


@given(splits())
def test_lambdas_alias_and_back_is_the_same_split(found: TrafficSplit) -> None:
    alias = lambda_alias.to_alias(found, RELEASE)

    assert lambda_alias.of_alias(alias) == found
    assert lambda_alias.release_of(alias) == RELEASE


@given(splits())
def test_no_additional_version_ever_weighs_1(found: TrafficSplit) -> None:
    """LocalStack refuses it, and a stable version with no users must still be named."""
    weights = lambda_alias.to_alias(found, RELEASE)["RoutingConfig"]["AdditionalVersionWeights"]

    assert all(0 <= weight < 1 for weight in weights.values())


def test_at_100_percent_the_canary_is_the_aliass_own_version() -> None:
    alias = lambda_alias.to_alias(TrafficSplit("1", "2", 100.0), RELEASE)

    assert alias["FunctionVersion"] == "2"
    assert alias["RoutingConfig"] == {"AdditionalVersionWeights": {"1": 0.0}}


@pytest.mark.parametrize(
    ("alias", "found"),
    [
        ({"FunctionVersion": "3"}, TrafficSplit("3")),
        ({"FunctionVersion": "3", "RoutingConfig": {}}, TrafficSplit("3")),
        ({"FunctionVersion": "3", "RoutingConfig": None, "Description": ""}, TrafficSplit("3")),
        (
            {"FunctionVersion": "3", "RoutingConfig": {"AdditionalVersionWeights": {"4": 0.07}}},
            TrafficSplit("3", "4", 7.0),
        ),
    ],
)
def test_an_alias_that_others_made_is_understood(
    alias: dict[str, Any], found: TrafficSplit
) -> None:
    assert lambda_alias.of_alias(alias) == found
    assert lambda_alias.release_of(alias) is None


ARN = "arn:aws:lambda:eu-west-1:123456789012:function:movierec-api"
HEAD = "arn:aws:apigateway:eu-west-1:lambda:path/2015-03-31/functions/"
URI = f"{HEAD}{ARN}/invocations"
ALIASED = f"{HEAD}{ARN}:live/invocations"


def test_an_integration_is_led_through_the_alias_and_back() -> None:
    assert lambda_alias.with_qualified_arn(URI) == ALIASED
    assert lambda_alias.with_unqualified_arn(ALIASED) == URI


def test_leading_it_through_the_alias_twice_is_the_same_as_once() -> None:
    assert lambda_alias.with_qualified_arn(ALIASED) == ALIASED
    assert lambda_alias.with_unqualified_arn(URI) == URI


@pytest.mark.parametrize("uri", [URI, ALIASED])
def test_the_function_of_an_integration_is_unqualified(uri: str) -> None:
    assert lambda_alias.function_in(uri) == ARN


@pytest.mark.parametrize("uri", ["", "https://example.org/x", f"{HEAD}x/invocations"])
def test_what_invokes_no_function_stays(uri: str) -> None:
    assert lambda_alias.function_in(uri) is None
    assert lambda_alias.with_qualified_arn(uri) == uri
    assert lambda_alias.with_unqualified_arn(uri) == uri
