"""Worker, proxy and maintenance of the present code go on where earlier code stopped."""

from datetime import timedelta

import numpy as np
import pytest

from ingest_worker.batcher import Records
from ingest_worker.meter import Meter
from ingest_worker.worker import FlushPolicy, Worker
from movierec.aws.delta_lake import DeltaLake
from movierec.aws.delta_maintenance import LakeMaintainer
from movierec.aws.lake_catalog import LakeCatalog
from movierec.errors import ConflictError
from movierec.lake.log_lines import Limits
from movierec.lake.maintenance import Policy
from movierec.lake.schema import EVENTS, TABLES
from movierec.lake.served import Served
from movierec.lake.site_clock import FoundClock
from movierec.testing.memory import FakeClock
from proxy.journal import Journal
from proxy.lake_writer import LakeWriter
from tests.contract import stored_before
from tests.contract.stored_before import (
    FALLBACK,
    NOW,
    ROWS,
    SECOND_MODEL,
    SHIPPED,
    STORED_OFFSET,
    counted,
)

LAST_LINE = "2026-11-20T05:52:04,12,GET /data/m/the+amber+engine+2006/25.mpg"


@pytest.fixture
def lake(tmp_path):
    return stored_before.lake(tmp_path / "lake")


@pytest.fixture
def resolver(lake):
    return stored_before.resolver(lake)


class Source:
    """The topic's partition: of what is stored, the last line alone matters."""

    topic = "movielog1"

    def __init__(self):
        self.lines = [b"stored"] * STORED_OFFSET + [LAST_LINE.encode()]
        self._next = 0
        self.relinquished = []
        self.committed = {}

    def poll(self, _timeout_s):
        start, self._next = self._next, len(self.lines)
        offsets = np.arange(start, len(self.lines))
        records = Records(offsets, self.lines[start:], np.zeros(len(offsets), np.int64))
        return {0: records} if len(offsets) else {}

    def seek(self, _partition, offset):
        self._next = offset

    def bounds(self, _partition):
        return 0, len(self.lines)

    def end(self, _partition):
        return len(self.lines)

    def position(self, _partition):
        return self._next

    def topic_id(self):
        return 1

    def commit(self, last_offsets):
        self.committed |= last_offsets

    def relinquish(self, partitions):
        self.relinquished += partitions


def worker(lake, source):
    """Return a worker that has taken the partition over."""
    made = Worker(
        source,
        lake,
        FakeClock(NOW),
        catalog=LakeCatalog(lake),
        limits=Limits(),
        policy=FlushPolicy(max_lines=1),
        site_clock=FoundClock(),
        pause=lambda _s: False,
        meter=Meter(),
    )
    made.assigned([0])
    return made


def test_an_ingest_worker_goes_on_after_the_stored_offset_in_the_next_epoch(lake):
    source = Source()
    new = "2026-11-20T07:00:00,12,GET /rate/the+amber+engine+2006=4"
    source.lines += [LAST_LINE.encode(), new.encode()]
    worker(lake, source).step(0)
    assert source.committed == {0: STORED_OFFSET + 2}
    assert lake.transaction("events", "movielog1-0") == STORED_OFFSET + 2
    assert lake.transaction("quarantine", "movielog1-0") == STORED_OFFSET + 2
    assert lake.transaction("events", "movielog1-0:term") == 3
    assert counted(lake) == ROWS | {"events": 668, "quarantine": 5}
    rows = lake.query(
        f"select kafka_offset o, rating from events where kafka_offset > {STORED_OFFSET}",  # noqa: S608
        {"events": None},
    )
    assert rows.column("o").to_pylist() == [STORED_OFFSET + 2]
    # A line that was stored by earlier code is known when it comes again.
    assert lake.count("quarantine", by="reason")["duplicate"] == 2


