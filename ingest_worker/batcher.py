"""Turn raw records into the rows of one flush."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from ingest_worker.duplicate_filter import RecentLines
from ingest_worker.line_fields import Ints
from ingest_worker.line_parser import Lines, Parsed, binary, parse
from ingest_worker.line_rules import validate
from movierec.lake.log_lines import Catalog, Limits, Reason
from movierec.lake.schema import Columns, dates, select
from movierec.lake.site_clock import Converted, SiteClock, TimeBasis


@dataclass(frozen=True, slots=True)
class Records:
    """Records of one partition: ascending offsets (n,), as many lines and times.

    `written_ms` is Kafka's timestamp of each line, milliseconds since 1970; not positive: none.
    Lines are a list, or a column of bytes, which costs a third of the memory.
    """

    offsets: Ints
    lines: Lines
    written_ms: Ints

    @property
    def size_bytes(self) -> int:
        """How much the lines hold."""
        if isinstance(self.lines, pl.Series):
            return int(self.lines.bin.size().sum())
        return sum(map(len, self.lines))

    def after(self, offset: int) -> "Records":
        """Return the records past an offset."""
        start = int(np.searchsorted(self.offsets, offset, side="right"))
        return self if start == 0 else self._slice(start, len(self.lines))

    def until(self, offset: int) -> "Records":
        """Return the records up to and including an offset."""
        stop = int(np.searchsorted(self.offsets, offset, side="right"))
        return self._slice(0, stop)

    def split(self, count: int) -> "tuple[Records, Records | None]":
        """Return the first records, and those that are left, None if none are."""
        if count >= len(self.offsets):
            return self, None
        return self._slice(0, count), self._slice(count, len(self.offsets))

    def _slice(self, start: int, stop: int) -> "Records":
        part = slice(start, stop)
        return Records(self.offsets[part], self.lines[part], self.written_ms[part])


def concat(parts: Sequence[Records]) -> Records:
    """Return records of one partition that follow each other as one."""
    if len(parts) == 1:
        return parts[0]
    return Records(
        np.concatenate([part.offsets for part in parts]),
        pl.concat([binary(part.lines) for part in parts]),
        np.concatenate([part.written_ms for part in parts]),
    )


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
    site_clock: SiteClock,
) -> Batch:
    """Parse and validate the records of all partitions of a topic together.

    `recent` has each partition's duplicate filter, and `site_clock` the site's; both learn.
    """
    if not records:
        return Batch([], {"reason": []}, {})
    lines = {p: binary(records[p].lines) for p in sorted(records)}
    repeated = np.concatenate([recent[p].mark(records[p].offsets, lines[p]) for p in lines])
    joined = Joined(
        lines=pl.concat(lines.values()).rechunk(),
        partition=np.repeat(list(lines), list(map(len, lines.values()))).astype(np.int64),
        offset=np.concatenate([records[p].offsets for p in lines]),
        recorded=_recorded(np.concatenate([records[p].written_ms for p in lines])),
    )
    parsed = parse(joined.lines).reject(repeated, Reason.DUPLICATE)
    parsed = validate(parsed, limits, catalog, joined.recorded_or(now))
    _observe(site_clock, parsed, joined.recorded.astype(np.int64))
    return Batch(
        events=event_rows(parsed, topic, joined, site_clock),
        quarantined=_quarantine_rows(parsed, topic, joined, now),
        last_offsets={p: int(records[p].offsets[-1]) for p in lines},
    )


def _observe(site_clock: SiteClock, parsed: Parsed, recorded_us: Ints) -> None:
    """Have the clock learn from all good lines, whatever their kind."""
    local_us = np.concatenate([rows.local_us for rows in parsed.events])
    lines = np.concatenate([rows.lines for rows in parsed.events])
    site_clock.observe(local_us, recorded_us[lines])


def event_rows(
    parsed: Parsed, topic: str, joined: "Joined", site_clock: SiteClock
) -> list[Columns]:
    """Return the rows of table `events` of parsed lines, kind by kind."""
    recorded_us = joined.recorded.astype(np.int64)
    return [
        {
            **rows.columns,
            **_times(site_clock.convert(rows.local_us, recorded_us[rows.lines])),
            **joined.origin(topic, rows.lines),
        }
        for rows in parsed.events
        if len(rows.lines)
    ]


def _times(converted: Converted) -> Columns:
    event_time = converted.utc_us.astype("datetime64[us]")
    basis = np.zeros(len(event_time), np.int8)
    for code, name in enumerate(TimeBasis):
        basis[converted.basis == name] = code
    return {
        "event_time": event_time,
        "event_date": dates(event_time),
        "utc_offset_minutes": converted.offset_minutes,
        "time_basis": pl.Series(map(str, TimeBasis)).gather(basis),
    }


def expired_row(topic: str, partition: int, gap: tuple[int, int], now: datetime) -> Columns:
    """Return the row of quarantine for lines that Kafka deleted before they were read.

    `gap` is the first and the last of their offsets.
    """
    first, last = gap
    said = f"offsets {first} to {last} of {topic}-{partition} were deleted before they were read"
    ingested_at = np.array([_microseconds(now)])
    return {
        "quarantined_date": dates(ingested_at),
        "raw": [said.encode()],
        "reason": [str(Reason.OFFSETS_EXPIRED)],
        "ingested_at": ingested_at,
        "topic": [topic],
        "kafka_partition": np.array([partition]),
        "kafka_offset": np.array([first]),
    }


@dataclass(frozen=True, slots=True)
class Joined:
    """The lines of all partitions one after the other, and where and when each was recorded."""

    lines: pl.Series
    partition: Ints
    offset: Ints
    recorded: npt.NDArray[np.datetime64]

    def origin(self, topic: str, index: Ints) -> Columns:
        """Return the columns that say where some of the lines came from."""
        return {
            "topic": pl.repeat(topic, len(index), dtype=pl.String, eager=True),
            "kafka_partition": self.partition[index],
            "kafka_offset": self.offset[index],
        }

    def recorded_or(self, now: datetime) -> Ints:
        """Return when each line was recorded in microseconds, `now` where nothing says so."""
        missing = np.isnat(self.recorded)
        return np.where(missing, _microseconds(now), self.recorded).astype(np.int64)


def _microseconds(time: datetime) -> np.datetime64:
    return np.datetime64(time.replace(tzinfo=None), "us")


def _recorded(written_ms: Ints) -> npt.NDArray[np.datetime64]:
    """Return Kafka's timestamps as times, NaT for none."""
    times = np.minimum(written_ms, _LAST_MS).astype("datetime64[ms]").astype("datetime64[us]")
    return np.where(written_ms > 0, times, np.datetime64("NaT", "us"))


# The last of year 9999: a larger timestamp is junk, and must not overflow.
_LAST_MS: Final = 253_402_300_799_999


def _quarantine_rows(parsed: Parsed, topic: str, joined: Joined, now: datetime) -> Columns:
    index = parsed.rejected
    ingested_at = np.full(len(index), _microseconds(now))
    return {
        "quarantined_date": dates(ingested_at),
        "raw": joined.lines.gather(index),
        "reason": parsed.reasons(),
        "ingested_at": ingested_at,
        **joined.origin(topic, index),
        "record_time": joined.recorded[index],
    }
