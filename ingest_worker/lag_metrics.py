"""Metrics of the ingest worker: lag of the lake behind Kafka, and quarantine rate.

The worker reports to a `Meter`, in memory. A separate thread publishes its values: no flush waits
for CloudWatch, and the lag is published even while the worker waits for a lake that is down.
Values that cannot be published are logged and dropped.
"""

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from movierec.errors import MovierecError
from movierec.metrics import (
    INGEST_DIMENSIONS,
    INGEST_LAG,
    INGEST_LAG_SECONDS,
    QUARANTINE_RATE,
    Metric,
)
from movierec.ports import Clock, MetricSink

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Progress:
    """A partition's next offset, its last stored one, and the time of the oldest line between."""

    end: int
    stored: int
    oldest_ms: float | None = None


class Meter:
    """Lag of one worker's partitions, and its lines stored since the last `take`.

    Offsets are as of the last poll: a blocked worker counts no new lines, but its oldest line that
    is not stored gets older. Times are milliseconds since 1970, of lines by Kafka's timestamp: the
    site's clock may differ, and a replayed history is not late.
    """

    def __init__(self) -> None:
        self._partitions: dict[int, _Progress] = {}
        self._lines = 0
        self._quarantined = 0
        self._lock = threading.Lock()

    def resumed(self, partition: int, *, stored: int, end: int, now_ms: float) -> None:
        """Record a resumed partition's offsets; the age of its oldest line is kept."""
        with self._lock:
            before = self._partitions.get(partition)
            oldest_ms = before.oldest_ms if before else None
            if oldest_ms is None and end > stored + 1:
                oldest_ms = now_ms
            self._partitions[partition] = _Progress(end, stored, oldest_ms)

    def read(self, partition: int, *, written_ms: float, end: int) -> None:
        """Record lines that are read and not stored, the oldest with timestamp `written_ms`."""
        with self._lock:
            progress = self._partitions[partition]
            progress.end = end
            oldest_ms = progress.oldest_ms
            progress.oldest_ms = written_ms if oldest_ms is None else min(oldest_ms, written_ms)

    def stored(self, last_offsets: Mapping[int, int], *, lines: int, quarantined: int) -> None:
        """Record a flush: the partitions' last stored offsets, and its number of lines."""
        with self._lock:
            for partition, last in last_offsets.items():
                self._partitions[partition].stored = last
                self._partitions[partition].oldest_ms = None
            self._lines += lines
            self._quarantined += quarantined

    def forgotten(self, partitions: Iterable[int]) -> None:
        """Drop partitions that have another owner."""
        with self._lock:
            for partition in partitions:
                self._partitions.pop(partition, None)

    def take(self, now: datetime) -> dict[Metric, float]:
        """Return the values of `INGEST_METRICS`, and reset the count of lines."""
        with self._lock:
            lines, quarantined = self._lines, self._quarantined
            self._lines = self._quarantined = 0
            lag = sum(max(one.end - one.stored - 1, 0) for one in self._partitions.values())
            waiting = [one.oldest_ms for one in self._partitions.values() if one.oldest_ms]
        now_ms = now.timestamp() * 1000
        lag_s = max((now_ms - min(waiting, default=now_ms)) / 1000, 0.0)
        values: dict[Metric, float] = {INGEST_LAG: lag, INGEST_LAG_SECONDS: lag_s}
        return values | ({QUARANTINE_RATE: quarantined / lines} if lines else {})


def publish_periodically(
    meter: Meter, sink: MetricSink, clock: Clock, *, every_s: float, wait: Callable[[float], bool]
) -> None:
    """Publish the meter's values at once and then every `every_s`, until `wait` returns True."""
    while True:
        try:
            sink.publish(meter.take(clock.now()), INGEST_DIMENSIONS)
        except MovierecError as exc:
            log.warning("metrics_not_published", extra={"error": str(exc)})
        if wait(every_s):
            return