def test_a_worker_of_the_epoch_before_is_refused(lake, tmp_path):
    """It saw the table as earlier code left it, and commits after another has taken over."""
    stale = DeltaLake(str(tmp_path / "lake"))
    seen = {name: stale.transaction("events", name) for name in ("movielog1-0", "movielog1-0:term")}
    assert seen == {"movielog1-0": STORED_OFFSET, "movielog1-0:term": 2}
    worker(lake, Source())
    with pytest.raises(ConflictError, match="another writer has taken over"):
        stale.append(EVENTS.name, [], transactions={"movielog1-0": 700, "movielog1-0:term": 2})


def test_a_worker_that_is_overtaken_relinquishes_its_partition(lake, tmp_path):
    source = Source()
    overtaken = worker(DeltaLake(str(tmp_path / "lake")), source)
    worker(lake, Source())
    source.lines.append(b"2026-11-20T07:00:00,12,GET /rate/the+amber+engine+2006=4")
    overtaken.step(0)
    assert source.relinquished == [0]
    assert counted(lake) == ROWS
    assert lake.transaction("events", "movielog1-0:term") == 4


def record(number):
    at_us = int(NOW.timestamp()) * 1_000_000
    facts = (9, ("a", "b"), SECOND_MODEL, "2", "model", 200, 9.5, DETAIL if number else None)
    return Served(at_us, f"new-{number}", *facts)


DETAIL = '{"v":1,"known_user":true}'


def ship(lake, folder, first_sequence):
    journal = Journal(folder, first_sequence=first_sequence)
    for number in range(2):
        journal.append(record(number))
    journal.seal()
    return LakeWriter(lambda: lake, proxy_id="1").ship(journal.sealed).records


def test_a_proxy_goes_on_after_the_records_that_were_shipped(lake, tmp_path):
    assert ship(lake, tmp_path / "journal", SHIPPED + 1) == 2
    assert lake.transaction("served", "proxy-1") == SHIPPED + 2
    assert counted(lake) == ROWS | {"served": 20}


def test_a_record_s_detail_is_in_a_table_that_had_none(lake, resolver, tmp_path):
    ship(lake, tmp_path / "journal", SHIPPED + 1)
    found = [resolver.by_id(name).served.detail for name in ("new-0", "new-1", FALLBACK)]
    assert found == [None, DETAIL, None]


def test_a_record_that_was_shipped_is_not_shipped_again(lake, tmp_path):
    assert ship(lake, tmp_path / "journal", SHIPPED) == 1
    assert counted(lake) == ROWS | {"served": 19}


def maintained(lake, policy, clock=None):
    clock = clock or FakeClock(NOW)
    kept = LakeMaintainer(lake, policy, clock, lambda _s: None, lambda: 900.0).maintain()
    assert [table.error for table in kept] == [""] * len(TABLES)
    return {table.table: table for table in kept}


def test_files_are_joined_and_nothing_is_lost(lake, tmp_path):
    worker_of_now = Source()
    worker_of_now.lines.append(b"2026-11-20T07:00:00,12,GET /rate/the+amber+engine+2006=4")
    worker(lake, worker_of_now).step(0)
    kept = maintained(lake, Policy(few_files=2))
    assert (kept["events"].files_removed, kept["events"].files_added) == (2, 1)
    again = DeltaLake(str(tmp_path / "lake"))
    assert counted(again) == ROWS | {"events": 668}
    assert again.transaction("events", "movielog1-0") == STORED_OFFSET + 1
    assert again.transaction("served", "proxy-1") == SHIPPED


def test_watch_lines_past_their_time_are_deleted(lake):
    kept = maintained(lake, Policy(watch_retention_days=1), FakeClock(NOW))
    assert kept["events"].rows_deleted == 216
    assert lake.count("events", by="kind") == {"watch": 325, "rate": 108, "recommend": 18}


def test_a_day_later_nothing_is_left_to_do(lake):
    first = maintained(lake, Policy(), FakeClock(NOW + timedelta(days=1)))
    assert {table.files_removed for table in first.values()} == {0}
    assert {table.rows_deleted for table in first.values()} == {0}
