"""Releases by hand on moto's Lambda: versions are cut, and users moved between them."""

import io
import json
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from moto import mock_aws
from moto.awslambda_simple.models import lambda_simple_backends
from moto.core.models import DEFAULT_ACCOUNT_ID

from movierec import artifact, settings, smoke
from movierec.aws.served_function import LambdaFunction
from movierec.errors import (
    ReleaseConflictError,
    ReleaseError,
    ReleaseNotFoundError,
    UnavailableError,
)
from movierec.release_log import ReleaseLog
from movierec.release_testing import MemoryAlarms, MemoryTopic
from movierec.releases import Releases
from movierec.routing import ALIAS, Routing
from movierec.testing import FakeClock, MemoryStore

FUNCTION = "movierec-api"
M1, M2 = "20261120T101500Z-abc-def", "20261121T101500Z-abc-def"


class Client:
    """boto3's Lambda client on moto; counts calls, and fails those of `errors` by name."""

    def __init__(self) -> None:
        self._real: Any = boto3.client("lambda")
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.errors: dict[str, Exception] = {}

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._real, name)

        def call(**arguments: Any) -> Any:
            self.calls.append((name, arguments))
            if name in self.errors:
                raise self.errors[name]
            return real(**arguments)

        return real if name == "get_paginator" else call

    def last(self, name: str) -> dict[str, Any]:
        return next(arguments for called, arguments in reversed(self.calls) if called == name)


class Lab:
    """A deployed function, a bucket with two models, and what the function answers next."""

    def __init__(self) -> None:
        self.store = MemoryStore({artifact.key(m, artifact.MANIFEST_FILE): b"" for m in (M1, M2)})
        self.client = Client()
        self.clock = FakeClock()
        self.slept_s: list[float] = []
        self.function = LambdaFunction(FUNCTION, sleep=self.slept_s.append, aws=self.client)
        log = ReleaseLog(self.store, self.clock)
        self.releases = Releases(
            self.function, log, self.clock, MemoryAlarms(), MemoryTopic(), lambda key: key
        )
        self.answers: list[str] = lambda_simple_backends[DEFAULT_ACCOUNT_ID][
            "us-east-1"
        ].lambda_simple_results_queue

    def answer(self, version: str, model: str, **changes: Any) -> None:
        headers = {"X-Function-Version": version, "X-Model-Version": model}
        answer = json.dumps({"statusCode": 200, "headers": headers, "body": "a,b", **changes})
        self.answers.extend([answer] * len(smoke.USER_IDS))

    def steps(self) -> list[str]:
        return [key.split("/")[-1].removesuffix(".json") for key in self.store.keys("releases/")]

    def environment(self, version: str | None = None) -> dict[str, str]:
        qualifier = {"Qualifier": version} if version else {}
        found = self.client.get_function_configuration(FunctionName=FUNCTION, **qualifier)
        variables: dict[str, str] = found["Environment"]["Variables"]
        return variables

    def redeploy(self, code: bytes) -> None:
        self.client.update_function_code(FunctionName=FUNCTION, ZipFile=zipped(code))

    def with_canary(self, percent: float = 20) -> Routing:
        self.answer("1", M1)
        self.releases.release_now(M1)
        self.clock.advance(60)
        self.answer("2", M2)
        return self.releases.release_now(M2, canary_percent=percent)[1]


def zipped(code: bytes) -> bytes:
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w") as archive:
        archive.writestr("app.py", code)
    return body.getvalue()


@pytest.fixture
def lab() -> Iterator[Lab]:
    with mock_aws(config={"lambda": {"use_docker": False}}):
        role = boto3.client("iam").create_role(RoleName="r", AssumeRolePolicyDocument="{}")
        boto3.client("lambda").create_function(
            FunctionName=FUNCTION,
            Runtime="python3.13",
            Role=role["Role"]["Arn"],
            Handler="app.app",
            Code={"ZipFile": zipped(b"1")},
            Environment={"Variables": {"KEPT": "yes"}},
        )
        yield Lab()


def test_before_the_first_release_nobody_is_routed(lab: Lab) -> None:
    assert lab.releases.describe() is None


def test_the_first_release_gets_everybody(lab: Lab) -> None:
    lab.answer("1", M1)

    _, routing = lab.releases.release_now(M1, "first", canary_percent=5)

    assert routing == Routing("1")
    assert lab.releases.describe() == Routing("1")


def test_a_version_is_pinned_to_its_model_and_latest_is_not(lab: Lab) -> None:
    lab.answer("1", M1)
    lab.releases.release_now(M1)

    assert lab.environment("1") == {"KEPT": "yes", settings.MODEL_VERSION: M1}
    assert lab.environment() == {"KEPT": "yes"}


