"""A topic in memory and a worker on it."""

from datetime import UTC, datetime

import numpy as np

from ingest_worker.batcher import Records
from ingest_worker.meter import Meter
from ingest_worker.worker import FlushPolicy, Worker
from movierec.lake.log_lines import Limits
from movierec.lake.site_clock import FoundClock

TOPIC = "movielog1"


# A minute before the time of FakeClock.
WRITTEN_MS = int(datetime(2026, 11, 20, 10, 14, tzinfo=UTC).timestamp() * 1000)


def line(n):
    return f"2022-11-14T12:23:13,{n + 1},GET /rate/gladiator+2000=4".encode()


class Log:
    """A topic's partitions, and a consumer of them that starts where it is told to."""

    topic = TOPIC

    def __init__(self, *partitions, poll_lines=3):
        self.partitions = partitions
        self.committed = {}
        self.given_up = []
        self.oldest = 0
        self.id: int | None = 7
        self.written_ms = WRITTEN_MS
        self._poll_lines = poll_lines
        self._positions = {}

    def poll(self, timeout_s):
        assert timeout_s >= 0
        found = {}
        for partition, position in self._positions.items():
            lines = self.partitions[partition][position : position + self._poll_lines]
            if lines:
                offsets = np.arange(position, position + len(lines))
                found[partition] = Records(offsets, lines, self._times(offsets))
                self._positions[partition] += len(lines)
        return found

    def _times(self, offsets):
        return np.full(len(offsets), -1) if self.written_ms < 0 else self.written_ms + offsets

    def seek(self, partition, offset):
        self._positions[partition] = offset

    def bounds(self, partition):
        return self.oldest, len(self.partitions[partition])

    def end(self, partition):
        return len(self.partitions[partition])

    def skip(self, partition, to):
        self._positions[partition] = to

    def position(self, partition):
        return self._positions[partition]

    def topic_id(self):
        return self.id

    def commit(self, last_offsets):
        self.committed |= last_offsets

    def relinquish(self, partitions):
        self.given_up += partitions
        for partition in partitions:
            del self._positions[partition]


def worker_on(
    log,
    lake,
    clock,
    *,
    max_lines=4,
    max_bytes=1 << 20,
    pauses=None,
    catalog=lambda: None,
    meter=None,
):
    waited = [] if pauses is None else pauses
    return Worker(
        log,
        lake,
        clock,
        catalog=catalog,
        limits=Limits(),
        policy=FlushPolicy(max_lines=max_lines, max_bytes=max_bytes, max_age_s=2.0),
        site_clock=FoundClock(),
        pause=lambda seconds: bool(waited.append(seconds)),
        meter=meter or Meter(),
    )


def offsets(lake, table="events"):
    return [(row["kafka_partition"], row["kafka_offset"]) for row in lake.rows(table)]
