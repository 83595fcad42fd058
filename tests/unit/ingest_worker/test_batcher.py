from datetime import UTC, datetime

import numpy as np

from ingest_worker.batcher import Records, prepare
from ingest_worker.duplicate_filter import RecentLines
from movierec.lake.log_lines import Catalog, Limits
from movierec.lake.site_clock import FoundClock

NOW = datetime(2026, 11, 20, 10, 15, tzinfo=UTC)
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
