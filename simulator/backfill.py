"""Backfill: write a generated history to Kafka, with several worker processes.

Each process generates and sends the lines of its own users, so that none of them crosses a
process: a user's lines are in one partition, and a partition's lines come from one process.
"""

import contextlib
import gc
import math
import multiprocessing
import multiprocessing.synchronize
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from multiprocessing.connection import Connection, wait
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from movierec.errors import MovierecError, UnavailableError
from simulator import history_format, history_generator, incomplete_documents
from simulator.event_kinds import KINDS
from simulator.history_generator import HistoryWindow
from simulator.kafka_producer import BulkProducer, partition_of
from simulator.line_corruption import CorruptedLine, Corruption, CorruptionRates, corrupt
from simulator.local_clock import UTC_CLOCK, LocalClock
from simulator.reference_parser import ReferenceParser
from simulator.request_errors import Server
from simulator.settings import WorldSpec
from simulator.traffic_ledger import Ledger
from simulator.world_growth import GrowingWorld

Array = npt.NDArray[Any]

_CHUNK_LINES: Final = 10_000
# Some 20 MB of lines and futures.
_CHUNKS_IN_FLIGHT: Final = 5
_TICK_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class BackfillJob:
    """What to write where: at least `events` valid events within `window`.

    `films_added` came after the site opened and before the window; `accounts` are created in it,
    and numbered from 0 on like all that were created before; `incomplete` is the share of the
    catalog's documents that are.
    """

    world: WorldSpec
    window: HistoryWindow
    events: int
    rates: CorruptionRates
    max_user_id: int
    check_catalog: bool
    server: Server
    options: Mapping[str, Any]
    topic: str
    partitions: int
    workers: int
    clock: LocalClock = UTC_CLOCK
    films_added: int = 0
    accounts: range = range(0)
    incomplete: float = 0.0

    @property
    def processes(self) -> int:
        """Return how many processes write: not more than there are partitions to divide."""
        return min(self.workers, self.partitions)


@dataclass(frozen=True, slots=True)
class Batch:
    """A worker's lines as they are sent, and what they are.

    `kind` (n,) is by row of the history; `line_start` (n + 1,) is where each row's lines begin
    among `lines`: a duplicated row has two.
    """

    lines: Sequence[str]
    user_ids: Sequence[int]
    kind: Array
    line_start: Array
    corrupted: Sequence[CorruptedLine]

    def ledger(self, rows: int) -> Ledger:
        """Return the ledger of the first `rows` rows."""
        ledger = Ledger()
        for kind, count in enumerate(np.bincount(self.kind[:rows]).tolist()):
            if count:
                ledger.count_lines(KINDS[kind], count)
        for one in self.corrupted:
            if one.row < rows:
                ledger.count_corrupted(
                    KINDS[int(self.kind[one.row])], one.corruption, one.detectability
                )
        return ledger


def prepare(job: BackfillJob, worker: int) -> Batch:
    """Return the lines of one worker's users; the same for the same job."""
    growing = GrowingWorld(job.world.build(), job.world.seed)
    first = len(growing.base.users)
    world = growing.grow(job.films_added, job.accounts.stop)
    mine = worker_users(first + job.accounts.start, job.partitions, job.processes, worker)
    newcomers = first + np.arange(job.accounts.start, job.accounts.stop)
    newcomers = newcomers[is_workers(newcomers, job.partitions, job.processes, worker)]
    if not len(mine):
        return Batch([], [], np.zeros(0, np.uint8), np.zeros(1, np.int64), [])
    activity = world.preferences.activity
    everybody = activity[: first + job.accounts.start].sum(dtype=np.float64)
    share = float(activity[mine].sum(dtype=np.float64) / everybody)
    rng = np.random.default_rng([job.world.seed, job.window.end_s, worker])
    lines = lines_for(job.events * share, job.rates)
    past = history_generator.generate(world, mine, lines, job.window, rng)
    if len(newcomers):
        signed_up = history_generator.generate_newcomers(world, newcomers, job.window, rng)
        past = history_generator.merge(past, signed_up)
    runtimes = incomplete_documents.runtimes(world.films, job.incomplete)
    parser = ReferenceParser(
        runtimes if job.check_catalog else None, job.max_user_id, job.window.scale
    )
    texts = history_format.texts(past, world, job.server, rng, job.clock)
    return apply_corruption(texts, past, corrupt(texts, job.rates, parser, rng))


