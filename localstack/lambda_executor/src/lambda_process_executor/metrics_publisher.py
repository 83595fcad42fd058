"""Publish metrics to CloudWatch from a background thread."""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Final

from lambda_process_executor import emf, lambda_metrics
from lambda_process_executor.emf import Invalid
from lambda_process_executor.invocation import Outcome
from lambda_process_executor.lambda_metrics import Caller, Finished, Throttled
from lambda_process_executor.metric_batches import Batch, Measurement

LOG = logging.getLogger(__name__)

Event = Finished | Throttled
Put = Callable[[str, str, str, list[dict[str, object]]], None]
"""Called with account, region, namespace and MetricData; may raise anything."""

# Long enough to count a busy second's equal values together, short against an alarm's 10 s.
GATHER_S: Final = 1.0

# Some minutes of the emulator's top speed. Beyond it metrics are lost, never invocations.
MAX_EVENTS: Final = 20_000
# Of what functions wrote with metrics in it; one invocation may write as much as its log holds.
MAX_CHARACTERS: Final = 128 * 1024 * 1024


class Publisher:
    """Takes events at once and publishes them from a thread of its own, gathered.

    The thread sleeps while there is nothing to publish. What does not fit is dropped and counted
    in a warning, and so are embedded metrics that break their specification.
    """

    def __init__(self, put: Put, *, gather_s: float = GATHER_S, limit: int = MAX_EVENTS) -> None:
        self._put = put
        self._gather_s = gather_s
        self._limit = limit
        self._events: list[Event] = []
        self._characters = 0
        self._dropped = 0
        self._arrived = threading.Event()
        self._closing = threading.Event()
        self._counting = threading.Lock()
        self._publishing = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="lambda-metrics", daemon=True)
        self._thread.start()

    def offer(self, event: Event) -> None:
        """Queue an event; waits for nobody's publishing."""
        characters = len(event.embedded) if isinstance(event, Finished) else 0
        with self._counting:
            is_full = len(self._events) >= self._limit
            if is_full or self._characters + characters > MAX_CHARACTERS:
                self._dropped += 1
                return
            self._characters += characters
            self._events.append(event)
        if not self._arrived.is_set():
            self._arrived.set()

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

    def close(self) -> None:
        """Publish what is queued and end the thread."""
        self._closing.set()
        self._arrived.set()
        self._thread.join()
        self.flush()

    def _run(self) -> None:
        while not self._closing.is_set():
            self._arrived.wait()
            self._closing.wait(self._gather_s)
            self.flush()

    def _publish(self, events: Iterable[Event]) -> None:
        batches: dict[tuple[str, str], Batch] = {}
        invalid: Counter[tuple[str, str]] = Counter()
        for event in events:
            batch = batches.setdefault((event.caller.account, event.caller.region), Batch())
            for found in _measurements(event):
                if isinstance(found, Invalid):
                    invalid[event.caller.function, found.reason] += 1
                else:
                    batch.add(found)
        for (function, reason), count in invalid.items():
            LOG.warning("function %s, embedded metrics left out %d x: %s", function, count, reason)
        for (account, region), batch in batches.items():
            for namespace, data in batch.requests():
                self._try_put(account, region, namespace, data)

    def _try_put(
        self, account: str, region: str, namespace: str, data: list[dict[str, object]]
    ) -> None:
        try:
            self._put(account, region, namespace, data)
        except Exception:
            # The thread's edge: whatever CloudWatch says, later metrics still have to go out.
            LOG.exception("could not publish %d metrics in %s", len(data), namespace)


class Observer:
    """Turns invocations into metric events for a publisher."""

    def __init__(self, publisher: Publisher, now: Callable[[], float] = time.time) -> None:
        self._publisher = publisher
        self._now = now
        self._lock = threading.Lock()
        self._running: dict[tuple[str, str, str], int] = {}

    @contextmanager
    def running(self, caller: Caller) -> Iterator[Callable[[Outcome], None]]:
        """Count an invocation as running; call what this gives with its outcome."""
        key = (caller.account, caller.region, caller.function)
        started = self._now()
        with self._lock:
            concurrency = self._running[key] = self._running.get(key, 0) + 1
        try:
            yield lambda outcome: self._publisher.offer(
                _finished(caller, started, concurrency, outcome)
            )
        finally:
            with self._lock:
                self._running[key] -= 1
                if not self._running[key]:
                    del self._running[key]

    def throttled(self, caller: Caller) -> None:
        """Note an invocation that was refused."""
        self._publisher.offer(Throttled(caller, self._now()))


def _finished(caller: Caller, started: float, concurrency: int, outcome: Outcome) -> Finished:
    # The outcome itself would keep payload and log, megabytes of them, until they are published.
    embedded = outcome.output if emf.may_be_in(outcome.output) else ""
    duration_ms = outcome.report.duration_ms
    return Finished(caller, started, concurrency, outcome.is_error, duration_ms, embedded)


def _measurements(event: Event) -> Iterator[Measurement | Invalid]:
    yield from lambda_metrics.measurements(event)
    if isinstance(event, Finished):
        yield from emf.read(event.embedded, event.epoch_s)