def test_a_versions_description_names_release_and_model(lab: Lab) -> None:
    lab.answer("1", M1)
    release, _ = lab.releases.release_now(M1, "the first one")

    found = lab.client.get_function_configuration(FunctionName=FUNCTION, Qualifier="1")
    assert found["Description"] == f"{release} {M1} the first one"


def test_a_later_release_gets_its_share(lab: Lab) -> None:
    assert lab.with_canary(20) == Routing("1", "2", 20)
    assert lab.releases.describe() == Routing("1", "2", 20)


def test_a_later_release_without_a_share_gets_everybody(lab: Lab) -> None:
    lab.answer("1", M1)
    lab.releases.release_now(M1)
    lab.clock.advance(1)
    lab.answer("2", M2)

    assert lab.releases.release_now(M2)[1] == Routing("2")


def test_new_code_with_the_same_model_is_a_release(lab: Lab) -> None:
    lab.answer("1", M1)
    lab.releases.release_now(M1)
    lab.redeploy(b"2")
    lab.clock.advance(1)
    lab.answer("2", M1)

    assert lab.releases.release_now(M1, canary_percent=5)[1] == Routing("1", "2", 5)


def test_what_is_out_already_is_not_published_again(lab: Lab) -> None:
    lab.answer("1", M1)
    lab.releases.release_now(M1)
    lab.clock.advance(1)
    lab.client.calls.clear()
    written = lab.steps()

    assert lab.releases.release_now(M1)[1] == Routing("1")
    assert not {"publish_version", "update_alias"} & {name for name, _ in lab.client.calls}
    assert lab.steps() == written


def test_repeating_a_cut_goes_on_with_the_same_release(lab: Lab) -> None:
    lab.with_canary(5)
    lab.clock.advance(60)

    release, routing = lab.releases.release_now(M2, canary_percent=25)

    assert routing == Routing("1", "2", 25)
    assert release == "20261120T101600000Z"
    assert lab.steps()[-1] == "0004-weigh"


def test_while_a_canary_is_out_nothing_is_published(lab: Lab) -> None:
    lab.with_canary()
    lab.redeploy(b"3")
    lab.client.calls.clear()

    with pytest.raises(ReleaseError, match="version 2 is canary"):
        lab.releases.release_now(M1, canary_percent=5)
    assert "publish_version" not in {name for name, _ in lab.client.calls}


def test_a_model_that_is_not_there_is_refused_before_anything_changes(lab: Lab) -> None:
    with pytest.raises(ReleaseError, match=r"no complete model '20261129.*train one"):
        lab.releases.release_now("20261129T101500Z-abc-def")
    assert lab.client.calls == []


def test_a_version_that_fails_its_smoke_test_gets_no_users(lab: Lab) -> None:
    lab.answer("1", M1)
    lab.releases.release_now(M1)
    lab.clock.advance(1)
    lab.answer("2", M2, statusCode=500, body="internal error")

    with pytest.raises(ReleaseError, match=r"failed its smoke test.*internal error"):
        lab.releases.release_now(M2, canary_percent=5)
    assert lab.releases.describe() == Routing("1")
    assert lab.steps()[-1] == "0002-abort"


def test_a_function_that_answers_no_json_fails_its_smoke_test(lab: Lab) -> None:
    lab.answers.append("Segmentation fault")

    with pytest.raises(ReleaseError, match="Segmentation fault"):
        lab.releases.release_now(M1)
    assert lab.releases.describe() is None


def test_each_step_is_recorded_in_order(lab: Lab) -> None:
    lab.with_canary()
    lab.releases.set_weights(50)
    lab.releases.promote("good numbers")

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


STEPS: list[Callable[[Releases], object]] = [
    lambda releases: releases.set_weights(50),
    lambda releases: releases.promote(),
]


@pytest.mark.parametrize("step", STEPS)
def test_a_step_that_cannot_be_recorded_is_not_taken(
    lab: Lab, step: Callable[[Releases], object]
) -> None:
    before = lab.with_canary()
    lab.store.fail_puts = 1

    with pytest.raises(UnavailableError):
        step(lab.releases)
    assert lab.releases.describe() == before


def test_a_rollback_that_cannot_be_recorded_is_carried_out_all_the_same(lab: Lab) -> None:
    lab.with_canary()
    lab.store.fail_puts = 1

    with pytest.raises(UnavailableError):
        lab.releases.rollback()
    assert lab.releases.describe() == Routing("1")


@pytest.mark.parametrize("percent", [0, 5, 99.5, 100])
def test_a_share_set_is_the_share_described(lab: Lab, percent: float) -> None:
    lab.with_canary()

    assert lab.releases.set_weights(percent) == Routing("1", "2", percent)
    assert lab.releases.describe() == Routing("1", "2", percent)


