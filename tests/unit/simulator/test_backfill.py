import dataclasses
from collections import Counter

import numpy as np
import pytest

from simulator import backfill
from simulator.backfill import BackfillJob
from simulator.history_generator import HistoryWindow
from simulator.line_corruption import CorruptionRates
from simulator.reference_parser import ReferenceParser
from simulator.request_errors import Server
from simulator.settings import WorldSpec


@pytest.fixture(scope="module")
def job():
    return BackfillJob(
        world=WorldSpec(300, 800, 7, None),
        window=HistoryWindow(1_790_000_000, 10.0),
        events=6000,
        rates=CorruptionRates(0.05, 0.02, 0.02, 0.05),
        max_user_id=1_000_000,
        check_catalog=True,
        server=Server("localhost:8082", "127.0.0.1"),
        options={},
        topic="movielog1",
        partitions=3,
        workers=2,
    )


@pytest.fixture(scope="module")
def batches(job):
    return [backfill.prepare(job, worker) for worker in range(job.processes)]


def test_the_same_job_makes_the_same_lines(job, batches):
    assert backfill.prepare(job, 0).lines == batches[0].lines


def test_every_user_and_every_partition_has_one_worker():
    users = [backfill.worker_users(50, 5, 2, worker) for worker in range(2)]
    assert sorted(np.concatenate(users).tolist()) == list(range(50))
    partitions = [set(((mine + 1) % 5).tolist()) for mine in users]
    assert not partitions[0] & partitions[1]


def test_one_partition_has_one_writer(job):
    assert dataclasses.replace(job, partitions=1).processes == 1


def test_no_line_is_there_twice_but_on_purpose(batches):
    count = Counter(line for batch in batches for line in batch.lines)
    copies = sum(n - 1 for n in count.values())
    meant = sum(
        batch.ledger(len(batch.kind)).corrupted["duplicate", "duplicate"] for batch in batches
    )
    assert copies == meant > 0


def test_the_account_is_what_a_reader_finds(job, batches):
    parser = ReferenceParser(job.world.build().films.runtimes)
    for batch in batches:
        ledger = batch.ledger(len(batch.kind))
        assert ledger.lines.total() == len(batch.lines)
        readable = {line for line in batch.lines if parser.reads_as_event(line)}
        assert ledger.events.total() == len(readable)
        assert ledger.quarantined == len(batch.lines) - len(readable)


def test_enough_lines_are_written_for_the_events_wanted(job, batches):
    events = sum(batch.ledger(len(batch.kind)).events.total() for batch in batches)
    assert 6000 <= events < 8000
    assert backfill.lines_for(1000, CorruptionRates(0, 0, 0, 0)) == 1001


def test_a_worker_without_users_writes_nothing(job):
    alone = dataclasses.replace(job, events=200, world=WorldSpec(1, 800, 7, None))
    assert [len(backfill.prepare(alone, worker).lines) > 0 for worker in (0, 1)] == [False, True]


def test_a_part_of_the_lines_has_its_own_account(batches):
    batch = batches[0]
    rows = len(batch.kind) // 2
    assert batch.ledger(rows).lines.total() == int(batch.line_start[rows])
    assert batch.ledger(0).lines.total() == 0


def test_lines_are_keyed_by_the_true_user_even_when_damaged(batches):
    for batch in batches:
        assert len(batch.user_ids) == len(batch.lines)
        intact = sum(
            line.split(",")[1:2] == [str(user)]
            for line, user in zip(batch.lines, batch.user_ids, strict=True)
        )
        assert intact / len(batch.lines) > 0.9
