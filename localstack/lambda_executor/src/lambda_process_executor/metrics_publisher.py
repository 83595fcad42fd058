"""Lambda's own metrics and those that functions write, published from a background thread.

AWS: "Types of metrics for Lambda functions". LocalStack itself publishes Invocations and Errors by
FunctionName; these replace them.
"""

import logging
import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import batched, chain
from typing import Final

from lambda_process_executor import emf
from lambda_process_executor.emf import Dimensions, Invalid, Measurement, Series
from lambda_process_executor.invocation import Outcome

LOG = logging.getLogger(__name__)

Put = Callable[[str, str, str, list[dict[str, object]]], None]
"""Called with account, region, namespace and MetricData; may raise anything."""

NAMESPACE: Final = "AWS/Lambda"

# Long enough to count a busy second's equal values together, short against an alarm's 10 s.
GATHER_S: Final = 1.0

# PutMetricData's own limit.
MAX_DATA: Final = 1000
# Some minutes of the emulator's top speed. Beyond it metrics are lost, never invocations.
MAX_EVENTS: Final = 20_000
# Of what functions wrote with metrics in it; one invocation may write as much as its log holds.
MAX_CHARACTERS: Final = 128 * 1024 * 1024


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
class Event:
    """An invocation that ran, or was refused: name, unit and value of each of its metrics.

    `embedded` is what it wrote, if there may be metrics in it.
    """

    caller: Caller
    epoch_s: float
    metrics: tuple[tuple[str, str, float], ...]
    embedded: str = ""


def finished(caller: Caller, epoch_s: float, concurrency: int, outcome: Outcome) -> Event:
    """Return the event of an invocation; `concurrency` counts the function's running ones."""
    metrics = (
        ("Invocations", "Count", 1.0),
        # Noughts too, so that an average is a rate.
        ("Errors", "Count", float(outcome.is_error)),
        ("Throttles", "Count", 0.0),
        ("Duration", "Milliseconds", round(outcome.report.duration_ms, 2)),
        ("ConcurrentExecutions", "Count", float(concurrency)),
    )
    # The outcome itself would keep payload and log, megabytes of them, until they are published.
    embedded = outcome.output if emf.MARK in outcome.output else ""
    return Event(caller, epoch_s, metrics, embedded)


def throttled(caller: Caller, epoch_s: float) -> Event:
    """Return the event of an invocation that was refused because too many were running."""
    return Event(caller, epoch_s, (("Throttles", "Count", 1.0),))


def measurements(event: Event) -> Iterator[Measurement]:
    """Yield everything that AWS would publish about an invocation."""
    sets = event.caller.dimension_sets
    for name, unit, value in event.metrics:
        for dimensions in (*sets, ()) if name == "ConcurrentExecutions" else sets:
            series = Series(NAMESPACE, name, dimensions, unit, int(event.epoch_s))
            yield Measurement(series, (value,))


class Batch:
    """Measurements of one account and region, each series summed up.

    Sums, because LocalStack stores a row for every single value and reads them all at each
    evaluation of an alarm; it knows no percentiles, which alone would need the values.
    """

    def __init__(self) -> None:
        self._sums: dict[Series, dict[str, float]] = {}

    def add(self, measurement: Measurement) -> None:
        """Add a measurement's values to its series."""
        values, series = measurement.values, measurement.series
        known = self._sums.setdefault(series, {"SampleCount": 0.0, "Sum": 0.0})
        known["SampleCount"] += len(values)
        known["Sum"] += sum(values)
        known["Minimum"] = min(known.get("Minimum", math.inf), *values)
        known["Maximum"] = max(known.get("Maximum", -math.inf), *values)

    def requests(self) -> Iterator[tuple[str, list[dict[str, object]]]]:
        """Yield namespace and MetricData of each PutMetricData request that is due."""
        by_namespace: dict[str, list[dict[str, object]]] = {}
        for series, summed in self._sums.items():
            by_namespace.setdefault(series.namespace, []).append(_datum(series, summed))
        for namespace, data in by_namespace.items():
            for part in batched(data, MAX_DATA, strict=False):
                yield namespace, list(part)


