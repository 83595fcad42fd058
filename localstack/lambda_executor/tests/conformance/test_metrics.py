"""Lambda's own metrics, as CloudWatch has them."""

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from tests.conftest import Emulator

CODE = (
    "import os, time\ndef handler(event, context):\n    if event == 'raise': raise ValueError\n"
    "    if event == 'exit': os._exit(1)\n    if event == 'sleep': time.sleep(3)\n"
)


class Watched:
    """One function's metrics in AWS/Lambda."""

    def __init__(self, emulator: "Emulator", function: str) -> None:
        self.emulator = emulator
        self.function = function

    def of(self, metric: str, statistic: str, **dimensions: str) -> float | None:
        """Return a statistic of a metric of the function, None where there is no such metric."""
        found = self.emulator.statistics(
            "AWS/Lambda", metric, FunctionName=self.function, **dimensions
        )
        return found.get(statistic)


@pytest.fixture(scope="module")
def version(emulator: "Emulator") -> str:
    """Invoke a function in every way that is counted apart, and return its version."""
    emulator.create("watched", CODE)
    version = emulator.publish("watched")
    emulator.client("lambda").create_alias(
        FunctionName="watched", Name="live", FunctionVersion=version
    )
    for event in ("", "", "raise", "exit"):
        emulator.invoke("watched", event, Qualifier="live")
    emulator.invoke("watched", Qualifier=version)
    emulator.invoke("watched")
    watched = Watched(emulator, "watched")
    # The last that is published of the last invocation.
    last = {"metric": "ConcurrentExecutions", "statistic": "count", "Resource": "watched"}
    emulator.wait(lambda: watched.of(**last), "six invocations")
    return version


def test_a_metric_goes_to_each_of_its_dimension_sets(emulator: "Emulator", version: str) -> None:
    """By FunctionName, by Resource, and for an alias by ExecutedVersion too.

    https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-view.html
    """
    watched, live = Watched(emulator, "watched"), "watched:live"

    def invocations(**dimensions: str) -> float | None:
        return watched.of("Invocations", "sum", **dimensions)

    assert invocations() == 6
    assert invocations(Resource="watched") == 1
    assert invocations(Resource=f"watched:{version}") == 1
    assert invocations(Resource=live) == 4
    assert invocations(Resource=live, ExecutedVersion=version) == 4
    assert invocations(Resource=f"watched:{version}", ExecutedVersion=version) is None
    assert invocations(ExecutedVersion=version) is None


def test_errors_are_exceptions_and_the_platforms_own(emulator: "Emulator", version: str) -> None:
    """Errors counts invocations that end in a function error, and a nought for each other one.

    https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
    """
    watched = Watched(emulator, "watched")
    assert watched.of("Errors", "sum") == 2
    assert watched.of("Errors", "count") == 6
    assert watched.of("Errors", "sum", Resource="watched:live", ExecutedVersion=version) == 2
    assert watched.of("Errors", "sum", Resource="watched") == 0


def test_duration_is_milliseconds_of_each_invocation(emulator: "Emulator", version: str) -> None:
    """Duration is the time that the handler takes, one value an invocation.

    https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
    """
    del version  # its invocations
    watched = Watched(emulator, "watched")
    assert watched.of("Duration", "count") == 6
    assert 0 < (watched.of("Duration", "least") or 0) < 1000
    assert watched.of("Duration", "count", Resource="watched:live") == 4


def test_concurrent_executions_are_those_that_run_at_once(emulator: "Emulator") -> None:
    """ConcurrentExecutions is the number of instances that process events, also over all functions.

    https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
    """
    emulator.create("at-once", CODE)
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda _: emulator.invoke("at-once", "sleep"), range(3)))
    watched = Watched(emulator, "at-once")
    emulator.wait(lambda: watched.of("ConcurrentExecutions", "count") == 3, "three invocations")
    assert watched.of("ConcurrentExecutions", "most") == 3
    emulator.wait(
        lambda: emulator.statistics("AWS/Lambda", "ConcurrentExecutions").get("most", 0) >= 3,
        "the sum over all functions",
    )


def test_a_throttled_call_is_counted_and_no_invocation(emulator: "Emulator") -> None:
    """Throttles counts what concurrency limits refuse, which is neither Invocations nor Errors.

    https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
    """
    emulator.create("throttled", CODE)
    emulator.client("lambda").put_function_concurrency(
        FunctionName="throttled", ReservedConcurrentExecutions=0
    )
    with pytest.raises(ClientError, match="TooManyRequestsException"):
        emulator.invoke("throttled")
    watched = Watched(emulator, "throttled")
    by_resource = {"Resource": "throttled"}
    emulator.wait(lambda: watched.of("Throttles", "sum", **by_resource), "the throttle is counted")
    assert watched.of("Throttles", "sum") == watched.of("Throttles", "sum", **by_resource) == 1
    assert watched.of("Invocations", "sum") is None
    assert watched.of("Errors", "sum") is None


def test_a_refused_event_is_no_invocation(emulator: "Emulator") -> None:
    """A request that fails before the function runs is not counted.

    https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
    """
    emulator.create("refused", CODE)
    with pytest.raises(ClientError, match="TooLarge"):
        emulator.invoke("refused", "x" * 6_300_000)
    emulator.invoke("refused")
    watched = Watched(emulator, "refused")
    emulator.wait(lambda: watched.of("Invocations", "sum"), "the invocation is counted")
    assert watched.of("Invocations", "sum") == 1
