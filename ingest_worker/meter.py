"""What the ingest worker says of itself: lag, throughput, quarantine, the site's clock.

The worker reports to a `Meter`, in memory. A separate thread publishes its values: no flush waits
for CloudWatch, and the lag is published even while the worker waits for a lake that is down.
Values that cannot be published are logged and dropped.
"""

import logging
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from movierec.errors import MovierecError
from movierec.metrics import (
    INGEST_DIMENSIONS,
    INGEST_EXPIRED,
    INGEST_LAG,
    INGEST_LAG_SECONDS,
    INGEST_LINES,
    INGEST_SINCE_FLUSH,
    INGEST_WAITING,
    QUARANTINE_RATE,
    Metric,
    quarantine_dimensions,
)
from movierec.ports import Clock, MetricSink

log = logging.getLogger(__name__)


# What "over the last minutes" means wherever it is said.
RECENT_S: Final = 600.0


@dataclass(slots=True)
class _Progress:
    """A partition's next offset, its last stored one, and the time of the oldest line between."""

    end: int
    stored: int
    oldest_ms: float | None = None

    @property
    def lag(self) -> int:
        return max(self.end - self.stored - 1, 0)


@dataclass(frozen=True, slots=True)
class _Flush:
    """Lines of a flush, and those of them that went to quarantine, by reason."""

    at_ms: float
    lines: int
    quarantined: Mapping[str, int]


@dataclass(slots=True)
class _Unpublished:
    """Counts since the metrics were last published."""

    lines: int = 0
    quarantined: Counter[str] = field(default_factory=Counter)
    expired: int = 0


@dataclass(slots=True)
class _Waiting:
    """Lines that wait for their movies, and what was done about it since the worker's start."""

    lines: int = 0
    admitted: int = 0
    found: Counter[str] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)
    site_failure: str = ""


