import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from lambda_process_executor.invocation import Outcome
from lambda_process_executor.lambda_metrics import Caller
from lambda_process_executor.log_buffer import Log
from lambda_process_executor.metrics_publisher import Observer, Publisher
from lambda_process_executor.platform_log import Report

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
def publisher(cloudwatch: CloudWatch) -> Iterator[Publisher]:
    publisher = Publisher(cloudwatch.put, gather_s=60)
    yield publisher
    publisher.close()


def outcome(output: str = "") -> Outcome:
    return Outcome(b"", is_error=False, log=Log.of([]), output=output, report=Report(1.0, 128, 30))


def test_an_invocation_is_published_with_the_metrics_in_its_output(
    cloudwatch: CloudWatch, publisher: Publisher
) -> None:
    with Observer(publisher, now=lambda: 5.0).running(CALLER) as ended:
        ended(outcome(f"text\n{LINE}\n"))
    publisher.flush()
    assert cloudwatch.names("shop") == ["N"]
    assert cloudwatch.names("AWS/Lambda").count("Duration") == 3


def test_invocations_that_run_at_once_are_counted(
    cloudwatch: CloudWatch, publisher: Publisher
) -> None:
    observer = Observer(publisher, now=lambda: 5.0)
    with observer.running(CALLER) as first, observer.running(CALLER) as second:
        first(outcome())
        second(outcome())
    with observer.running(CALLER) as third:
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
    Observer(publisher).throttled(CALLER)
    assert cloudwatch.came.wait(10)
    publisher.close()
    assert set(cloudwatch.names("AWS/Lambda")) == {"Throttles"}


def test_closing_publishes_what_is_left(cloudwatch: CloudWatch) -> None:
    publisher = Publisher(cloudwatch.put, gather_s=60)
    Observer(publisher).throttled(CALLER)
    publisher.close()
    assert "Throttles" in cloudwatch.names("AWS/Lambda")


def test_too_many_events_are_dropped_and_said_to_be(
    cloudwatch: CloudWatch, caplog: pytest.LogCaptureFixture
) -> None:
    publisher = Publisher(cloudwatch.put, gather_s=60, limit=2)
    observer = Observer(publisher, now=lambda: 5.0)
    for _ in range(5):
        observer.throttled(CALLER)
    publisher.close()
    assert "3 invocations came too fast" in caplog.text
    assert {d["StatisticValues"]["SampleCount"] for *_, d in cloudwatch.data} == {2.0}


def test_a_refused_namespace_costs_the_others_nothing() -> None:
    cloudwatch = CloudWatch("AWS/Lambda")
    publisher = Publisher(cloudwatch.put, gather_s=60)
    with Observer(publisher, now=lambda: 5.0).running(CALLER) as ended:
        ended(outcome(LINE))
    publisher.close()
    assert cloudwatch.names("shop") == ["N"]


def test_invalid_metrics_are_told_once_a_flush_with_their_number(
    cloudwatch: CloudWatch, publisher: Publisher, caplog: pytest.LogCaptureFixture
) -> None:
    wrong = LINE.replace('"N": 1', '"N": "one"')
    with Observer(publisher, now=lambda: 5.0).running(CALLER) as ended:
        ended(outcome(f"{wrong}\n{LINE}\n{wrong}\n"))
    publisher.flush()
    assert cloudwatch.names("shop") == ["N"]
    [record] = caplog.records
    assert "function f, embedded metrics left out 2 x: metric N" in record.getMessage()
