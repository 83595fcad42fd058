import json
import threading
from typing import Any

import pytest

from lambda_process_executor.invocation import Outcome
from lambda_process_executor.log_buffer import Log
from lambda_process_executor.metrics_publisher import (
    Caller,
    Publisher,
    finished,
    measurements,
    throttled,
)
from lambda_process_executor.platform_log import Report

ARN = "arn:aws:lambda:eu-west-1:123456789012:function:"
CALLER = Caller("000000000000", "us-east-1", "f", "f:live", "3")
LINE = json.dumps(
    {
        "_aws": {
            "Timestamp": 5000,
            "CloudWatchMetrics": [
                {"Namespace": "shop", "Dimensions": [["V"]], "Metrics": [{"Name": "N"}]}
            ],
        },
        "V": "3",
        "N": 1,
    }
)


class CloudWatch:
    """Keeps what was put; refuses the namespaces in `refused`."""

    def __init__(self, *refused: str) -> None:
        self.data: list[tuple[str, str, str, dict[str, Any]]] = []
        self.refused = refused
        self.came = threading.Event()

    def put(self, account: str, region: str, namespace: str, data: list[dict[str, Any]]) -> None:
        """Take MetricData as the publisher hands it over."""
        if namespace in self.refused:
            raise ConnectionError(namespace)
        self.data += [(account, region, namespace, datum) for datum in data]
        self.came.set()

    def names(self, namespace: str) -> list[str]:
        """Return the names of all metrics put into a namespace."""
        return [datum["MetricName"] for _, _, at, datum in self.data if at == namespace]


@pytest.fixture
def cloudwatch() -> CloudWatch:
    return CloudWatch()


@pytest.fixture
def publisher(cloudwatch: CloudWatch) -> Publisher:
    return Publisher(cloudwatch.put, gather_s=60, now=lambda: 5.0)


def outcome(output: str = "", *, is_error: bool = False, duration_ms: float = 1.0) -> Outcome:
    return Outcome(b"", is_error, Log.of([]), output, Report(duration_ms, 128, 30))


def test_an_invocation_is_published_with_the_metrics_in_its_output(
    cloudwatch: CloudWatch, publisher: Publisher
) -> None:
    with publisher.running(CALLER) as ended:
        ended(outcome(f"text\n{LINE}\n"))
    publisher.flush()
    assert cloudwatch.names("shop") == ["N"]
    assert cloudwatch.names("AWS/Lambda").count("Duration") == 3


def test_invocations_that_run_at_once_are_counted(
    cloudwatch: CloudWatch, publisher: Publisher
) -> None:
    with publisher.running(CALLER) as first, publisher.running(CALLER) as second:
        first(outcome())
        second(outcome())
    with publisher.running(CALLER) as third:
        third(outcome())
    publisher.flush()
    [datum] = [
        d
        for *_, d in cloudwatch.data
        if d["MetricName"] == "ConcurrentExecutions" and not d["Dimensions"]
    ]
    assert datum["StatisticValues"] == {
        "SampleCount": 3.0, "Sum": 4.0, "Minimum": 1.0, "Maximum": 2.0
    }  # fmt: skip


def test_the_thread_publishes_by_itself(cloudwatch: CloudWatch) -> None:
    publisher = Publisher(cloudwatch.put, gather_s=0.001)
    publisher.throttled(CALLER)
    assert cloudwatch.came.wait(10)
    assert set(cloudwatch.names("AWS/Lambda")) == {"Throttles"}


def test_a_flush_publishes_what_is_left(cloudwatch: CloudWatch, publisher: Publisher) -> None:
    publisher.throttled(CALLER)
    publisher.flush()
    assert "Throttles" in cloudwatch.names("AWS/Lambda")


def test_too_many_events_are_dropped_and_said_to_be(
    cloudwatch: CloudWatch, caplog: pytest.LogCaptureFixture
) -> None:
    publisher = Publisher(cloudwatch.put, gather_s=60, limit=2, now=lambda: 5.0)
    for _ in range(5):
        publisher.throttled(CALLER)
    publisher.flush()
    assert "3 invocations came too fast" in caplog.text
    assert {d["StatisticValues"]["SampleCount"] for *_, d in cloudwatch.data} == {2.0}


def test_a_refused_namespace_costs_the_others_nothing() -> None:
    cloudwatch = CloudWatch("AWS/Lambda")
    publisher = Publisher(cloudwatch.put, gather_s=60, now=lambda: 5.0)
    with publisher.running(CALLER) as ended:
        ended(outcome(LINE))
    publisher.flush()
    assert cloudwatch.names("shop") == ["N"]


def test_invalid_metrics_are_told_once_a_flush_with_their_number(
    cloudwatch: CloudWatch, publisher: Publisher, caplog: pytest.LogCaptureFixture
) -> None:
    wrong = LINE.replace('"N": 1', '"N": "one"')
    with publisher.running(CALLER) as ended:
        ended(outcome(f"{wrong}\n{LINE}\n{wrong}\n"))
    publisher.flush()
    assert cloudwatch.names("shop") == ["N"]
    [record] = caplog.records
    assert "function f, embedded metrics left out 2 x: metric N" in record.getMessage()


def test_the_arn_tells_account_region_function_and_resource() -> None:
    assert Caller.of(ARN + "f:live", "3") == Caller("123456789012", "eu-west-1", "f", "f:live", "3")


@pytest.mark.parametrize(
    ("resource", "sets"),
    [
        ("f", [["FunctionName"], ["FunctionName", "Resource"]]),
        ("f:$LATEST", [["FunctionName"], ["FunctionName", "Resource"]]),
        ("f:3", [["FunctionName"], ["FunctionName", "Resource"]]),
        (
            "f:live",
            [
                ["FunctionName"],
                ["FunctionName", "Resource"],
                ["FunctionName", "Resource", "ExecutedVersion"],
            ],
        ),
    ],
)
def test_only_an_alias_adds_the_executed_version(resource: str, sets: list[list[str]]) -> None:
    caller = Caller.of(ARN + resource, "3")
    assert [[name for name, _ in pairs] for pairs in caller.dimension_sets] == sets


def test_every_set_gets_every_metric_and_the_account_its_concurrency() -> None:
    caller = Caller.of(ARN + "f:live", "3")
    found = list(measurements(finished(caller, 7.9, 2, outcome(is_error=True, duration_ms=12.345))))
    by_version = {
        m.series.name: m.values for m in found if ("ExecutedVersion", "3") in m.series.dimensions
    }
    assert by_version == {
        "Invocations": (1.0,),
        "Errors": (1.0,),
        "Throttles": (0.0,),
        "Duration": (12.35,),
        "ConcurrentExecutions": (2.0,),
    }
    assert [m.series.name for m in found if not m.series.dimensions] == ["ConcurrentExecutions"]
    assert {m.series.second for m in found} == {7}


def test_a_success_counts_as_no_error_so_that_an_average_is_a_rate() -> None:
    event = finished(Caller.of(ARN + "f", "1"), 7.0, 1, outcome())
    found = measurements(event)
    assert {m.values for m in found if m.series.name == "Errors"} == {(0.0,)}


def test_a_throttled_invocation_is_no_invocation() -> None:
    found = list(measurements(throttled(Caller.of(ARN + "f", "1"), 7.0)))
    assert {m.series.name for m in found} == {"Throttles"}
