"""The proxy's journal beside SQLite: latency, event-loop delay, recovery. See ADR 9.

Both commit a record to the page cache before it is answered, and sync it before it goes to the
lake (SQLite in WAL mode, `synchronous=NORMAL`, checkpoints by the lake writer's thread). Records
come one by one at a fixed rate, as the site's requests do, and every second the backlog is shipped
to a lake in memory. Then a backlog of 100,000 records is recovered, and shipped.

    python -m bench.journal [--seconds N]
"""

import argparse
import asyncio
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final, Protocol

import numpy as np

from bench.benchmark_report import Row, publish
from movierec.api_contract import dump_detail
from movierec.lake.schema import SERVED
from movierec.lake.served import Served
from movierec.testing.memory import MemoryLake
from proxy.journal import Journal
from proxy.journal_record import from_line, to_columns, to_line
from proxy.lake_writer import BATCH_RECORDS, LakeWriter

RATES_PER_S: Final = (20, 200, 1_000)

# A hundredth of the deadline of a request.
P99_GOAL_MS: Final = 4.0
# Far less than a restart of the proxy takes in all.
RECOVERY_GOAL_S: Final = 1.0

RECOVERED: Final = 100_000

_SHIP_EVERY_S: Final = 1.0
_TICK_S: Final = 0.002

_MOVIES: Final = tuple(f"some+movie+title+{i}+1999" for i in range(20))
_DETAIL: Final = dump_detail({"cold_start": False, "known_user": True})
_RECORD: Final = Served(
    1_795_169_700_000_000, "r" * 32, 42, _MOVIES, "m1", "7", "model", 200, 12.5, _DETAIL
)


class Candidate(Protocol):
    """A journal. All but the work that `shipment` returns is called on the event loop."""

    def add(self, records: int) -> None:
        """Commit so many records at once."""
        ...

    def shipment(self) -> Callable[[], Callable[[], None]] | None:
        """Return work for a thread that ships a batch; its result completes it on the loop."""
        ...

    def backlog(self) -> int:
        """Return the number of records that are not shipped."""
        ...


class Files:
    """The proxy's journal."""

    def __init__(self, folder: Path) -> None:
        self._journal = Journal(folder, first_sequence=1)
        self._writer = LakeWriter(MemoryLake, proxy_id="bench")

    def add(self, records: int) -> None:
        """Commit so many records at once."""
        for _ in range(records):
            self._journal.append(_RECORD)
        self._journal.write()

    def shipment(self) -> Callable[[], Callable[[], None]] | None:
        """Return work for a thread that ships a batch; its result completes it on the loop."""
        self._journal.seal()
        segments = self._journal.sealed

        def ship() -> Callable[[], None]:
            shipped = self._writer.ship(segments).segments
            return lambda: self._journal.forget(shipped)

        return ship if segments else None

    def backlog(self) -> int:
        """Return the number of records that are not shipped."""
        return self._journal.backlog_records


