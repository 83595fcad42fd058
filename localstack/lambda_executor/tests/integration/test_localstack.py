"""Real functions through LocalStack's Lambda API, on the process executor."""

import base64
import io
import json
import os
import select
import signal
import textwrap
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from .conftest import Emulator

    Start = Callable[[], AbstractContextManager[Emulator]]

ECHO = "def handler(event, context):\n    return event\n"
ENVIRONMENT = "import os\ndef handler(event, context):\n    return dict(os.environ)\n"

METRIC = textwrap.dedent("""
    import json, time, os
    def handler(event, context):
        version = os.environ["AWS_LAMBDA_FUNCTION_VERSION"]
        for value in event:
            print(json.dumps({
                "_aws": {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [{
                    "Namespace": "shop", "Dimensions": [["FunctionVersion"]],
                    "Metrics": [{"Name": "Slow", "Unit": "Count"}]}]},
                "FunctionVersion": version, "Slow": value}))
        if sum(event) > 1: raise ValueError("bad")
""")


def test_the_process_executor_is_the_one_in_use(emulator: "Emulator") -> None:
    """LocalStack only warns about an unknown executor, and takes Docker."""
    emulator.create(
        "parent",
        "import os\ndef handler(e, c):\n"
        "    return open(f'/proc/{os.getppid()}/cmdline').read().split('\\0')\n",
    )
    assert any(
        part.endswith("lambda_process_executor/warden.py")
        for part in emulator.invoke("parent").payload
    )
    assert "Falling back" not in emulator.log()


def test_an_event_comes_back_and_the_log_with_it(emulator: "Emulator") -> None:
    emulator.create("echo", "def handler(e, c):\n    print('héllo')\n    return e\n")
    answer = emulator.invoke("echo", {"n": [1, "ü"]})
    assert answer.payload == {"n": [1, "ü"]}
    assert "héllo\n" in answer.log
    assert answer.log.splitlines()[-1].startswith("REPORT RequestId: ")


def test_the_log_tail_is_four_kilobytes(emulator: "Emulator") -> None:
    emulator.create("chatty", "def handler(e, c):\n    print('x' * 100_000)\n")
    assert len(emulator.invoke("chatty").log) == 4096


