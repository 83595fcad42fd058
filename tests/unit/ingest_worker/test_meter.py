from datetime import UTC, datetime

import pytest

from ingest_worker.meter import Meter, publish_periodically
from movierec.metrics import (
    INGEST_DIMENSIONS,
    INGEST_LAG,
    INGEST_LAG_SECONDS,
    INGEST_METRICS,
    INGEST_WAITING,
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
    for partition in ("p0", "p1"):
        meter.resumed(partition, stored=9, end=10, now_ms=NOW_MS)
    return meter


def test_an_idle_worker_is_level_and_tells_no_share_of_nothing(meter):
    assert meter.take(NOW) == dict.fromkeys((m for m in INGEST_METRICS if m != QUARANTINE_RATE), 0)


def test_lines_of_all_partitions_count_and_the_oldest_decides(meter):
    meter.read("p0", written_ms=NOW_MS - 3000, end=15)
    meter.read("p0", written_ms=NOW_MS - 1000, end=20)
    meter.read("p1", written_ms=NOW_MS - 5000, end=11)

    assert lag_of(meter) == (11, 5.0)


def test_what_is_stored_no_longer_waits(meter):
    meter.read("p0", written_ms=NOW_MS - 3000, end=20)
    meter.stored({"p0": 14}, lines=5, quarantined={}, now_ms=NOW_MS)

    assert lag_of(meter) == (5, 0.0)


def test_a_backlog_that_nobody_has_read_yet_waits_since_it_was_found():
    meter = Meter()
    meter.resumed("p0", stored=-1, end=100, now_ms=NOW_MS - 2000)
    assert lag_of(meter) == (100, 2.0)

    meter.read("p0", written_ms=NOW_MS - 60_000, end=100)
    assert lag_of(meter) == (100, 60.0)


def test_reading_again_after_a_failure_makes_no_line_younger(meter):
    meter.read("p0", written_ms=NOW_MS - 60_000, end=20)
    meter.resumed("p0", stored=9, end=20, now_ms=NOW_MS)

    assert lag_of(meter) == (10, 60.0)


def test_a_partition_of_somebody_else_is_not_counted(meter):
    meter.read("p0", written_ms=NOW_MS - 3000, end=20)
    meter.forgotten(["p0", "p7"])

    assert lag_of(meter) == (0, 0.0)


def test_a_line_of_the_future_is_not_late(meter):
    meter.read("p0", written_ms=NOW_MS + 3000, end=20)

    assert lag_of(meter) == (10, 0.0)


def test_the_share_of_junk_is_of_the_lines_since_it_was_last_told(meter):
    meter.stored({"p0": 14}, lines=15, quarantined={"bad_time": 1}, now_ms=NOW_MS)
    meter.stored({"p0": 19}, lines=5, quarantined={"bad_time": 1}, now_ms=NOW_MS)

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
    with caplog.at_level("WARNING", logger="ingest_worker.meter"):
        publish_periodically(Meter(), sink, FakeClock(), every_s=60, wait=wait)

    assert [record.message for record in caplog.records] == ["metrics_not_published"]
    assert len(sink.published) == 1


# Over the last minutes ------------------------------------------------------------------------


def test_the_share_of_each_reason_is_of_the_last_minutes_lines(meter):
    meter.stored({"p0": 14}, lines=100, quarantined={"empty": 50}, now_ms=NOW_MS - 601_000)
    meter.stored({"p0": 19}, lines=30, quarantined={"bad_time": 3}, now_ms=NOW_MS - 300_000)
    meter.stored({"p0": 29}, lines=10, quarantined={"bad_time": 1, "bad_user": 2}, now_ms=NOW_MS)
    assert meter.quarantine_rates(NOW) == {"bad_time": 0.1, "bad_user": 0.05}


def test_each_reasons_share_is_published_under_its_name():
    meter, sink = Meter(), MemorySink()
    meter.resumed("p0", stored=-1, end=10, now_ms=NOW_MS)
    meter.stored({"p0": 9}, lines=10, quarantined={"bad_user": 2}, now_ms=NOW_MS)
    publish_periodically(meter, sink, FakeClock(NOW), every_s=60, wait=waits(0)[0])
    assert ({QUARANTINE_RATE: 0.2}, INGEST_DIMENSIONS | {"Reason": "bad_user"}) in sink.published


def test_health_says_what_there_is_to_say(meter):
    meter.read("p1", written_ms=NOW_MS - 5000, end=13)
    meter.stored({"p0": 14}, lines=600, quarantined={"bad_user": 60}, now_ms=NOW_MS - 2000)
    meter.site_clock("movielog1", {"basis": "found"})
    assert meter.health(NOW) == {
        "ok": True,
        "failing": "",
        "partitions": {"p0": 0, "p1": 3},
        "lag_lines": 3,
        "lag_s": 5.0,
        "lines_per_s": 1.0,
        "quarantined": {"bad_user": 0.1},
        "since_flush_s": 2.0,
        "site_clocks": {"movielog1": {"basis": "found"}},
        "waiting": {
            "lines": 0,
            "admitted": 0,
            "movies_found": 0,
            "movies_unknown": 0,
            "users_found": 0,
            "users_unknown": 0,
            "site_failure": "",
        },
    }


def test_what_waits_for_the_catalog_and_what_the_site_knew_is_told(meter):
    meter.waiting(7, admitted=2)
    meter.waiting(4, admitted=3)
    meter.asked("movie", known=1, unknown=2)
    meter.site_answers("no answer")
    assert meter.take(NOW)[INGEST_WAITING] == 4
    found = meter.health(NOW)["waiting"]
    assert (found["lines"], found["admitted"]) == (4, 5)
    assert (found["movies_found"], found["movies_unknown"]) == (1, 2)
    assert found["site_failure"] == "no answer"


def test_a_lake_that_does_not_answer_is_no_good_health_until_the_next_flush(meter):
    meter.failed("no answer")
    assert (meter.health(NOW)["ok"], meter.health(NOW)["failing"]) == (False, "no answer")
    meter.stored({"p0": 14}, lines=1, quarantined={}, now_ms=NOW_MS)
    assert meter.health(NOW)["ok"]
