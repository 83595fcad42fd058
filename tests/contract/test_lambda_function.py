"""The ports of releases in memory and on the emulator: function, alarms, topic, invocations."""

import io
import json
import time
import uuid
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from movierec import settings
from movierec.aws.cloudwatch_alarms import CloudWatchAlarms, version_in
from movierec.aws.lambda_async_invoker import LambdaAsyncInvoker
from movierec.aws.lambda_function import LambdaFunction
from movierec.aws.session import client
from movierec.aws.sns_topic import SnsTopic
from movierec.errors import ReleaseConflictError, ReleaseError, ReleaseNotFoundError
from movierec.releases import smoke_test
from movierec.releases.ports import AsyncInvoker, CanaryAlarms, NotificationTopic, ServedFunction
from movierec.releases.traffic_split import TrafficSplit
from movierec.testing.releases import (
    MemoryAlarms,
    MemoryAsyncInvoker,
    MemoryFunction,
    MemoryTopic,
)

M1, M2 = "20261120T101500Z-abc-def", "20261121T101500Z-abc-def"
RELEASE, LATER = "20261120T101500123Z", "20261120T101600123Z"

# Answers as the API does. The number makes it other code.
HANDLER = """
import os
CODE = {number}
def handler(event, context):
    print("asked", event.get("action"))
    version, model = os.environ["AWS_LAMBDA_FUNCTION_VERSION"], os.environ.get("MODEL_VERSION", "")
    headers = {{"X-Function-Version": version, "X-Model-Version": model}}
    return {{"statusCode": 200, "headers": headers, "body": "a,b"}}
"""


@dataclass
class Subject:
    """A function under test, and how its code is replaced."""

    function: ServedFunction
    deploy: Callable[[], None]


@pytest.fixture(params=["memory", "lambda"])
def subject(request: pytest.FixtureRequest) -> Iterator[Subject]:
    if request.param == "memory":
        function = MemoryFunction()
        yield Subject(function, function.deploy)
        return
    request.getfixturevalue("emulated_aws")
    name = f"api-{uuid.uuid4().hex[:8]}"
    _create(name)
    numbers = iter(range(1, 10))
    yield Subject(LambdaFunction(name), lambda: _replace_code(name, next(numbers)))
    client("lambda").delete_function(FunctionName=name)


