"""Turn raw records into the rows of one flush."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from ingest_worker.duplicate_filter import RecentLines
from movierec.lake.log_lines import Catalog, Ints, Limits, Parsed, Reason, parse, reject, validate
from movierec.lake.schema import Columns, dates, select


@dataclass(frozen=True, slots=True)
class Records:
    """Records of one partition: ascending offsets (n,), as many lines and times.

    `written_ms` is Kafka's timestamp of each line, milliseconds since 1970.
    """

    offsets: Ints
    lines: Sequence[bytes]
    written_ms: Ints

    def after(self, offset: int) -> "Records":
        """Return the records past an offset."""
        start = int(np.searchsorted(self.offsets, offset, side="right"))
        return self if start == 0 else self._slice(start, len(self.lines))

    def until(self, offset: int) -> "Records":
        """Return the records up to and including an offset."""
        stop = int(np.searchsorted(self.offsets, offset, side="right"))
        return self._slice(0, stop)

    def _slice(self, start: int, stop: int) -> "Records":
        part = slice(start, stop)
        return Records(self.offsets[part], self.lines[part], self.written_ms[part])


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows of one flush: events by kind, quarantined lines, and each partition's last offset."""

    events: Sequence[Columns]
    quarantined: Columns
    last_offsets: Mapping[int, int]

    def without(self, offsets: Mapping[int, Collection[int]]) -> "Batch":
        """Return the batch without the rows of some offsets of each partition."""
        if not any(offsets.values()):
            return self
        return Batch(
            [_without(rows, offsets) for rows in self.events],
            _without(self.quarantined, offsets),
            self.last_offsets,
        )


def _without(rows: Columns, offsets: Mapping[int, Collection[int]]) -> Columns:
    partition, offset = np.asarray(rows["kafka_partition"]), np.asarray(rows["kafka_offset"])
    keep = np.ones(len(offset), np.bool_)
    for one, gone in offsets.items():
        keep &= (partition != one) | ~np.isin(offset, list(gone))
    return select(rows, keep)


def prepare(
    topic: str,
    records: Mapping[int, Records],
    recent: Mapping[int, RecentLines],
    *,
    limits: Limits,
    catalog: Catalog | None,
    now: datetime,
) -> Batch:
    """Parse and validate the records of all partitions of a topic together.

    `recent` has each partition's duplicate filter, which is updated.
    """
    partitions = sorted(records)
    lines = [line for p in partitions for line in records[p].lines]
    partition = np.repeat(partitions, [len(records[p].lines) for p in partitions]).astype(np.int64)
    offset = np.concatenate([records[p].offsets for p in partitions])
    written_ms = np.concatenate([records[p].written_ms for p in partitions])
    repeated = np.concatenate(
        [recent[p].mark(records[p].offsets, records[p].lines) for p in partitions]
    )
    parsed = validate(reject(parse(lines), repeated, Reason.DUPLICATE), limits, catalog)
    return Batch(
        events=_event_rows(parsed, topic, partition, offset),
        quarantined=_quarantine_rows(parsed, topic, lines, (partition, offset, written_ms), now),
        last_offsets={p: int(records[p].offsets[-1]) for p in partitions},
    )


def _event_rows(parsed: Parsed, topic: str, partition: Ints, offset: Ints) -> list[Columns]:
    return [
        {
            **rows.columns,
            "topic": [topic] * len(rows.lines),
            "kafka_partition": partition[rows.lines],
            "kafka_offset": offset[rows.lines],
        }
        for rows in parsed.events
        if len(rows.lines)
    ]


def _quarantine_rows(
    parsed: Parsed,
    topic: str,
    lines: Sequence[bytes],
    places: tuple[Ints, Ints, Ints],
    now: datetime,
) -> Columns:
    index = np.array(sorted(parsed.rejected), np.int64)
    partition, offset, written_ms = (values[index] for values in places)
    ingested_at = np.full(len(index), np.datetime64(now.replace(tzinfo=None), "us"))
    record_time = written_ms.astype("datetime64[ms]").astype("datetime64[us]")
    return {
        "quarantined_date": dates(ingested_at),
        "raw": [lines[i] for i in index.tolist()],
        "reason": [str(parsed.rejected[i]) for i in index.tolist()],
        "kafka_partition": partition,
        "kafka_offset": offset,
        "ingested_at": ingested_at,
        "topic": [topic] * len(index),
        "record_time": np.where(written_ms < 0, np.datetime64("NaT", "us"), record_time),
    }
