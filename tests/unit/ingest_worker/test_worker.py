from datetime import UTC, datetime

import numpy as np
import pytest

from ingest_worker.batcher import Records
from ingest_worker.meter import Meter
from ingest_worker.worker import FlushPolicy, Worker
from movierec.errors import ConfigError, UnavailableError
from movierec.lake.log_lines import Catalog, Limits
from movierec.lake.site_clock import FoundClock
from movierec.metrics import (
    INGEST_EXPIRED,
    INGEST_LAG,
    INGEST_LAG_SECONDS,
    INGEST_LINES,
    QUARANTINE_RATE,
)
from movierec.testing.memory import FakeClock, MemoryLake

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


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def lake():
    return MemoryLake()


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


def test_a_new_worker_goes_on_where_the_lake_stands(lake, clock):
    log = Log([line(n) for n in range(6)])
    first = worker_on(log, lake, clock, max_lines=3)
    first.assigned([0])
    first.step(0)
    log.committed.clear()
    second = worker_on(log, lake.rival(), clock, max_lines=3)
    second.assigned([0])
    for _ in range(3):
        second.step(0)
    assert offsets(lake) == [(0, n) for n in range(6)]


def test_a_duplicate_of_a_line_from_before_the_restart_is_found(lake, clock):
    log = Log([line(0), line(1), line(1)])
    first = worker_on(Log(log.partitions[0][:2]), lake, clock, max_lines=1)
    first.assigned([0])
    first.step(0)
    second = worker_on(log, lake.rival(), clock, max_lines=1)
    second.assigned([0])
    second.step(0)
    assert [row["reason"] for row in lake.rows("quarantine")] == ["duplicate"]


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


def test_after_a_crash_between_the_commits_each_line_is_in_one_table_once(lake, clock):
    log = Log([b"junk", line(1), b"more junk"])
    worker = worker_on(log, lake, clock, max_lines=1)
    worker.assigned([0])

    class Crash(Exception):
        pass

    def crash(*_args, **_kwargs):
        raise Crash

    append = lake.append
    lake.append = lambda table, *a, **k: (append if table == "quarantine" else crash)(
        table, *a, **k
    )
    with pytest.raises(Crash):
        worker.step(0)
    lake.append = append
    # The movie of the good line is no longer known: it was none in quarantine, so it goes there.
    successor = worker_on(log, lake.rival(), clock, max_lines=1, catalog=lambda: Catalog({}))
    successor.assigned([0])
    successor.step(0)
    assert offsets(lake) == []
    assert sorted(offsets(lake, "quarantine")) == [(0, 0), (0, 1), (0, 2)]


def test_a_worker_that_wakes_up_between_its_commits_after_a_take_over_writes_no_event(lake, clock):
    """It passed the line by a catalog that has changed; its successor has quarantined it since."""
    log = Log([line(0)])
    sleeper = worker_on(log, lake, clock, max_lines=1)
    sleeper.assigned([0])
    append = lake.append

    def sleep_through_a_take_over(table, *args, **kwargs):
        if table == "events":
            owner = worker_on(
                Log([line(0)]), lake.rival(), clock, max_lines=1, catalog=lambda: Catalog({})
            )
            owner.assigned([0])
            owner.step(0)
        return append(table, *args, **kwargs)

    lake.append = sleep_through_a_take_over
    sleeper.step(0)
    assert log.given_up == [0]
    assert offsets(lake) == []
    assert offsets(lake, "quarantine") == [(0, 0)]


def test_a_fence_alone_stops_who_was_there_before(lake, clock):
    log = Log([line(0)])
    stale = worker_on(log, lake, clock, max_lines=1)
    stale.assigned([0])
    worker_on(Log([line(0)]), lake.rival(), clock).assigned([0])
    stale.step(0)
    assert log.given_up == [0]
    assert offsets(lake) == []


def test_a_stale_worker_with_another_catalog_quarantines_nothing(lake, clock):
    log = Log([line(0)])
    stale = worker_on(log, lake, clock, max_lines=1, catalog=lambda: Catalog({}))
    stale.assigned([0])
    owner = worker_on(Log([line(0)]), lake.rival(), clock, max_lines=1)
    owner.assigned([0])
    stale.step(0)
    assert log.given_up == [0]
    assert offsets(lake, "quarantine") == []
    owner.step(0)
    assert offsets(lake) == [(0, 0)]


def test_a_worker_that_is_overtaken_between_its_fences_begins_again(lake, clock):
    worker = worker_on(Log([line(0)]), lake, clock, max_lines=1)
    append, rivals = lake.append, [lake.rival()]

    def overtaken(table, *args, **kwargs):
        version = append(table, *args, **kwargs)
        if table == "events" and "movielog1-0:term" in kwargs["transactions"] and rivals:
            worker_on(Log([line(0)]), rivals.pop(), clock).assigned([0])
        return version

    lake.append = overtaken
    worker.assigned([0])
    worker.step(0)
    assert offsets(lake) == [(0, 0)]
    epochs = [lake.transaction(table, "movielog1-0:term") for table in ("events", "quarantine")]
    assert epochs == [2, 2]


def test_two_who_take_over_at_once_take_turns(lake, clock):
    log = Log([line(0)])
    worker = worker_on(log, lake, clock, max_lines=1)
    append, rivals = lake.append, [lake.rival()]

    def overtaken(*args, **kwargs):
        if rivals:
            worker_on(Log([line(0)]), rivals.pop(), clock).assigned([0])
        return append(*args, **kwargs)

    lake.append = overtaken
    worker.assigned([0])
    worker.step(0)
    assert offsets(lake) == [(0, 0)]


def test_a_stale_worker_gives_up_what_it_holds_and_writes_nothing(lake, clock):
    log = Log([line(0), line(1)], [line(2)])
    stale = worker_on(log, lake, clock, max_lines=1)
    stale.assigned([0, 1])
    owner = worker_on(Log([line(0), line(1)]), lake.rival(), clock, max_lines=1)
    owner.assigned([0])
    owner.step(0)
    stale.step(0)
    assert log.given_up == [0, 1]
    stale.assigned([1])
    stale.step(0)
    assert sorted(offsets(lake)) == [(0, 0), (0, 1), (1, 0)]


def test_a_commit_whose_answer_was_lost_is_not_repeated(lake, clock):
    log = Log([line(0)])
    worker = worker_on(log, lake, clock, max_lines=1)
    worker.assigned([0])
    lake.lose_answers = 1
    worker.step(0)
    worker.step(0)
    assert offsets(lake) == [(0, 0)]


def test_what_was_read_is_written_before_a_partition_is_let_go(lake, clock):
    worker = worker_on(Log([line(0)]), lake, clock)
    worker.assigned([0])
    worker.step(0)
    worker.revoked([0])
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


# Kafka as others run it -----------------------------------------------------------------------


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


def test_a_flush_is_due_by_bytes(lake, clock):
    worker = worker_on(Log([line(0)]), lake, clock, max_lines=9, max_bytes=10)
    worker.assigned([0])
    worker.step(0)
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
