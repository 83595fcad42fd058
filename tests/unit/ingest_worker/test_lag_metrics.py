from datetime import UTC, datetime

import pytest

from ingest_worker.lag_metrics import Meter, publish_periodically
from movierec.metrics import (
    INGEST_DIMENSIONS,
    INGEST_LAG,
    INGEST_LAG_SECONDS,
    INGEST_METRICS,
    QUARANTINE_RATE,
)
from movierec.testing.memory import FakeClock, MemorySink

NOW = datetime(2026, 11, 20, 10, 15, tzinfo=UTC)
NOW_MS = NOW.timestamp() * 1000


def lag_of(meter):
    values = meter.take(NOW)
    return values[INGEST_LAG], values[INGEST_LAG_SECONDS]


@pytest.fixture
def meter():
    meter = Meter()
    for partition in (0, 1):
        meter.resumed(partition, stored=9, end=10, now_ms=NOW_MS)
    return meter


def test_an_idle_worker_is_level_and_tells_no_share_of_nothing(meter):
    assert meter.take(NOW) == {INGEST_LAG: 0, INGEST_LAG_SECONDS: 0.0}


def test_lines_of_all_partitions_count_and_the_oldest_decides(meter):
    meter.read(0, written_ms=NOW_MS - 3000, end=15)
    meter.read(0, written_ms=NOW_MS - 1000, end=20)
    meter.read(1, written_ms=NOW_MS - 5000, end=11)

    assert lag_of(meter) == (11, 5.0)


def test_what_is_stored_no_longer_waits(meter):
    meter.read(0, written_ms=NOW_MS - 3000, end=20)
    meter.stored({0: 14}, lines=5, quarantined=0)

    assert lag_of(meter) == (5, 0.0)


def test_a_backlog_that_nobody_has_read_yet_waits_since_it_was_found():
    meter = Meter()
    meter.resumed(0, stored=-1, end=100, now_ms=NOW_MS - 2000)
    assert lag_of(meter) == (100, 2.0)

    meter.read(0, written_ms=NOW_MS - 60_000, end=100)
    assert lag_of(meter) == (100, 60.0)


def test_reading_again_after_a_failure_makes_no_line_younger(meter):
    meter.read(0, written_ms=NOW_MS - 60_000, end=20)
    meter.resumed(0, stored=9, end=20, now_ms=NOW_MS)

    assert lag_of(meter) == (10, 60.0)


def test_a_partition_of_somebody_else_is_not_counted(meter):
    meter.read(0, written_ms=NOW_MS - 3000, end=20)
    meter.forgotten([0, 7])

    assert lag_of(meter) == (0, 0.0)


def test_a_line_of_the_future_is_not_late(meter):
    meter.read(0, written_ms=NOW_MS + 3000, end=20)

    assert lag_of(meter) == (10, 0.0)


def test_the_share_of_junk_is_of_the_lines_since_it_was_last_told(meter):
    meter.stored({0: 14}, lines=15, quarantined=1)
    meter.stored({0: 19}, lines=5, quarantined=1)

    assert meter.take(NOW)[QUARANTINE_RATE] == 0.1
    assert QUARANTINE_RATE not in meter.take(NOW)


def waits(times):
    """Return what says to go on so many times, and the waits that were asked for."""
    asked: list[float] = []

    def wait(seconds):
        asked.append(seconds)
        return len(asked) > times

    return wait, asked


def test_it_publishes_at_once_and_on_idle_minutes_until_it_is_to_stop():
    sink, (wait, asked) = MemorySink(), waits(2)
    publish_periodically(Meter(), sink, FakeClock(), every_s=60, wait=wait)

    assert asked == [60, 60, 60]
    assert [by for _, by in sink.published] == [INGEST_DIMENSIONS] * 3
    assert all(set(values) <= set(INGEST_METRICS) for values, _ in sink.published)


def test_what_cannot_be_published_is_logged_and_the_next_minute_is(caplog):
    sink, (wait, _) = MemorySink(fail_puts=1), waits(1)
    with caplog.at_level("WARNING", logger="ingest_worker.lag_metrics"):
        publish_periodically(Meter(), sink, FakeClock(), every_s=60, wait=wait)

    assert [record.message for record in caplog.records] == ["metrics_not_published"]
    assert len(sink.published) == 1