def lines_for(events: float, rates: CorruptionRates) -> int:
    """Return how many lines leave at least so many events, all but surely.

    Damage is drawn line by line: four standard deviations are spare.
    """
    loss = min(rates.inserted + rates.replaced_id + rates.bad_rating, _MAX_LOSS)
    return math.ceil((events + 4 * math.sqrt(events * loss)) / (1 - loss)) + 1


# Where almost all is corrupted, nobody wants a million events.
_MAX_LOSS: Final = 0.9


def worker_users(count: int, partitions: int, workers: int, worker: int) -> Array:
    """Return the rows of the users whose partition is one of this worker's."""
    users = np.arange(count)
    return np.asarray(users[is_workers(users, partitions, workers, worker)])


def is_workers(users: Array, partitions: int, workers: int, worker: int) -> Array:
    """Return whether each of these rows' partition is one of this worker's."""
    return np.asarray((users + 1) % partitions % workers == worker)


def apply_corruption(
    texts: list[str], past: history_generator.History, corrupted: Sequence[CorruptedLine]
) -> Batch:
    """Return the batch, its corrupted lines put in place."""
    copies = np.ones(len(texts), np.int64)
    for one in corrupted:
        texts[one.row] = one.text
        copies[one.row] += one.corruption is Corruption.DUPLICATE
    users = np.repeat(past.user + 1, copies).tolist()
    lines = texts
    if len(users) > len(texts):
        lines = [texts[i] for i in np.repeat(np.arange(len(texts)), copies).tolist()]
    return Batch(lines, users, past.kind, np.concatenate([[0], np.cumsum(copies)]), corrupted)


class Producer(Protocol):
    """Where a worker sends its lines."""

    def send(self, lines: Sequence[bytes], keys: Sequence[bytes], partitions: Sequence[int]) -> Any:  # noqa: ANN401  the producer's own handle
        """Send lines, in order within a partition. Raises UnavailableError."""
        ...

    def confirm(self, sent: Any) -> Sequence[int]:  # noqa: ANN401
        """Wait until all lines of one `send` are written; return their offsets.

        Raises UnavailableError.
        """
        ...


class Sending:
    """Sends a batch chunk by chunk, and counts the chunks that the broker has confirmed."""

    def __init__(self, batch: Batch, producer: Producer, partitions: int) -> None:
        self._batch, self._producer, self._partitions = batch, producer, partitions
        self._in_flight: deque[tuple[int, Sequence[int], Any]] = deque()
        self._offsets = Ledger()
        self._confirmed_rows = 0
        self.lines_sent = 0

    def run(self) -> Iterator[None]:
        """Send chunk after chunk, pausing after each; `confirm` the last ones after that.

        Raises UnavailableError.
        """
        rows = len(self._batch.kind)
        for start, end in pairwise([*range(0, rows, _CHUNK_LINES), rows]):
            self._send(start, end)
            yield
            self.confirm(but=_CHUNKS_IN_FLIGHT)

    def _send(self, start: int, end: int) -> None:
        first, self.lines_sent = (int(self._batch.line_start[row]) for row in (start, end))
        users = self._batch.user_ids[first : self.lines_sent]
        partitions = [partition_of(user, self._partitions) for user in users]
        lines = [line.encode() for line in self._batch.lines[first : self.lines_sent]]
        sent = self._producer.send(lines, [b"%d" % user for user in users], partitions)
        self._in_flight.append((end, partitions, sent))

    def confirm(self, *, but: int = 0) -> None:
        """Wait until all chunks but the last `but` are confirmed. Raises UnavailableError."""
        while len(self._in_flight) > but:
            end, partitions, sent = self._in_flight[0]
            for partition, offset in zip(partitions, self._producer.confirm(sent), strict=True):
                self._offsets.count_offsets(partition, offset, offset + 1, 1)
            self._confirmed_rows = end
            self._in_flight.popleft()

    def ledger(self) -> Ledger:
        """Return the ledger of what was confirmed; the rest of what was sent is unconfirmed."""
        ledger = self._batch.ledger(self._confirmed_rows)
        ledger.unconfirmed = self.lines_sent - ledger.lines.total()
        ledger.add(self._offsets)
        return ledger


