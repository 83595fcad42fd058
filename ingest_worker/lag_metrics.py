"""How far the lake is behind the log, and how much of the log is junk.

The worker tells a `Meter` what it reads and stores, in memory alone. A thread of its own publishes
what the meter says: no flush waits for CloudWatch, and while the worker waits for a lake that is
down, the lag grows where people see it. What cannot be published is logged and not told later.
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
class _Standing:
    """How far a partition is: its next offset, the last stored one, the oldest line between."""

    end: int
    stored: int
    oldest_ms: float | None = None


class Meter:
    """What one worker's partitions lack, and the lines that it stored since it was last asked.

    Offsets are as of the last poll: a worker that cannot go on counts no new lines, but the oldest
    one that it has not stored gets older. Times are milliseconds since 1970, lines' by Kafka's
    timestamp: the site's clock may be another, and a history that is played back is not late.
    """

    def __init__(self) -> None:
        self._partitions: dict[int, _Standing] = {}
        self._lines = 0
        self._quarantined = 0
        self._lock = threading.Lock()

    def resumed(self, partition: int, *, stored: int, end: int, now_ms: float) -> None:
        """Note where a partition stands; what waited longest before it was lost still does."""
        with self._lock:
            before = self._partitions.get(partition)
            oldest_ms = before.oldest_ms if before else None
            if oldest_ms is None and end > stored + 1:
                oldest_ms = now_ms
            self._partitions[partition] = _Standing(end, stored, oldest_ms)

    def read(self, partition: int, *, written_ms: float, end: int) -> None:
        """Note that lines wait to be stored, the oldest of them written at that time."""
        with self._lock:
            standing = self._partitions[partition]
            standing.end = end
            waited_ms = standing.oldest_ms
            standing.oldest_ms = written_ms if waited_ms is None else min(waited_ms, written_ms)

    def stored(self, last_offsets: Mapping[int, int], *, lines: int, quarantined: int) -> None:
        """Note that partitions are in the lake up to an offset, with so many lines more."""
        with self._lock:
            for partition, last in last_offsets.items():
                self._partitions[partition].stored = last
                self._partitions[partition].oldest_ms = None
            self._lines += lines
            self._quarantined += quarantined

    def forgotten(self, partitions: Iterable[int]) -> None:
        """Note that partitions are somebody else's."""
        with self._lock:
            for partition in partitions:
                self._partitions.pop(partition, None)

    def take(self, now: datetime) -> dict[Metric, float]:
        """Return the values of `INGEST_METRICS`, and begin to count lines anew."""
        with self._lock:
            lines, quarantined = self._lines, self._quarantined
            self._lines = self._quarantined = 0
            lag = sum(max(one.end - one.stored - 1, 0) for one in self._partitions.values())
            waiting = [one.oldest_ms for one in self._partitions.values() if one.oldest_ms]
        now_ms = now.timestamp() * 1000
        lag_s = max((now_ms - min(waiting, default=now_ms)) / 1000, 0.0)
        values: dict[Metric, float] = {INGEST_LAG: lag, INGEST_LAG_SECONDS: lag_s}
        return values | ({QUARANTINE_RATE: quarantined / lines} if lines else {})


def publish_steadily(
    meter: Meter, sink: MetricSink, clock: Clock, *, every_s: float, wait: Callable[[float], bool]
) -> None:
    """Publish what the meter says, at once and then so often, until `wait` says to stop."""
    while True:
        try:
            sink.publish(meter.take(clock.now()), INGEST_DIMENSIONS)
        except MovierecError as exc:
            log.warning("metrics_not_published", extra={"error": str(exc)})
        if wait(every_s):
            return
