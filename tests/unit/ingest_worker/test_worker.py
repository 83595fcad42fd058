"""A worker that has its partitions to itself: when it flushes, waits and stops."""

import pytest

from ingest_worker.meter import Meter
from ingest_worker.worker import FlushPolicy, Worker
from movierec.errors import UnavailableError
from movierec.lake.log_lines import Limits
from movierec.lake.site_clock import FoundClock
from movierec.metrics import INGEST_LAG, INGEST_LAG_SECONDS, INGEST_LINES, QUARANTINE_RATE
from tests.unit.ingest_worker.worker_harness import Log, line, offsets, worker_on


def test_every_line_is_a_row_and_the_group_is_told(lake, clock):
    log = Log([line(n) for n in range(7)])
    worker = worker_on(log, lake, clock)
    worker.assigned([0])
    for _ in range(3):
        worker.step(0)
    worker.flush()
    assert offsets(lake) == [(0, n) for n in range(7)]
    assert log.committed == {0: 6}


def test_lines_wait_for_company_but_not_longer_than_the_policy_says(lake, clock):
    worker = worker_on(Log([line(0)]), lake, clock)
    worker.assigned([0])
    worker.step(0)
    assert offsets(lake) == []
    clock.advance(2.0)
    worker.step(0)
    assert offsets(lake) == [(0, 0)]


def test_a_lake_that_is_down_is_waited_for_ever_longer(lake, clock):
    pauses: list[float] = []
    worker = worker_on(Log([line(0)]), lake, clock, max_lines=1, pauses=pauses)
    worker.assigned([0])
    lake.fail_appends = 1
    lake.fail_reads = 2
    worker.step(0)
    worker.step(0)
    assert offsets(lake) == [(0, 0)]
    assert pauses == [0.5, 0.5, 1.0]


def test_a_worker_that_is_asked_to_stop_does_not_wait_for_the_lake(lake, clock):
    worker = Worker(
        Log([line(0)]),
        lake,
        clock,
        catalog=lambda: None,
        limits=Limits(),
        policy=FlushPolicy(max_lines=1),
        site_clock=FoundClock(),
        pause=lambda _seconds: True,
        meter=Meter(),
    )
    worker.assigned([0])
    lake.fail_appends = 1
    worker.step(0)
    assert offsets(lake) == []


def test_a_catalog_that_cannot_be_read_loses_no_line(lake, clock):
    failures = [UnavailableError("no answer")]

    def catalog():
        if failures:
            raise failures.pop()

    worker = worker_on(Log([line(0)]), lake, clock, max_lines=1, catalog=catalog)
    worker.assigned([0])
    worker.step(0)
    worker.step(0)
    assert offsets(lake) == [(0, 0)]


def test_the_meter_hears_of_lines_that_wait_and_of_those_that_are_in(lake, clock):
    meter = Meter()
    worker = worker_on(Log([line(0), b"junk", line(2), line(3)]), lake, clock, meter=meter)
    worker.assigned([0])
    worker.step(0)
    waiting = meter.take(clock.now())
    assert (waiting[INGEST_LAG], waiting[INGEST_LAG_SECONDS], waiting[INGEST_LINES]) == (4, 60.0, 0)
    worker.flush()
    stored = meter.take(clock.now())
    assert (stored[INGEST_LAG], stored[INGEST_LAG_SECONDS], stored[INGEST_LINES]) == (1, 0.0, 3)
    assert stored[QUARANTINE_RATE] == pytest.approx(1 / 3)
    worker.revoked([0])
    assert meter.take(clock.now())[INGEST_LAG] == 0


def test_a_flush_is_due_by_bytes(lake, clock):
    worker = worker_on(Log([line(0)]), lake, clock, max_lines=9, max_bytes=10)
    worker.assigned([0])
    worker.step(0)
    assert offsets(lake) == [(0, 0)]


def test_lines_that_a_broken_lake_does_not_take_get_older_all_the_while(lake, clock):
    meter, lags = Meter(), []

    def pause(seconds):
        clock.advance(seconds)
        lags.append(meter.take(clock.now())[INGEST_LAG_SECONDS])

    worker = Worker(
        Log([line(0)]),
        lake,
        clock,
        catalog=lambda: None,
        limits=Limits(),
        policy=FlushPolicy(max_lines=1),
        site_clock=FoundClock(),
        pause=pause,
        meter=meter,
    )
    worker.assigned([0])
    lake.fail_appends, lake.fail_reads = 1, 2
    worker.step(0)
    worker.step(0)
    assert lags == [60.5, 61.0, 62.0]
    assert meter.take(clock.now())[INGEST_LAG_SECONDS] == 0.0