def test_a_functions_environment_is_aws_and_nothing_of_the_emulators(emulator: "Emulator") -> None:
    emulator.create("environment", ENVIRONMENT, Environment={"Variables": {"MINE": "1"}})
    env = emulator.invoke("environment").payload
    task = Path(env["LAMBDA_TASK_ROOT"])
    assert (task / "app.py").exists()
    assert env["MINE"] == "1"
    assert env["_HANDLER"] == "app.handler"
    assert env["AWS_LAMBDA_FUNCTION_NAME"] == "environment"
    assert env["AWS_LAMBDA_FUNCTION_VERSION"] == "$LATEST"
    assert env["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"] == "256"
    assert env["AWS_LAMBDA_LOG_GROUP_NAME"] == "/aws/lambda/environment"
    assert env["AWS_REGION"] == env["AWS_DEFAULT_REGION"] == "us-east-1"
    assert env["AWS_ENDPOINT_URL"] == emulator.url
    assert env["TZ"] == ":UTC"
    assert f"{task}/lib" in env["LD_LIBRARY_PATH"].split(":")
    assert {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"} <= set(env)
    leaked = {"FILESYSTEM_ROOT", "GATEWAY_LISTEN", "LAMBDA_RUNTIME_EXECUTOR", "XDG_CACHE_HOME"}
    assert not leaked & set(env)


def test_a_function_reaches_the_emulator_with_boto3_and_no_setting(emulator: "Emulator") -> None:
    emulator.client("s3").create_bucket(Bucket="from-inside")
    emulator.create(
        "inside",
        "import boto3\ndef handler(e, c):\n"
        "    boto3.client('s3').put_object(Bucket='from-inside', Key='k', Body=b'v')\n"
        "    return [b['Name'] for b in boto3.client('s3').list_buckets()['Buckets']]\n",
    )
    assert "from-inside" in emulator.invoke("inside").payload


def test_a_layer_is_importable_and_a_later_one_wins(emulator: "Emulator") -> None:
    client = emulator.client("lambda")
    arns = [
        client.publish_layer_version(
            LayerName=name,
            Content={"ZipFile": layer_of({"python/shared.py": f"name = '{name}'\n"})},
        )["LayerVersionArn"]
        for name in ("one", "two")
    ]
    code = "import shared\ndef handler(e, c):\n    return shared.name\n"
    emulator.create("layered-once", code, Layers=arns[:1])
    emulator.create("layered-twice", code, Layers=arns)
    assert emulator.invoke("layered-once").payload == "one"
    assert emulator.invoke("layered-twice").payload == "two"


def layer_of(files: dict[str, str]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as zipped:
        for name, text in files.items():
            zipped.writestr(name, text)
    return buffer.getvalue()


def test_a_timeout_is_told_and_the_next_call_served(emulator: "Emulator") -> None:
    emulator.create(
        "late", "import time\ndef handler(e, c):\n    time.sleep(e)\n    return 'ok'\n", Timeout=1
    )
    late = emulator.invoke("late", 30)
    assert late.error == "Unhandled"
    assert late.payload["errorMessage"].endswith("Task timed out after 1.00 seconds")
    assert "Task timed out after 1.00 seconds" in late.log
    assert emulator.invoke("late", 0).payload == "ok"


def test_a_crash_is_told_and_the_next_call_served(emulator: "Emulator") -> None:
    emulator.create(
        "crash", "import os\ndef handler(e, c):\n    return os._exit(1) if e else 'ok'\n"
    )
    crashed = emulator.invoke("crash", 1)
    assert (crashed.error, crashed.payload["errorType"]) == ("Unhandled", "Runtime.ExitError")
    assert emulator.invoke("crash", 0).payload == "ok"


def test_an_import_error_is_told_with_its_log(emulator: "Emulator") -> None:
    emulator.create("unimportable", "import not_there\n")
    answer = emulator.invoke("unimportable")
    assert answer.payload["errorType"] == "Runtime.ImportModuleError"
    assert "No module named 'not_there'" in answer.log


def test_another_language_fails_on_creation_with_the_reason(emulator: "Emulator") -> None:
    client = emulator.client("lambda")
    client.create_function(
        FunctionName="node",
        Runtime="nodejs22.x",
        Role="arn:aws:iam::000000000000:role/lambda",
        Handler="a.b",
        Code={"ZipFile": layer_of({"a.js": ""})},
    )

    def failed() -> str:
        found = client.get_function_configuration(FunctionName="node")
        return str(found["StateReason"]) if found["State"] == "Failed" else ""

    emulator.wait(failed, "the function has failed")
    assert "only Python functions can run without Docker" in failed()
    assert "supported here: python3.13" in failed()


def test_concurrent_calls_have_environments_of_their_own(emulator: "Emulator") -> None:
    emulator.create(
        "parallel",
        "import os, time\ndef handler(e, c):\n    time.sleep(1)\n"
        "    return [os.getpid(), os.environ['TMPDIR']]\n",
    )
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: emulator.invoke("parallel").payload, range(4)))
    assert len({pid for pid, _ in answers}) == 4
    assert len({folder for _, folder in answers}) == 4


def test_an_alias_splits_by_weight_over_the_versions(emulator: "Emulator") -> None:
    client = emulator.client("lambda")
    emulator.create("split", ENVIRONMENT)
    versions = [
        client.publish_version(FunctionName="split")["Version"],
        publish_change(emulator, "split"),
    ]
    client.create_alias(
        FunctionName="split",
        Name="live",
        FunctionVersion=versions[0],
        RoutingConfig={"AdditionalVersionWeights": {versions[1]: 0.5}},
    )
    answers = [emulator.invoke("split", Qualifier="live") for _ in range(40)]
    assert {answer.version for answer in answers} == set(versions)
    assert all(
        answer.payload["AWS_LAMBDA_FUNCTION_VERSION"] == answer.version for answer in answers
    )