def test_promotion_sends_everybody_to_the_canary(lab: Lab) -> None:
    lab.with_canary()

    assert lab.releases.promote() == Routing("2")
    assert lab.releases.describe() == Routing("2")


@pytest.mark.parametrize("percent", [0, 20, 100])
def test_a_rollback_sends_everybody_back(lab: Lab, percent: float) -> None:
    lab.with_canary()
    lab.releases.set_weights(percent)

    assert lab.releases.rollback("errors") == Routing("1")
    assert lab.releases.describe() == Routing("1")


def test_a_second_rollback_does_nothing(lab: Lab) -> None:
    lab.with_canary()
    lab.releases.rollback()
    lab.client.calls.clear()
    written = lab.steps()

    assert lab.releases.rollback() == Routing("1")
    assert [name for name, _ in lab.client.calls] == ["get_alias"]
    assert lab.steps() == written


@pytest.mark.parametrize("step", STEPS)
def test_after_a_rollback_there_is_no_way_forward(
    lab: Lab, step: Callable[[Releases], object]
) -> None:
    lab.with_canary()
    lab.releases.rollback()

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

    lab.releases.rollback()

    assert "RevisionId" not in lab.client.last("update_alias")


def client_error(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "said Lambda"}}, "Op")


ERRORS: list[tuple[Exception, type[Exception]]] = [
    (client_error("PreconditionFailedException"), ReleaseConflictError),
    (client_error("ResourceConflictException"), ReleaseConflictError),
    (client_error("ResourceNotFoundException"), ReleaseNotFoundError),
    (client_error("TooManyRequestsException"), UnavailableError),
    (client_error("InvalidParameterValueException"), ReleaseError),
    (EndpointConnectionError(endpoint_url="http://127.0.0.1:1"), UnavailableError),
]


@pytest.mark.parametrize(("error", "expected"), ERRORS)
def test_what_lambda_refuses_is_said_in_our_words(
    lab: Lab, error: Exception, expected: type[Exception]
) -> None:
    lab.with_canary()
    lab.client.errors["update_alias"] = error

    with pytest.raises(expected, match="alias live of movierec-api") as caught:
        lab.releases.promote()
    assert type(caught.value) is expected


def test_without_a_function_one_is_told_how_to_get_one(lab: Lab) -> None:
    lab.client.delete_function(FunctionName=FUNCTION)

    steps = (lab.releases.describe, lab.releases.rollback, lambda: lab.releases.release_now(M1))
    for step in steps:
        with pytest.raises(
            ReleaseNotFoundError, match=r"no function movierec-api: .*`movierec up`"
        ):
            step()


def test_two_who_take_the_same_step_do_not_both_take_it(lab: Lab) -> None:
    """The other's record appears between our look and our write."""
    lab.with_canary()

    class Raced(MemoryStore):
        def keys(self, prefix: str) -> Iterator[str]:
            found = list(super().keys(prefix))
            self.objects.setdefault(f"{prefix}0004-rollback.json", b"")
            self.objects.setdefault(f"{prefix}0004-weigh.json", b"")
            return iter(found)

    raced = replace(lab.releases, log=ReleaseLog(Raced(lab.store.objects), lab.clock))

    with pytest.raises(ReleaseConflictError, match="somebody else is taking step 4"):
        raced.set_weights(50)
    assert raced.rollback() == Routing("1")


class Settling(Client):
    """A function that is being updated for the first `polls` looks; that for the alias is one."""

    def __init__(self, polls: int, status: str = "InProgress") -> None:
        super().__init__()
        self.polls = polls
        self.status = status

    def __getattr__(self, name: str) -> Any:
        call = super().__getattr__(name)

        def settling(**arguments: Any) -> Any:
            found = call(**arguments)
            self.polls -= 1
            late = {"LastUpdateStatus": self.status, "LastUpdateStatusReason": "no subnet"}
            return {**found, **late} if self.polls >= 0 else found

        return settling if name == "get_function_configuration" else call


def test_a_cut_waits_until_the_function_is_settled(lab: Lab) -> None:
    lab.function.aws = Settling(polls=4)
    lab.answer("1", M1)

    assert lab.releases.release_now(M1)[1] == Routing("1")
    assert len(lab.slept_s) == 3


def test_a_cut_does_not_wait_for_ever(lab: Lab) -> None:
    lab.function.aws = Settling(polls=100_000)

    with pytest.raises(UnavailableError, match="still being updated after 120 s"):
        lab.releases.release_now(M1)
    assert sum(lab.slept_s) == pytest.approx(120)


def test_a_function_that_failed_to_update_is_not_released(lab: Lab) -> None:
    lab.function.aws = Settling(polls=2, status="Failed")

    with pytest.raises(ReleaseError, match="failed to update: no subnet"):
        lab.releases.release_now(M1)