class Sqlite:
    """The rival: a table of lines, and the position up to which it was shipped."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "journal.sqlite"
        self._lake = MemoryLake()
        self._db = self._connect()
        self._db.executescript(
            "create table if not exists served (sequence integer primary key, line blob not null);"
            "create table if not exists shipped (last integer not null);"
        )
        query = "select count(*), max(sequence) from served"
        count, last = self._db.execute(query).fetchone()
        self._records: int = count
        self._next = (last or 0) + 1

    def add(self, records: int) -> None:
        """Commit so many records at once."""
        numbers = range(self._next, self._next + records)
        self._db.execute("begin immediate")
        rows = [(number, to_line(number, _RECORD)) for number in numbers]
        self._db.executemany("insert into served values (?, ?)", rows)
        self._db.execute("commit")
        self._next += records
        self._records += records

    def shipment(self) -> Callable[[], Callable[[], None]] | None:
        """Return work for a thread that ships a batch; its result completes it on the loop."""
        return self._ship if self._records else None

    def backlog(self) -> int:
        """Return the number of records that are not shipped."""
        return self._records

    def _ship(self) -> Callable[[], None]:
        query = "select line from served order by sequence limit ?"
        with closing(self._connect()) as db:
            lines = db.execute(query, (BATCH_RECORDS,)).fetchall()
            db.execute("pragma wal_checkpoint(passive)")  # which syncs the log
        records = [found for (line,) in lines if (found := from_line(line))]
        last = records[-1][0]
        rows = to_columns([record for _, record in records])
        self._lake.append(SERVED.name, [rows], transactions={"proxy-bench": last})
        return lambda: self._delete(last, len(records))

    def _delete(self, last: int, records: int) -> None:
        self._db.execute("begin immediate")
        self._db.execute("delete from served where sequence <= ?", (last,))
        self._db.execute("update shipped set last = ?", (last,))
        self._db.execute("commit")
        self._records -= records

    def _connect(self) -> sqlite3.Connection:
        db = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        for setting in ("journal_mode=wal", "synchronous=normal", "wal_autocheckpoint=0"):
            db.execute(f"pragma {setting}")
        return db


class Timings:
    """Durations in seconds, by what was done."""

    def __init__(self) -> None:
        self.commit: list[float] = []
        self.ship: list[float] = []
        self.loop_delay: list[float] = []


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, write build/bench/journal.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20, help="for each rate")
    given = parser.parse_args(arguments)
    rows = [row for rate in RATES_PER_S for row in _paced_rows(rate, given.seconds)]
    rows += _recovery_rows()
    publish("journal", rows, **vars(given))
    return 0 if all(row.ok is not False for row in rows) else 1


def _paced_rows(rate_per_s: int, seconds: float) -> list[Row]:
    files, sqlite = (_paced(kind, rate_per_s, seconds) for kind in (Files, Sqlite))
    at = f"at {rate_per_s:,} records/s"
    return [
        _row(f"commit, median, {at}", files.commit, sqlite.commit, 50),
        _row(f"commit, 99th percentile, {at}", files.commit, sqlite.commit, 99, P99_GOAL_MS),
        _row(f"event loop's part of a shipment, longest, {at}", files.ship, sqlite.ship, 100),
        _row(f"event-loop delay, 99th percentile, {at}", files.loop_delay, sqlite.loop_delay, 99),
    ]


def _row(
    name: str, ours: list[float], rival: list[float], percent: float, goal: float | None = None
) -> Row:
    value, rival_value = (float(np.percentile(each, percent)) * 1000 for each in (ours, rival))
    return Row(name, value, "ms", goal=goal, rival="SQLite", rival_value=rival_value)


def _paced(kind: Callable[[Path], Candidate], rate_per_s: int, seconds: float) -> Timings:
    with tempfile.TemporaryDirectory(prefix="movierec-bench-") as folder:
        return asyncio.run(_traffic(kind(Path(folder)), rate_per_s, seconds))


async def _traffic(journal: Candidate, rate_per_s: int, seconds: float) -> Timings:
    found = Timings()
    background = [
        asyncio.create_task(_watch_loop(found)),
        asyncio.create_task(_ship_regularly(journal, found)),
    ]
    begin_s = time.perf_counter()
    for number in range(int(rate_per_s * seconds)):
        await asyncio.sleep(max(0.0, begin_s + number / rate_per_s - time.perf_counter()))
        with _timed(found.commit):
            journal.add(1)
    for task in background:
        task.cancel()
    await asyncio.gather(*background, return_exceptions=True)
    return found


async def _watch_loop(found: Timings) -> None:
    while True:
        begin_s = time.perf_counter()
        await asyncio.sleep(_TICK_S)
        found.loop_delay.append(time.perf_counter() - begin_s - _TICK_S)


async def _ship_regularly(journal: Candidate, found: Timings) -> None:
    while True:
        await asyncio.sleep(_SHIP_EVERY_S)
        with _timed(found.ship):
            work = journal.shipment()
        if work:
            complete = await asyncio.to_thread(work)
            with _timed(found.ship):
                complete()


@contextmanager
def _timed(durations_s: list[float]) -> Iterator[None]:
    begin_s = time.perf_counter()
    yield
    durations_s.append(time.perf_counter() - begin_s)


def _recovery_rows() -> list[Row]:
    (files, files_bytes), (sqlite, sqlite_bytes) = (_recovered(kind) for kind in (Files, Sqlite))
    what = f"{RECOVERED:,} records"
    mb = [size / RECOVERED / 1000 for size in (files_bytes, sqlite_bytes)]
    return [
        Row(f"start with {what}", files[0], "s", "lower", RECOVERY_GOAL_S, "SQLite", sqlite[0]),
        Row(f"ship {what}", files[1], "s", rival="SQLite", rival_value=sqlite[1]),
        Row("disk for a record", mb[0], "kB", rival="SQLite", rival_value=mb[1]),
    ]


def _recovered(kind: Callable[[Path], Candidate]) -> tuple[tuple[float, float], int]:
    """Return the seconds to open a journal that was not closed and to ship it, and its size."""
    with tempfile.TemporaryDirectory(prefix="movierec-bench-") as name:
        folder = Path(name)
        before = kind(folder)
        for _ in range(RECOVERED // 100):
            before.add(100)
        size_bytes = sum(path.stat().st_size for path in folder.iterdir())
        begin_s = time.perf_counter()
        journal = kind(folder)
        open_s = time.perf_counter()
        if journal.backlog() != RECOVERED:
            raise RuntimeError(f"{kind}: {journal.backlog()} records were recovered")
        while work := journal.shipment():
            work()()
        return (open_s - begin_s, time.perf_counter() - open_s), size_bytes


if __name__ == "__main__":
    raise SystemExit(main())
