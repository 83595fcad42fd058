"""Workers that follow, overtake and fence each other: each line is in one table once."""

import pytest

from movierec.lake.log_lines import Catalog
from tests.unit.ingest_worker.worker_harness import Log, line, offsets, worker_on


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
