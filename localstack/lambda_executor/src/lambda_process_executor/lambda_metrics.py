"""Lambda's own metrics, as AWS publishes them (AWS: "Types of metrics for Lambda functions").

LocalStack itself publishes Invocations and Errors by FunctionName; these replace them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from lambda_process_executor.metric_batches import Dimensions, Measurement, Series

NAMESPACE: Final = "AWS/Lambda"


@dataclass(frozen=True, slots=True)
class Caller:
    """What was invoked, and as what: `resource` is `name`, `name:version` or `name:alias`."""

    account: str
    region: str
    function: str
    resource: str
    version: str

    @classmethod
    def of(cls, arn: str, version: str) -> "Caller":
        """Read the ARN that was invoked: `arn:aws:lambda:<region>:<account>:function:<resource>`.

        `version` is the one that the invocation was routed to.
        """
        _, _, _, region, account, _, resource = arn.split(":", 6)
        return cls(account, region, resource.partition(":")[0], resource, version)

    @property
    def dimension_sets(self) -> tuple[Dimensions, ...]:
        """All sets that a metric goes to; ExecutedVersion is for invocations of an alias."""
        by_function = (("FunctionName", self.function),)
        by_resource = (*by_function, ("Resource", self.resource))
        qualifier = self.resource.partition(":")[2]
        if not qualifier or qualifier.isdecimal() or qualifier == "$LATEST":
            return by_function, by_resource
        return by_function, by_resource, (*by_resource, ("ExecutedVersion", self.version))


@dataclass(frozen=True, slots=True)
class Finished:
    """An invocation that ran; `concurrency` counts the function's running ones at its start.

    `embedded` is what it wrote, if there may be metrics in it.
    """

    caller: Caller
    epoch_s: float
    concurrency: int
    is_error: bool
    duration_ms: float
    embedded: str = ""


@dataclass(frozen=True, slots=True)
class Throttled:
    """An invocation that was refused because too many were running."""

    caller: Caller
    epoch_s: float


def measurements(event: Finished | Throttled) -> Iterator[Measurement]:
    """Yield everything that AWS would publish about an invocation."""
    second = int(event.epoch_s)
    for dimensions in event.caller.dimension_sets:
        for name, unit, value in _metrics(event):
            series = Series(NAMESPACE, name, dimensions, unit, second)
            yield Measurement(series, (value,))
    if isinstance(event, Finished):
        overall = Series(NAMESPACE, "ConcurrentExecutions", (), "Count", second)
        yield Measurement(overall, (float(event.concurrency),))


def _metrics(event: Finished | Throttled) -> Iterator[tuple[str, str, float]]:
    if isinstance(event, Throttled):
        yield "Throttles", "Count", 1.0
        return
    yield "Invocations", "Count", 1.0
    # Noughts too, so that an average is a rate.
    yield "Errors", "Count", float(event.is_error)
    yield "Throttles", "Count", 0.0
    yield "Duration", "Milliseconds", round(event.duration_ms, 2)
    yield "ConcurrentExecutions", "Count", float(event.concurrency)