def publish_change(emulator: "Emulator", name: str) -> str:
    client = emulator.client("lambda")
    client.update_function_configuration(
        FunctionName=name, Environment={"Variables": {"CHANGED": "1"}}
    )
    client.get_waiter("function_updated_v2").wait(
        FunctionName=name, WaiterConfig={"Delay": 0.05, "MaxAttempts": 200}
    )
    version: str = client.publish_version(FunctionName=name)["Version"]
    return version


def test_logs_arrive_in_cloudwatch_logs(emulator: "Emulator") -> None:
    emulator.create("logging", "def handler(e, c):\n    print('line', e)\n")
    for number in range(3):
        emulator.invoke("logging", number)
    logs = emulator.client("logs")

    def messages() -> list[str]:
        try:
            events = logs.filter_log_events(logGroupName="/aws/lambda/logging")["events"]
        except ClientError:
            return []
        texts = [event["message"].strip() for event in events]
        return texts if "line 2" in texts else []

    emulator.wait(messages, "the log has arrived")
    texts = messages()
    assert [text for text in texts if text.startswith("line")] == ["line 0", "line 1", "line 2"]
    assert sum(text.startswith("REPORT") for text in texts) == 3


def statistics(
    emulator: "Emulator", namespace: str, metric: str, **dimensions: str
) -> dict[str, float]:
    now = datetime.now(UTC)
    points = emulator.client("cloudwatch").get_metric_statistics(
        Namespace=namespace,
        MetricName=metric,
        Dimensions=[{"Name": name, "Value": value} for name, value in dimensions.items()],
        StartTime=now - timedelta(minutes=10),
        EndTime=now + timedelta(minutes=1),
        Period=3600,
        Statistics=["Sum", "SampleCount", "Maximum"],
    )["Datapoints"]
    return {
        "sum": sum(point.get("Sum", 0) for point in points),
        "count": sum(point.get("SampleCount", 0) for point in points),
    }


def test_metrics_in_the_log_become_metrics_by_function_version(emulator: "Emulator") -> None:
    emulator.create("measured", METRIC)
    version = emulator.client("lambda").publish_version(FunctionName="measured")["Version"]
    for values in ([0], [1], [0, 1]):
        emulator.invoke("measured", values, Qualifier=version)

    def found() -> dict[str, float]:
        return statistics(emulator, "shop", "Slow", FunctionVersion=version)

    emulator.wait(lambda: found()["count"] == 4, "four values")
    assert found()["sum"] == 2


def test_a_versions_metrics_are_not_those_of_one_that_begins_alike(emulator: "Emulator") -> None:
    """LocalStack alone takes FunctionVersion=1 for all of 1, 10, 11, ..."""
    cloudwatch = emulator.client("cloudwatch")
    for version, value in (("1", 1.0), ("12", 5.0)):
        cloudwatch.put_metric_data(
            Namespace="alike",
            MetricData=[
                {
                    "MetricName": "Error",
                    "Dimensions": [{"Name": "FunctionVersion", "Value": version}],
                    "Value": value,
                }
            ],
        )
    assert statistics(emulator, "alike", "Error", FunctionVersion="1")["sum"] == 1
    assert statistics(emulator, "alike", "Error", FunctionVersion="12")["sum"] == 5