def _datum(series: Series, summed: dict[str, float]) -> dict[str, object]:
    return {
        "MetricName": series.name,
        "Dimensions": [{"Name": name, "Value": value} for name, value in series.dimensions],
        "Timestamp": datetime.fromtimestamp(series.second, UTC),
        "StatisticValues": summed,
        "Unit": series.unit,
        "StorageResolution": series.resolution_s,
    }


class Publisher:
    """Turns invocations into events at once and publishes them from a thread of its own, gathered.

    The thread sleeps while there is nothing to publish. What does not fit is dropped and counted
    in a warning, and so are embedded metrics that break their specification.
    """

    def __init__(
        self,
        put: Put,
        *,
        gather_s: float = GATHER_S,
        limit: int = MAX_EVENTS,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._put = put
        self._gather_s = gather_s
        self._limit = limit
        self._now = now
        self._running: Counter[tuple[str, str, str]] = Counter()
        self._events: list[Event] = []
        self._characters = 0
        self._dropped = 0
        self._arrived = threading.Event()
        self._counting = threading.Lock()
        self._publishing = threading.Lock()
        threading.Thread(target=self._run, name="lambda-metrics", daemon=True).start()

    @contextmanager
    def running(self, caller: Caller) -> Iterator[Callable[[Outcome], None]]:
        """Count an invocation as running; call what this gives with its outcome."""
        key = (caller.account, caller.region, caller.function)
        started = self._now()
        with self._counting:
            self._running[key] += 1
            concurrency = self._running[key]
        try:
            yield lambda outcome: self._offer(finished(caller, started, concurrency, outcome))
        finally:
            with self._counting:
                self._running[key] -= 1
                if not self._running[key]:
                    del self._running[key]

    def throttled(self, caller: Caller) -> None:
        """Note an invocation that was refused."""
        self._offer(throttled(caller, self._now()))

    def flush(self) -> None:
        """Publish what is queued, now, in the caller's thread."""
        with self._publishing:
            self._arrived.clear()
            with self._counting:
                events, self._events = self._events, []
                dropped, self._dropped, self._characters = self._dropped, 0, 0
            if dropped:
                LOG.warning("%d invocations came too fast to publish metrics of", dropped)
            self._publish(events)

    def _offer(self, event: Event) -> None:
        """Queue an event; waits for nobody's publishing."""
        characters = len(event.embedded)
        with self._counting:
            is_full = len(self._events) >= self._limit
            if is_full or self._characters + characters > MAX_CHARACTERS:
                self._dropped += 1
                return
            self._characters += characters
            self._events.append(event)
        self._arrived.set()

    def _run(self) -> None:
        while self._arrived.wait():
            time.sleep(self._gather_s)
            self.flush()

    def _publish(self, events: Iterable[Event]) -> None:
        batches: dict[tuple[str, str], Batch] = {}
        invalid: Counter[tuple[str, str]] = Counter()
        for event in events:
            batch = batches.setdefault((event.caller.account, event.caller.region), Batch())
            for found in chain(measurements(event), emf.read(event.embedded, event.epoch_s)):
                if isinstance(found, Invalid):
                    invalid[event.caller.function, found.reason] += 1
                else:
                    batch.add(found)
        for (function, reason), count in invalid.items():
            LOG.warning("function %s, embedded metrics left out %d x: %s", function, count, reason)
        for (account, region), batch in batches.items():
            for namespace, data in batch.requests():
                try:
                    self._put(account, region, namespace, data)
                except Exception:
                    # The thread's edge: whatever CloudWatch says, later metrics have to go out.
                    LOG.exception("could not publish %d metrics in %s", len(data), namespace)
