"""The smoke test: what API Gateway would send, and what a fit version answers."""

from typing import Any

import pytest

from movierec.releases import smoke_test


def answer(**changes: Any) -> dict[str, Any]:
    headers = {"X-Function-Version": "2", "X-Model-Version": "m2"}
    return {"statusCode": 200, "headers": headers, "body": "a,b", **changes}


def faults(given: object) -> tuple[str, ...]:
    return smoke_test.faults(given, version="2", model_version="m2")


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
    event = smoke_test.event(7)

    assert event["pathParameters"] == {"user_id": "7"}
    assert event["requestContext"]["resourcePath"] == event["resource"] == "/recommend/{user_id}"
    assert event["requestContext"]["httpMethod"] == event["httpMethod"] == "GET"