def _work(
    job: BackfillJob, worker: int, pipe: Connection, stop: multiprocessing.synchronize.Event
) -> None:
    """Prepare and send one worker's lines, reporting ("sent", n) and at last ("done", ...)."""
    # The parent stops its workers; a Ctrl-C reaches all of the terminal's processes.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    threading.Thread(target=_exit_with_parent, daemon=True).start()
    # Each full collection would walk all lines and futures in flight, and free nothing.
    gc.disable()
    ledger, problem = Ledger(), None
    try:
        batch = prepare(job, worker)
        with contextlib.closing(BulkProducer(job.options, job.topic)) as producer:
            ledger, problem = _send(Sending(batch, producer, job.partitions), pipe, stop)
    except MovierecError as exc:
        problem = str(exc)
    pipe.send(("done", ledger, problem))
    pipe.close()


def _exit_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _send(
    sending: Sending, pipe: Connection, stop: multiprocessing.synchronize.Event
) -> tuple[Ledger, str | None]:
    """Return the ledger, and what went wrong."""
    problem = None
    try:
        for _ in sending.run():
            pipe.send(("sent", sending.lines_sent))
            if stop.is_set():
                break
        sending.confirm()
    except UnavailableError as exc:
        problem = str(exc)
    return sending.ledger(), problem


class Backfill:
    """The worker processes that write a history, and the sum of their ledgers."""

    def __init__(self, job: BackfillJob) -> None:
        self._job = job
        context = multiprocessing.get_context("spawn")
        self._stop = context.Event()
        self._sent: dict[Connection, int] = {}
        self._ledgers: list[Ledger] = []
        self._problems: list[str] = []
        self._processes = []
        for worker in range(job.processes):
            ours, theirs = context.Pipe(duplex=False)
            arguments = (job, worker, theirs, self._stop)
            self._processes.append((context.Process(target=_work, args=arguments), theirs))
            self._sent[ours] = 0

    def stop(self) -> None:
        """Let the workers finish the chunk that they are at."""
        self._stop.set()

    def run(self, tick: Callable[[Ledger], None]) -> Ledger:
        """Write the history and return its ledger; `tick` gets the state once a second.

        Raises UnavailableError when the broker is gone; `ledger` then says what is unconfirmed.
        """
        for process, theirs in self._processes:
            process.start()
            theirs.close()
        due = time.monotonic() + _TICK_S
        while self._sent:
            for pipe in wait(list(self._sent), timeout=_TICK_S):
                self._receive(pipe)  # type: ignore[arg-type]
            if time.monotonic() >= due:
                due += _TICK_S
                tick(self.ledger())
        for process, _ in self._processes:
            process.join()
        if self._problems:
            raise UnavailableError(self._problems[0])
        return self.ledger()

    def _receive(self, pipe: Connection) -> None:
        try:
            message = pipe.recv()
        except EOFError:
            message = ("done", Ledger(unconfirmed=self._sent[pipe]), _DIED)
        if message[0] == "sent":
            self._sent[pipe] = message[1]
            return
        del self._sent[pipe]
        self._ledgers.append(message[1])
        if message[2]:
            self._problems.append(message[2])

    def ledger(self) -> Ledger:
        """Return the ledger so far: lines in flight count as unconfirmed."""
        total = Ledger(unconfirmed=sum(self._sent.values()))
        for one in self._ledgers:
            total.add(one)
        return total


_DIED: Final = "a process that wrote the history died: see its messages above"