def test_lambdas_own_metrics_tell_alias_and_version(emulator: "Emulator") -> None:
    client = emulator.client("lambda")
    emulator.create("watched", METRIC)
    version = client.publish_version(FunctionName="watched")["Version"]
    client.create_alias(FunctionName="watched", Name="live", FunctionVersion=version)
    for values in ([0], [0], [1, 1]):
        emulator.invoke("watched", values, Qualifier="live")
    emulator.invoke("watched", [0])

    def of(metric: str, **dimensions: str) -> dict[str, float]:
        return statistics(emulator, "AWS/Lambda", metric, FunctionName="watched", **dimensions)

    alias = {"Resource": "watched:live"}
    expected = [
        {"sum": 4, "count": 4},
        {"sum": 3, "count": 3},
        {"sum": 1, "count": 1},
        {"sum": 1, "count": 4},
        {"sum": 1, "count": 3},
        3,
        4,
    ]

    def found() -> list[object]:
        return [
            of("Invocations"),
            of("Invocations", **alias),
            of("Invocations", Resource="watched"),
            of("Errors"),
            of("Errors", **alias, ExecutedVersion=version),
            of("Duration", **alias)["count"],
            of("ConcurrentExecutions")["count"],
        ]

    emulator.wait(lambda: found() == expected, "all metrics of four invocations")


def test_a_throttled_call_is_counted(emulator: "Emulator") -> None:
    emulator.create("throttled", ECHO)
    emulator.client("lambda").put_function_concurrency(
        FunctionName="throttled", ReservedConcurrentExecutions=0
    )
    with pytest.raises(ClientError, match="TooManyRequestsException"):
        emulator.invoke("throttled")
    emulator.wait(
        lambda: statistics(emulator, "AWS/Lambda", "Throttles", FunctionName="throttled")["sum"],
        "the throttle is counted",
    )


def test_a_too_large_event_is_refused(emulator: "Emulator") -> None:
    emulator.create("size", "def handler(e, c):\n    return len(e)\n")
    assert emulator.invoke("size", "x" * 6_000_000).payload == 6_000_000
    with pytest.raises(ClientError, match="RequestEntityTooLargeException"):
        emulator.invoke("size", "x" * 6_291_456)


def test_the_json_format_writes_platform_events(emulator: "Emulator") -> None:
    emulator.create(
        "json-log",
        "import logging\ndef handler(e, c):\n    logging.getLogger().warning('careful')\n",
        LoggingConfig={"LogFormat": "JSON"},
    )
    events = [json.loads(line) for line in emulator.invoke("json-log").log.splitlines()]
    assert [event["type"] for event in events if "type" in event] == [
        "platform.initStart",
        "platform.start",
        "platform.report",
    ]
    assert "careful" in [event.get("message") for event in events]


def test_an_updated_function_runs_its_new_code(emulator: "Emulator") -> None:
    emulator.create("updated", "def handler(e, c):\n    return 1\n")
    assert emulator.invoke("updated").payload == 1
    client = emulator.client("lambda")
    client.update_function_code(
        FunctionName="updated", ZipFile=layer_of({"app.py": "def handler(e, c):\n    return 2\n"})
    )
    client.get_waiter("function_updated_v2").wait(
        FunctionName="updated", WaiterConfig={"Delay": 0.05, "MaxAttempts": 200}
    )
    assert emulator.invoke("updated").payload == 2


def test_a_deleted_functions_processes_end(emulator: "Emulator") -> None:
    emulator.create("deleted", "import os\ndef handler(e, c):\n    return os.getpid()\n")
    handle = os.pidfd_open(emulator.invoke("deleted").payload)
    emulator.client("lambda").delete_function(FunctionName="deleted")
    assert_gone(handle)


def assert_gone(handle: int) -> None:
    try:
        ready, _, _ = select.select([handle], [], [], 20)
        assert ready, "the process is still there"
    finally:
        os.close(handle)