def _create(name: str) -> None:
    role = client("iam").create_role(RoleName=name, AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    client("lambda").create_function(
        FunctionName=name,
        Runtime="python3.13",
        Role=role,
        Handler="app.handler",
        Code={"ZipFile": _zipped(0)},
        Timeout=10,
    )
    client("lambda").get_waiter("function_active_v2").wait(FunctionName=name)


def _replace_code(name: str, number: int) -> None:
    client("lambda").update_function_code(FunctionName=name, ZipFile=_zipped(number))
    client("lambda").get_waiter("function_updated_v2").wait(FunctionName=name)


def _zipped(number: int) -> bytes:
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w") as archive:
        archive.writestr("app.py", HANDLER.format(number=number))
    return body.getvalue()


def two_versions(function: ServedFunction) -> None:
    for model in (M1, M2):
        function.publish(model, f"{RELEASE} {model}")


def test_before_the_first_release_there_is_no_alias(subject: Subject) -> None:
    assert subject.function.alias() is None


def test_versions_are_counted_and_pinned_to_their_models(subject: Subject) -> None:
    function = subject.function

    assert function.publish(M1, "first") == "1"
    assert function.publish(M2, "second") == "2"
    assert [function.model_of(version) for version in ("1", "2")] == [M1, M2]


def test_a_version_is_found_again_by_code_and_model(subject: Subject) -> None:
    function = subject.function
    two_versions(function)

    assert (function.version_with(M1), function.version_with(M2)) == ("1", "2")
    assert function.version_with("another") is None
    subject.deploy()
    assert function.version_with(M2) is None
    assert function.publish(M2, "new code") == "3"
    assert function.version_with(M2) == "3"


def test_a_version_answers_as_itself_and_passes_the_smoke_test(subject: Subject) -> None:
    subject.function.publish(M1, "first")

    answer = subject.function.invoke("1", smoke_test.event())

    assert smoke_test.faults(answer, version="1", model_version=M1) == ()


def test_a_version_that_there_is_not_is_said_to_be_missing(subject: Subject) -> None:
    with pytest.raises(ReleaseNotFoundError):
        subject.function.model_of("7")


def test_the_alias_is_where_it_was_pointed_and_says_by_which_release(subject: Subject) -> None:
    function = subject.function
    two_versions(function)

    function.update_alias(TrafficSplit("1"), RELEASE, over=None)
    first = function.alias()
    assert first is not None
    assert (first.split, first.release_id) == (TrafficSplit("1"), RELEASE)
    for percent in (0, 5, 33.3, 100):
        function.update_alias(TrafficSplit("1", "2", percent), LATER, over=function.alias())
        found = function.alias()
        assert found is not None
        assert (found.split, found.release_id) == (TrafficSplit("1", "2", percent), LATER)
        assert found.revision != first.revision


def test_a_step_that_was_decided_on_an_older_alias_is_refused(subject: Subject) -> None:
    function = subject.function
    two_versions(function)
    function.update_alias(TrafficSplit("1"), RELEASE, over=None)
    seen = function.alias()
    function.update_alias(TrafficSplit("1", "2", 5), RELEASE, over=seen)

    with pytest.raises(ReleaseConflictError):
        function.update_alias(TrafficSplit("2"), RELEASE, over=seen)
    with pytest.raises(ReleaseConflictError):
        function.update_alias(TrafficSplit("2"), RELEASE, over=None)
    found = function.alias()
    assert found is not None
    assert found.split == TrafficSplit("1", "2", 5)


def test_a_forced_update_is_bound_to_no_revision(subject: Subject) -> None:
    function = subject.function
    two_versions(function)
    function.update_alias(TrafficSplit("1"), RELEASE, over=None)
    function.update_alias(TrafficSplit("1", "2", 5), RELEASE, over=function.alias())

    function.force_update(TrafficSplit("1"), RELEASE)

    found = function.alias()
    assert found is not None
    assert found.split == TrafficSplit("1")


# Only what Lambda has


def test_latest_is_left_without_a_model(emulated_aws: Any) -> None:
    name = f"api-{uuid.uuid4().hex[:8]}"
    _create(name)
    LambdaFunction(name).publish(M1, "first")

    found = client("lambda").get_function_configuration(FunctionName=name)
    assert settings.MODEL_VERSION not in found.get("Environment", {}).get("Variables", {})


# Alarms


TEMPLATE = {
    kind: {
        "AlarmName": f"contract-canary-{{version}}-{kind}",
        "Namespace": "movierec",
        "MetricName": "Error",
        "Dimensions": [{"Name": "FunctionVersion", "Value": "{version}"}],
        "Statistic": "Sum",
        "Period": 60,
        "EvaluationPeriods": 1,
        "Threshold": 3,
        "ComparisonOperator": "GreaterThanOrEqualToThreshold",
        "TreatMissingData": "breaching" if kind == "silent" else "notBreaching",
    }
    for kind in ("errors", "silent")
}


@pytest.fixture(params=["memory", "cloudwatch"])
def alarms(request: pytest.FixtureRequest) -> CanaryAlarms:
    if request.param == "memory":
        return MemoryAlarms()
    env = {settings.CANARY_ALARMS: json.dumps(TEMPLATE)}
    request.getfixturevalue("emulated_aws")
    return CloudWatchAlarms.from_env(env)


def watched(alarms: CanaryAlarms) -> list[str]:
    """Return which versions are watched, once for each kind of alarm."""
    if isinstance(alarms, MemoryAlarms):
        return sorted([*alarms.armed, *alarms.expecting])
    found = client("cloudwatch").describe_alarms(AlarmNamePrefix="contract-canary-")
    names = [alarm["AlarmName"] for alarm in found["MetricAlarms"]]
    assert all(
        alarm["Dimensions"][0]["Value"] == version_in(alarm["AlarmName"])
        for alarm in found["MetricAlarms"]
    )
    return sorted(version for name in names if (version := version_in(name)))


def test_a_canary_is_watched_from_its_first_user_to_its_end(alarms: CanaryAlarms) -> None:
    alarms.create("2")
    alarms.create("2")
    assert watched(alarms) == ["2"]

    alarms.create("3")
    alarms.enable_missing_data("2")
    alarms.enable_missing_data("2")
    assert watched(alarms) == ["2", "2", "3"]

    alarms.delete("2")
    alarms.delete("2")
    assert watched(alarms) == ["3"]
    alarms.delete("3")


# Topic


@pytest.fixture(params=["memory", "sns"])
def topic(request: pytest.FixtureRequest) -> NotificationTopic:
    if request.param == "memory":
        return MemoryTopic()
    request.getfixturevalue("emulated_aws")
    arn = client("sns").create_topic(Name=f"releases-{uuid.uuid4().hex[:8]}")["TopicArn"]
    return SnsTopic.from_env({settings.RELEASES_TOPIC: arn})


def test_each_message_has_an_id_of_its_own(topic: NotificationTopic) -> None:
    said = [topic.publish("a subject", "a text", {"event": "start"}) for _ in range(2)]

    assert all(said)
    assert len(set(said)) == 2


def test_a_subscriber_gets_subject_text_and_attributes(emulated_aws: Any) -> None:
    arn = client("sns").create_topic(Name=f"releases-{uuid.uuid4().hex[:8]}")["TopicArn"]
    queue = client("sqs").create_queue(QueueName=f"releases-{uuid.uuid4().hex[:8]}")["QueueUrl"]
    attributes = client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])
    client("sns").subscribe(
        TopicArn=arn, Protocol="sqs", Endpoint=attributes["Attributes"]["QueueArn"]
    )

    SnsTopic(arn).publish("started", "release x", {"release_id": "x", "event": "start"})

    (message,) = client("sqs").receive_message(QueueUrl=queue, WaitTimeSeconds=10)["Messages"]
    said = json.loads(message["Body"])
    assert (said["Subject"], said["Message"]) == ("started", "release x")
    assert said["MessageAttributes"]["event"] == {"Type": "String", "Value": "start"}


