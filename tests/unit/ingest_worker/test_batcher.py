from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest

from ingest_worker.batcher import Records, prepare
from ingest_worker.duplicate_filter import RecentLines
from movierec.lake.log_lines import Catalog, Limits
from movierec.lake.schema import as_rows
from movierec.lake.site_clock import NO_TIME, Converted, FoundClock

NOW = datetime(2026, 11, 20, 10, 15, tzinfo=UTC)
NOW_MS = int(NOW.timestamp()) * 1_000
WATCH = b"2022-11-14T12:23:13,42,GET /data/m/gladiator+2000/131.mpg"
RATE = b"2022-11-14T12:24,42,GET /rate/gladiator+2000=4"
JUNK = b"\xff\xfe"


def batch_of(**lines_by_partition):
    records = {
        int(name[1:]): Records(
            np.arange(100, 100 + len(lines)), lines, np.zeros(len(lines), np.int64)
        )
        for name, lines in lines_by_partition.items()
    }
    recent = {p: RecentLines() for p in records}
    return prepare(
        "movielog1",
        records,
        recent,
        limits=Limits(),
        catalog=Catalog({"gladiator+2000": 155}),
        now=NOW,
        site_clock=FoundClock(),
    )


def test_rows_carry_the_partition_and_offset_they_came_from():
    batch = batch_of(p0=[JUNK, WATCH], p3=[RATE])
    watches, rates = batch.events
    assert watches["kafka_partition"].tolist() == [0]
    assert watches["kafka_offset"].tolist() == [101]
    assert (rates["kafka_partition"].tolist(), rates["kafka_offset"].tolist()) == ([3], [100])
    assert batch.last_offsets == {0: 101, 3: 100}


def test_a_quarantined_line_keeps_its_raw_bytes_reason_and_place():
    quarantined = batch_of(p1=[JUNK]).quarantined
    assert list(quarantined["raw"]) == [JUNK]
    assert list(quarantined["reason"]) == ["bad_time"]
    assert quarantined["kafka_partition"].tolist() == [1]
    assert quarantined["ingested_at"].tolist() == [NOW.replace(tzinfo=None)]


def test_the_same_line_in_two_partitions_is_no_duplicate():
    assert list(batch_of(p0=[WATCH], p1=[WATCH]).quarantined["raw"]) == []


def test_the_same_line_twice_in_a_partition_is_quarantined_once():
    batch = batch_of(p0=[WATCH, WATCH])
    assert list(batch.quarantined["reason"]) == ["duplicate"]
    assert batch.events[0]["kafka_offset"].tolist() == [100]


def test_rows_of_offsets_that_are_in_already_are_left_out():
    batch = batch_of(p0=[WATCH, JUNK, RATE], p1=[JUNK]).without({0: {100, 101}, 1: set()})
    assert [list(rows["kind"]) for rows in batch.events if len(rows["kind"])] == [["rate"]]
    assert batch.quarantined["kafka_partition"].tolist() == [1]
    assert batch.last_offsets == {0: 102, 1: 100}


def one_line(line, written_ms):
    records = {0: Records(np.array([7]), [line], np.array([written_ms]))}
    recent = {0: RecentLines()}
    return prepared(records, recent)


def prepared(records, recent, site_clock=None):
    return prepare(
        "movielog1",
        records,
        recent,
        limits=Limits(),
        catalog=None,
        now=NOW,
        site_clock=site_clock or FoundClock(),
    )


@pytest.mark.parametrize("written_ms", [-1, 0])
def test_a_record_without_a_time_counts_as_one_of_now(written_ms):
    batch = one_line(b"2026-11-21T10:15,7,GET /create_account", written_ms)
    assert [list(rows["kind"]) for rows in batch.events] == [["create_account"]]
    late = one_line(b"2026-11-21T10:16,7,GET /create_account", written_ms)
    assert list(late.quarantined["reason"]) == ["time_out_of_range"]
    assert np.isnat(late.quarantined["record_time"]).tolist() == [True]


@pytest.mark.parametrize("written_ms", [2**63 - 1, 253_402_300_800_000])
def test_a_record_s_time_that_cannot_be_breaks_nothing(written_ms):
    batch = one_line(b"1926-11-20T10:15,7,GET /rate/film+1+2001=4", written_ms)
    assert list(batch.quarantined["reason"]) == ["time_out_of_range"]


class FiveHoursBehind:
    """A site's clock that knows its offset, and records what it was shown."""

    found = None

    def __init__(self):
        self.observed = []

    def observe(self, local_us, record_us):
        self.observed += zip(local_us.tolist(), record_us.tolist(), strict=True)

    def convert(self, local_us, record_us):
        n = len(local_us)
        utc_us = local_us + 5 * 3_600_000_000
        return Converted(utc_us, np.full(n, -300, np.int16), np.full(n, "zone"))


def test_events_have_the_site_s_text_and_utc_by_its_clock():
    records = {0: Records(np.arange(3), [RATE, JUNK, WATCH], np.array([NOW_MS, NOW_MS, 0]))}
    clock = FiveHoursBehind()
    batch = prepared(records, {0: RecentLines()}, clock)
    local_us = [
        int(np.datetime64(time, "us").astype(np.int64))
        for time in ("2022-11-14T12:24", "2022-11-14T12:23:13")
    ]
    assert set(clock.observed) == {(local_us[0], NOW_MS * 1_000), (local_us[1], NO_TIME)}
    (row,) = as_rows(batch.events[0])
    assert (row["site_time"], row["time_basis"]) == ("2022-11-14T12:23:13", "zone")
    assert row["event_time"] == np.datetime64("2022-11-14T17:23:13")
    assert row["utc_offset_minutes"] == -300


def test_lines_may_be_a_column():
    column = pl.Series([JUNK, WATCH], dtype=pl.Binary)
    records = {0: Records(np.arange(2), column, np.zeros(2, np.int64)).after(0)}
    recent = {0: RecentLines()}
    batch = prepared(records, recent)
    assert list(batch.events[0]["kafka_offset"]) == [1]
    assert list(batch.quarantined["raw"]) == []
