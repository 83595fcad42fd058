import dataclasses
from collections import Counter

import numpy as np
import pytest

from movierec.errors import UnavailableError
from simulator import backfill
from simulator.backfill import BackfillJob, Batch, Sending
from simulator.history_generator import HistoryWindow
from simulator.line_corruption import CorruptionRates
from simulator.local_clock import LocalClock
from simulator.reference_parser import ReferenceParser
from simulator.request_errors import Server
from simulator.settings import WorldSpec
from simulator.traffic_ledger import Ledger
from simulator.world_growth import GrowingWorld


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


def with_accounts(job):
    """Return the batches of the job with 90 accounts created, after 10 before and 5 new films."""
    clock = LocalClock(ahead_s=-4 * 3600)
    growing = dataclasses.replace(job, accounts=range(10, 100), films_added=5, clock=clock)
    return [backfill.prepare(growing, worker) for worker in range(job.processes)]


def test_each_account_is_created_once_by_the_worker_of_its_partition(job):
    rates = CorruptionRates(0, 0, 0, 0)
    created = [
        [int(line.split(",")[1]) for line in batch.lines if line.endswith(",GET /create_account")]
        for batch in with_accounts(dataclasses.replace(job, rates=rates))
    ]
    assert sorted(user for users in created for user in users) == list(range(311, 401))
    for worker, users in enumerate(created):
        assert {user % job.partitions % job.processes for user in users} == {worker}


def test_the_account_is_what_a_reader_finds_with_new_users_and_films_too(job):
    films = GrowingWorld(job.world.build(), job.world.seed).grow(5, 0).films
    parser = ReferenceParser(films.runtimes)
    batches = with_accounts(job)
    total = Ledger()
    for batch in batches:
        ledger = batch.ledger(len(batch.kind))
        assert ledger.lines.total() == len(batch.lines)
        readable = {line for line in batch.lines if parser.reads_as_event(line)}
        assert ledger.events.total() == len(readable)
        created = {line for line in readable if line.endswith("GET /create_account")}
        assert ledger.events["create_account"] == len(created)
        total.add(ledger)
    assert 60 < total.events["create_account"] <= 90
    assert any(f"/{name}/" in line for name in films.ids[800:] for line in batches[0].lines)


def test_accounts_change_nothing_about_the_lines_of_those_who_were_there(job, batches):
    alone = dataclasses.replace(job, rates=CorruptionRates(0, 0, 0, 0))
    more = dataclasses.replace(alone, accounts=range(90))
    before, after = (set(backfill.prepare(one, 0).lines) for one in (alone, more))
    kept = {line for line in after if int(line.split(",")[1]) <= 300}
    assert {shape(line) for line in before} == {shape(line) for line in kept}


def shape(line):
    """Return a line without the outcome of a request: errors are drawn in the log's order."""
    return line.partition(", status ")[0]


class Broker:
    """Takes chunks of lines; writes each when it is confirmed, up to `fails_after` of them."""

    def __init__(self, fails_after=None):
        self.written = {}
        self.confirmed = 0
        self._fails_after = fails_after

    def send(self, lines, keys, partitions):
        return list(zip(lines, keys, partitions, strict=True))

    def confirm(self, sent):
        if self.confirmed == self._fails_after:
            raise UnavailableError("broker gone")
        self.confirmed += 1
        offsets = []
        for line, key, partition in sent:
            log = self.written.setdefault(partition, [])
            offsets.append(len(log))
            log.append((key, line))
        return offsets


@pytest.fixture
def large_batch(batches):
    """Return a batch of more chunks than may be in flight."""
    one, times = batches[0], 18
    return Batch(
        lines=[f"{line}{n}" for n in range(times) for line in one.lines],
        user_ids=list(one.user_ids) * times,
        kind=np.tile(one.kind, times),
        line_start=np.concatenate(
            [[0], *(one.line_start[1:] + n * one.line_start[-1] for n in range(times))]
        ),
        corrupted=[
            dataclasses.replace(c, row=c.row + n * len(one.kind))
            for n in range(times)
            for c in one.corrupted
        ],
    )


def test_all_lines_are_sent_in_order_and_counted_where_the_broker_wrote_them(job, large_batch):
    broker = Broker()
    sending = Sending(large_batch, broker, job.partitions)
    for _ in sending.run():
        pass
    sending.confirm()
    ledger = sending.ledger()
    assert (ledger.lines.total(), ledger.unconfirmed) == (len(large_batch.lines), 0)
    assert ledger.next_offset == {p: len(log) for p, log in broker.written.items()}
    for partition, log in broker.written.items():
        rows = zip(large_batch.user_ids, large_batch.lines, strict=True)
        mine = [(b"%d" % u, text.encode()) for u, text in rows if u % job.partitions == partition]
        assert log == mine


def test_only_confirmed_chunks_count_when_the_broker_goes_away(job, large_batch):
    broker = Broker(fails_after=1)
    sending = Sending(large_batch, broker, job.partitions)
    with pytest.raises(UnavailableError):
        for _ in sending.run():
            pass
    ledger, written = sending.ledger(), sum(map(len, broker.written.values()))
    assert 0 < ledger.lines.total() == ledger.lines_of.total() == written
    assert ledger.unconfirmed == sending.lines_sent - written > 0


def test_lines_in_flight_do_not_count_until_they_are_confirmed(job, batches):
    sending = Sending(batches[0], Broker(), job.partitions)
    next(sending.run())
    assert (sending.ledger().lines.total(), sending.ledger().unconfirmed) == (0, sending.lines_sent)
    sending.confirm()
    assert sending.ledger().unconfirmed == 0
