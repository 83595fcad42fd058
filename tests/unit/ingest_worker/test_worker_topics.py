"""Topics as others run them: made again, cut by retention, with offsets that hold no record."""

import pytest

from ingest_worker.meter import Meter
from movierec.errors import ConfigError
from movierec.metrics import INGEST_EXPIRED, INGEST_LAG, INGEST_LAG_SECONDS
from tests.unit.ingest_worker.worker_harness import TOPIC, Log, line, offsets, worker_on


def test_a_topic_that_was_made_again_is_refused_before_a_line_is_passed_over(lake, clock):
    first = worker_on(Log([line(n) for n in range(4)]), lake, clock)
    first.assigned([0])
    first.step(0)
    first.flush()
    second = worker_on(Log([line(0)]), lake.rival(), clock)
    with pytest.raises(ConfigError, match="made again"):
        second.assigned([0])


def test_offsets_that_have_expired_are_said(lake, clock, caplog):
    log = Log([line(n) for n in range(4)])
    log.oldest = 2
    with caplog.at_level("ERROR", logger="ingest_worker.worker"):
        worker_on(log, lake, clock).assigned([0])
    assert [(r.message, r.first, r.next) for r in caplog.records] == [("offsets_expired", 0, 2)]


def test_a_topic_made_again_is_refused_though_it_is_longer(lake, clock):
    first = worker_on(Log([line(n) for n in range(5)]), lake, clock)
    first.assigned([0])
    again = Log([line(n) for n in range(8)])
    again.id = 8
    with pytest.raises(ConfigError, match="movielog1 was deleted and made again"):
        worker_on(again, lake.rival(), clock).assigned([0])


def test_a_topic_whose_brokers_give_no_ids_is_read(lake, clock):
    log = Log([line(0)])
    log.id = None
    worker = worker_on(log, lake, clock, max_lines=1)
    worker.assigned([0])
    worker.step(0)
    assert offsets(lake) == [(0, 0)]


def test_offsets_that_kafka_deleted_unread_are_one_row_of_quarantine(lake, clock):
    log, meter = Log([line(n) for n in range(9)]), Meter()
    first = worker_on(log, lake, clock, max_lines=2)
    first.assigned([0])
    first.step(0)
    log.oldest = 6
    second = worker_on(log, lake.rival(), clock, max_lines=1, meter=meter)
    second.assigned([0])
    assert meter.take(clock.now())[INGEST_EXPIRED] == 3
    second.step(0)
    second.step(0)
    assert offsets(lake) == [(0, n) for n in (0, 1, 2, 6, 7, 8)]
    [row] = lake.rows("quarantine")
    assert (row["reason"], row["kafka_offset"], row["topic"]) == ("offsets_expired", 3, TOPIC)
    assert row["raw"] == b"offsets 3 to 5 of movielog1-0 were deleted before they were read"


def test_a_gap_that_was_written_is_not_written_again_after_a_crash(lake, clock):
    log = Log([line(n) for n in range(9)])
    first = worker_on(log, lake, clock, max_lines=2)
    first.assigned([0])
    first.step(0)
    log.oldest = 6
    rival = lake.rival()
    second = worker_on(log, rival, clock, max_lines=1)
    second.assigned([0])
    rival.lose_answers = 1  # of the commit to quarantine, which holds the gap
    for _ in range(3):
        second.step(0)
    assert [row["reason"] for row in lake.rows("quarantine")] == ["offsets_expired"]
    assert offsets(lake) == [(0, n) for n in (0, 1, 2, 6, 7, 8)]


def test_a_first_read_of_a_topic_that_lost_its_beginning_is_no_gap(lake, clock):
    log, meter = Log([line(n) for n in range(9)]), Meter()
    log.oldest = 6
    worker = worker_on(log, lake, clock, meter=meter)
    worker.assigned([0])
    assert meter.take(clock.now())[INGEST_EXPIRED] == 0


def test_offsets_without_a_record_are_passed_and_nobody_waits_for_them(lake, clock):
    log = Log([line(0)])
    worker = worker_on(log, lake, clock, max_lines=1)
    worker.assigned([0])
    worker.step(0)
    log.skip(0, to=4)
    worker.step(0)
    clock.advance(2.0)
    worker.step(0)
    assert lake.transaction("events", "movielog1-0") == 3
    assert log.committed == {0: 3}
    assert offsets(lake) == [(0, 0)]


def test_offsets_without_a_record_are_passed_though_the_first_try_fails(lake, clock):
    log = Log([line(0)])
    worker = worker_on(log, lake, clock, max_lines=1)
    worker.assigned([0])
    worker.step(0)
    log.partitions[0].extend([b""] * 3)  # the topic's end, behind a marker that no poll returns
    log.skip(0, to=4)
    worker.step(0)
    lake.fail_appends = 1
    clock.advance(2.0)
    worker.step(0)
    log.skip(0, to=4)
    worker.step(0)
    clock.advance(2.0)
    worker.step(0)
    assert lake.transaction("events", "movielog1-0") == 3
    assert offsets(lake) == [(0, 0)]


def test_records_without_a_timestamp_have_no_lag(lake, clock):
    log, meter = Log([line(0)]), Meter()
    log.written_ms = -1
    worker = worker_on(log, lake, clock, meter=meter)
    worker.assigned([0])
    worker.step(0)
    taken = meter.take(clock.now())
    assert (taken[INGEST_LAG], taken[INGEST_LAG_SECONDS]) == (1, 0.0)
    worker.flush()
    assert offsets(lake) == [(0, 0)]