DAEMONS = textwrap.dedent("""
    import os, time
    def handler(event, context):
        read, write = os.pipe()
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                os.write(write, str(os.getpid()).encode())
                time.sleep(600)
            os._exit(0)
        return [os.getpid(), os.getppid(), int(os.read(read, 20))]
""")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_outlives_the_emulator(start_emulator: "Start", number: signal.Signals) -> None:
    """Killed or asked to stop: function, warden and daemonised grandchild are gone."""
    with start_emulator() as emulator:
        emulator.create("daemons", DAEMONS)
        handles = [os.pidfd_open(pid) for pid in emulator.invoke("daemons").payload]
        os.kill(runtime_of(emulator), number)
        for handle in handles:
            assert_gone(handle)


def runtime_of(emulator: "Emulator") -> int:
    """Return the supervisor's child, which is LocalStack itself."""
    pid = emulator.supervisor.pid
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    assert len(children) == 1
    return int(children[0])


def test_the_listed_plugin_is_this_one() -> None:
    [found] = entry_points(group="localstack.lambda.runtime_executor", name="process")
    assert found.load().__name__ == "ProcessExecutorPlugin"


def test_an_alias_s_weights_can_be_changed(emulator: "Emulator") -> None:
    """https://docs.aws.amazon.com/lambda/latest/dg/configuring-alias-routing.html."""
    client = emulator.client("lambda")
    emulator.create("weighed", "def handler(e, c):\n    return c.function_version\n")
    client.publish_version(FunctionName="weighed")
    client.update_function_configuration(FunctionName="weighed", Description="another")
    client.get_waiter("function_updated_v2").wait(FunctionName="weighed")
    client.publish_version(FunctionName="weighed")
    client.create_alias(FunctionName="weighed", Name="live", FunctionVersion="1")
    weighed = client.update_alias(
        FunctionName="weighed",
        Name="live",
        RoutingConfig={"AdditionalVersionWeights": {"2": 0.5}},
    )
    assert weighed["RoutingConfig"] == {"AdditionalVersionWeights": {"2": 0.5}}
    versions = {emulator.invoke("weighed", Qualifier="live").payload for _ in range(40)}
    assert versions == {"1", "2"}
    with pytest.raises(ClientError, match="AdditionalVersionWeights"):
        client.update_alias(
            FunctionName="weighed",
            Name="live",
            RoutingConfig={"AdditionalVersionWeights": {"1": 0.1, "2": 0.1}},
        )


def test_a_callers_client_context_reaches_the_function(emulator: "Emulator") -> None:
    """https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html, X-Amz-Client-Context."""
    emulator.create(
        "context",
        "def handler(e, c):\n    return c.client_context and c.client_context.custom\n",
    )
    given = base64.b64encode(json.dumps({"custom": {"k": "ü"}}).encode()).decode()
    assert emulator.invoke("context", ClientContext=given).payload == {"k": "ü"}
    assert emulator.invoke("context").payload is None


def test_response_streaming_is_refused_by_name(emulator: "Emulator") -> None:
    """https://docs.aws.amazon.com/lambda/latest/api/API_InvokeWithResponseStream.html."""
    emulator.create("streaming", ECHO)
    with pytest.raises(ClientError, match="InvokeWithResponseStream"):
        emulator.client("lambda").invoke_with_response_stream(FunctionName="streaming")


def test_the_temporary_folders_size_is_the_functions_setting(emulator: "Emulator") -> None:
    """https://docs.aws.amazon.com/lambda/latest/dg/configuration-ephemeral-storage.html."""
    code = (
        "import pathlib, tempfile, time\ndef handler(e, c):\n"
        "    with open(pathlib.Path(tempfile.gettempdir()) / 'x', 'wb') as f:\n"
        "        for _ in range(e): f.write(bytes(1024 * 1024))\n"
        "    time.sleep(0.5)\n"
    )
    emulator.create("disk-more", code, EphemeralStorage={"Size": 600})
    assert emulator.invoke("disk-more", 550).error is None
    emulator.create("disk-usual", code)
    assert emulator.invoke("disk-usual", 550).payload["errorType"] == "Runtime.EphemeralStorageFull"