class Meter:
    """Lag of one worker's partitions, and its lines, over the last minutes and since `take`.

    Partitions are named by topic and number, `movielog1-0`.
    Offsets are as of the last poll: a blocked worker counts no new lines, but its oldest line that
    is not stored gets older. Times are milliseconds since 1970, of lines by Kafka's timestamp: the
    site's clock may differ, and a replayed history is not late. One that is not positive is none.
    """

    def __init__(self) -> None:
        self._partitions: dict[str, _Progress] = {}
        self._since = _Unpublished()
        self._recent: deque[_Flush] = deque()
        self._last_flush_ms: float | None = None
        self._failing = ""
        self._site_clocks: dict[str, Mapping[str, Any]] = {}
        self._waiting = _Waiting()
        self._lock = threading.Lock()

    def resumed(self, partition: str, *, stored: int, end: int, now_ms: float) -> None:
        """Record a resumed partition's offsets; the age of its oldest line is kept."""
        with self._lock:
            before = self._partitions.get(partition)
            oldest_ms = before.oldest_ms if before else None
            if oldest_ms is None and end > stored + 1:
                oldest_ms = now_ms
            self._partitions[partition] = _Progress(end, stored, oldest_ms)

    def read(self, partition: str, *, written_ms: float, end: int) -> None:
        """Record lines that are read and not stored, the oldest with timestamp `written_ms`."""
        with self._lock:
            progress = self._partitions[partition]
            progress.end = end
            if written_ms > 0:
                oldest_ms = progress.oldest_ms
                progress.oldest_ms = written_ms if oldest_ms is None else min(oldest_ms, written_ms)

    def stored(
        self,
        last_offsets: Mapping[str, int],
        *,
        lines: int,
        quarantined: Mapping[str, int],
        now_ms: float,
    ) -> None:
        """Record a flush: the partitions' last stored offsets, its lines, quarantined by reason."""
        with self._lock:
            for partition, last in last_offsets.items():
                self._partitions[partition].stored = last
                self._partitions[partition].oldest_ms = None
            self._since.lines += lines
            self._since.quarantined.update(quarantined)
            self._recent.append(_Flush(now_ms, lines, quarantined))
            self._last_flush_ms, self._failing = now_ms, ""

    def failed(self, why: str) -> None:
        """Record that the lake or Kafka does not answer; until the next flush."""
        with self._lock:
            self._failing = why

    def expired(self, lines: int) -> None:
        """Record lines that Kafka deleted before they were read."""
        with self._lock:
            self._since.expired += lines

    def site_clock(self, topic: str, state: Mapping[str, Any]) -> None:
        """Record what is known of the clock of a topic's site."""
        with self._lock:
            self._site_clocks[topic] = state

    def waiting(self, lines: int, *, admitted: int) -> None:
        """Record how many lines of the lake wait for their movies, and how many were admitted."""
        with self._lock:
            self._waiting.lines = lines
            self._waiting.admitted += admitted

    def asked(self, kind: str, *, known: int, unknown: int) -> None:
        """Record what the site knew and what it did not know, of movies or users."""
        with self._lock:
            self._waiting.found[kind] += known
            self._waiting.unknown[kind] += unknown

    def site_answers(self, failure: str) -> None:
        """Record that the site answers, or why it does not."""
        with self._lock:
            self._waiting.site_failure = failure

    def forgotten(self, partitions: Iterable[str]) -> None:
        """Drop partitions that have another owner."""
        with self._lock:
            for partition in partitions:
                self._partitions.pop(partition, None)

    def take(self, now: datetime) -> dict[Metric, float]:
        """Return the values of `INGEST_METRICS`, and reset the counts."""
        with self._lock:
            since, self._since = self._since, _Unpublished()
            values: dict[Metric, float] = {
                INGEST_WAITING: self._waiting.lines,
                INGEST_LAG: sum(one.lag for one in self._partitions.values()),
                INGEST_LAG_SECONDS: self._lag_s(now),
                INGEST_LINES: since.lines,
                INGEST_EXPIRED: since.expired,
                INGEST_SINCE_FLUSH: self._since_flush_s(now) or 0.0,
            }
        if since.lines:
            values[QUARANTINE_RATE] = since.quarantined.total() / since.lines
        return values

    def quarantine_rates(self, now: datetime) -> dict[str, float]:
        """Return the share of the last minutes' lines that went to quarantine, by reason."""
        with self._lock:
            lines, reasons = self._over_last_minutes(now)
        return {reason: count / lines for reason, count in reasons.items()} if lines else {}

    def health(self, now: datetime) -> dict[str, Any]:
        """Return all of it as JSON, for `/healthz`."""
        with self._lock:
            lines, reasons = self._over_last_minutes(now)
            return {
                "ok": not self._failing,
                "failing": self._failing,
                "partitions": {name: one.lag for name, one in sorted(self._partitions.items())},
                "lag_lines": sum(one.lag for one in self._partitions.values()),
                "lag_s": self._lag_s(now),
                "lines_per_s": lines / RECENT_S,
                "quarantined": {reason: count / lines for reason, count in reasons.most_common()},
                "since_flush_s": self._since_flush_s(now),
                "waiting": self._waiting_lines(),
                "site_clocks": {topic: dict(state) for topic, state in self._site_clocks.items()},
            }

    def _waiting_lines(self) -> dict[str, Any]:
        one = self._waiting
        return {
            "lines": one.lines,
            "admitted": one.admitted,
            "movies_found": one.found["movie"],
            "movies_unknown": one.unknown["movie"],
            "users_found": one.found["user"],
            "users_unknown": one.unknown["user"],
            "site_failure": one.site_failure,
        }

    def _over_last_minutes(self, now: datetime) -> tuple[int, Counter[str]]:
        begin_ms = now.timestamp() * 1000 - RECENT_S * 1000
        while self._recent and self._recent[0].at_ms < begin_ms:
            self._recent.popleft()
        reasons = Counter[str]()
        for flush in self._recent:
            reasons.update(flush.quarantined)
        return sum(flush.lines for flush in self._recent), reasons

    def _lag_s(self, now: datetime) -> float:
        waiting = [one.oldest_ms for one in self._partitions.values() if one.oldest_ms]
        now_ms = now.timestamp() * 1000
        return max((now_ms - min(waiting, default=now_ms)) / 1000, 0.0)

    def _since_flush_s(self, now: datetime) -> float | None:
        if self._last_flush_ms is None:
            return None
        return max(now.timestamp() - self._last_flush_ms / 1000, 0.0)


def publish_periodically(
    meter: Meter, sink: MetricSink, clock: Clock, *, every_s: float, wait: Callable[[float], bool]
) -> None:
    """Publish the meter's values at once and then every `every_s`, until `wait` returns True."""
    while True:
        try:
            sink.publish(meter.take(clock.now()), INGEST_DIMENSIONS)
            for reason, share in meter.quarantine_rates(clock.now()).items():
                sink.publish({QUARANTINE_RATE: share}, quarantine_dimensions(reason))
        except MovierecError as exc:
            log.warning("metrics_not_published", extra={"error": str(exc)})
        if wait(every_s):
            return