def test_a_topic_that_is_not_there_is_said_in_our_words(emulated_aws: Any) -> None:
    gone = "arn:aws:sns:us-east-1:000000000000:nobody-subscribes"

    with pytest.raises(ReleaseError, match=r"publish to .*nobody-subscribes"):
        SnsTopic(gone).publish("started", "release x", {})


# Asynchronous invocations

WITHIN_S = 30


@pytest.fixture(params=["memory", "lambda"])
def invoker(request: pytest.FixtureRequest) -> Iterator[AsyncInvoker]:
    if request.param == "memory":
        yield MemoryAsyncInvoker()
        return
    request.getfixturevalue("emulated_aws")
    name = f"rollout-{uuid.uuid4().hex[:8]}"
    _create(name)
    yield LambdaAsyncInvoker(name)
    client("lambda").delete_function(FunctionName=name)


def asked(invoker: AsyncInvoker) -> list[str]:
    """Return the actions that a function was asked for so far."""
    if isinstance(invoker, MemoryAsyncInvoker):
        return [event["action"] for event in invoker.events]
    assert isinstance(invoker, LambdaAsyncInvoker)
    group = f"/aws/lambda/{invoker.name}"
    try:
        found = client("logs").filter_log_events(logGroupName=group)
    except client("logs").exceptions.ResourceNotFoundException:  # before the first call
        return []
    words = [event["message"].split() for event in found["events"]]
    return [said[1] for said in words if said[:1] == ["asked"]]


def test_each_event_reaches_the_function_though_nobody_waits(invoker: AsyncInvoker) -> None:
    for action in ("one", "two"):
        invoker.invoke({"action": action})

    deadline_s = time.monotonic() + WITHIN_S
    while len(asked(invoker)) < 2 and time.monotonic() < deadline_s:
        time.sleep(0.2)
    assert sorted(asked(invoker)) == ["one", "two"]


@pytest.mark.parametrize("name", ["nobody-is-called-so", ""])
def test_a_function_that_is_not_there_is_a_failure_of_ours(emulated_aws: Any, name: str) -> None:
    with pytest.raises(ReleaseError):
        LambdaAsyncInvoker(name).invoke({"action": "one"})
