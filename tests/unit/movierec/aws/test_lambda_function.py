"""Versions on moto's Lambda: published, pinned to a model, tested; and what Lambda refuses."""

from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from movierec import settings
from movierec.errors import (
    ReleaseConflictError,
    ReleaseError,
    ReleaseNotFoundError,
    UnavailableError,
)
from movierec.releases.by_hand import ByHand
from movierec.releases.rollback import roll_back
from movierec.releases.traffic_split import TrafficSplit
from tests.unit.movierec.aws.lambda_function_lab import FUNCTION, M1, M2, Client, Lab


def test_before_the_first_release_nothing_is_routed(lab: Lab) -> None:
    assert lab.releases.split() is None


def test_the_first_release_gets_all_requests(lab: Lab) -> None:
    lab.answer("1", M1)

    _, split = ByHand(lab.releases).release_now(M1, "first", canary_percent=5)

    assert split == TrafficSplit("1")
    assert lab.releases.split() == TrafficSplit("1")


def test_a_version_is_pinned_to_its_model_and_latest_is_not(lab: Lab) -> None:
    lab.answer("1", M1)
    ByHand(lab.releases).release_now(M1)

    assert lab.environment("1") == {"KEPT": "yes", settings.MODEL_VERSION: M1}
    assert lab.environment() == {"KEPT": "yes"}


def test_a_versions_description_names_release_and_model(lab: Lab) -> None:
    lab.answer("1", M1)
    release, _ = ByHand(lab.releases).release_now(M1, "the first one")

    found = lab.client.get_function_configuration(FunctionName=FUNCTION, Qualifier="1")
    assert found["Description"] == f"{release} {M1} the first one"


def test_a_later_release_gets_its_share(lab: Lab) -> None:
    assert lab.with_canary(20) == TrafficSplit("1", "2", 20)
    assert lab.releases.split() == TrafficSplit("1", "2", 20)


def test_a_later_release_without_a_share_gets_all_requests(lab: Lab) -> None:
    lab.answer("1", M1)
    ByHand(lab.releases).release_now(M1)
    lab.clock.advance(1)
    lab.answer("2", M2)

    assert ByHand(lab.releases).release_now(M2)[1] == TrafficSplit("2")


def test_new_code_with_the_same_model_is_a_release(lab: Lab) -> None:
    lab.answer("1", M1)
    ByHand(lab.releases).release_now(M1)
    lab.redeploy(b"2")
    lab.clock.advance(1)
    lab.answer("2", M1)

    assert ByHand(lab.releases).release_now(M1, canary_percent=5)[1] == TrafficSplit("1", "2", 5)


def test_what_is_out_already_is_not_published_again(lab: Lab) -> None:
    lab.answer("1", M1)
    ByHand(lab.releases).release_now(M1)
    lab.clock.advance(1)
    lab.client.calls.clear()
    written = lab.steps()

    assert ByHand(lab.releases).release_now(M1)[1] == TrafficSplit("1")
    assert not {"publish_version", "update_alias"} & {name for name, _ in lab.client.calls}
    assert lab.steps() == written


def test_repeating_a_cut_goes_on_with_the_same_release(lab: Lab) -> None:
    lab.with_canary(5)
    lab.clock.advance(60)

    release, split = ByHand(lab.releases).release_now(M2, canary_percent=25)

    assert split == TrafficSplit("1", "2", 25)
    assert release == "20261120T101600000Z"
    assert lab.steps()[-1] == "0004-weigh"


def test_while_a_canary_is_out_nothing_is_published(lab: Lab) -> None:
    lab.with_canary()
    lab.redeploy(b"3")
    lab.client.calls.clear()

    with pytest.raises(ReleaseError, match="version 2 is canary"):
        ByHand(lab.releases).release_now(M1, canary_percent=5)
    assert "publish_version" not in {name for name, _ in lab.client.calls}


def test_a_model_that_is_not_there_is_refused_before_anything_changes(lab: Lab) -> None:
    with pytest.raises(ReleaseError, match=r"no complete model '20261129.*train one"):
        ByHand(lab.releases).release_now("20261129T101500Z-abc-def")
    assert lab.client.calls == []


def test_a_version_that_fails_its_smoke_test_gets_no_users(lab: Lab) -> None:
    lab.answer("1", M1)
    ByHand(lab.releases).release_now(M1)
    lab.clock.advance(1)
    lab.answer("2", M2, statusCode=500, body="internal error")

    with pytest.raises(ReleaseError, match=r"failed its smoke test.*internal error"):
        ByHand(lab.releases).release_now(M2, canary_percent=5)
    assert lab.releases.split() == TrafficSplit("1")
    assert lab.steps()[-1] == "0002-abort"


def test_a_function_that_answers_no_json_fails_its_smoke_test(lab: Lab) -> None:
    lab.answers.append("Segmentation fault")

    with pytest.raises(ReleaseError, match="Segmentation fault"):
        ByHand(lab.releases).release_now(M1)
    assert lab.releases.split() is None


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
        ByHand(lab.releases).promote()
    assert type(caught.value) is expected


def test_without_a_function_one_is_told_how_to_get_one(lab: Lab) -> None:
    lab.client.delete_function(FunctionName=FUNCTION)

    steps = (
        lab.releases.split,
        lambda: roll_back(lab.releases),
        lambda: ByHand(lab.releases).release_now(M1),
    )
    for step in steps:
        with pytest.raises(
            ReleaseNotFoundError, match=r"no function movierec-api: .*`movierec up`"
        ):
            step()


class Settling(Client):
    """A function that is being updated for the first `polls` reads; that for the alias is one."""

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
    settling: Any = Settling(polls=4)
    lab.function.aws = settling
    lab.answer("1", M1)

    assert ByHand(lab.releases).release_now(M1)[1] == TrafficSplit("1")
    assert len(lab.slept_s) == 3


def test_a_cut_does_not_wait_for_ever(lab: Lab) -> None:
    settling: Any = Settling(polls=100_000)
    lab.function.aws = settling

    with pytest.raises(UnavailableError, match="still being updated after 120 s"):
        ByHand(lab.releases).release_now(M1)
    assert sum(lab.slept_s) == pytest.approx(120)


def test_a_function_that_failed_to_update_is_not_released(lab: Lab) -> None:
    settling: Any = Settling(polls=2, status="Failed")
    lab.function.aws = settling

    with pytest.raises(ReleaseError, match="failed to update: no subnet"):
        ByHand(lab.releases).release_now(M1)
