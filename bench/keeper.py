"""Persistence of the emulator's state: its cost, and how soon a run resumes.

Three emulators side by side, measured alternately: one that keeps its state, one that keeps it and
does not wait for the disk (enough for `kill -9`, not for a power cut), and one that forgets. Puts,
appends to a Delta table, resident memory. Then the whole product with a large lake: how soon
a run that was stopped recommends again, beside the same command with nothing kept; and how long
requests wait while the state is saved.

    python -m bench.keeper [--events N] [--models N] [--rounds N] [--gigabytes N]
"""

import argparse
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from bench.benchmark_report import ROOT, Row, publish
from bench.keeper_resume import resumed
from movierec import settings
from movierec.aws.delta_lake import DeltaLake
from movierec.aws.s3_store import S3Store
from movierec.aws.session import client
from movierec.lake.schema import EVENTS, Columns
from movierec.stack import loopback_ports, run_environment
from movierec.stack.layout import Project, Run
from movierec.stack.processes import child_environment
from movierec.stack.processes.client import Client
from movierec.stack.processes.machine_usage import resident_mb
from movierec.stack.services import emulator

PUT_GOAL: Final = 1.4
APPEND_GOAL: Final = 1.15
GROWTH_GOAL_MB: Final = 200.0

PUT_BYTES: Final = 100_000
APPEND_ROWS: Final = 100_000
LARGE_BYTES: Final = 8 * 2**20

_BUCKET: Final = "bench-keeper"


@dataclass(frozen=True, slots=True)
class Stand:
    """One of the emulators, and this process's clients of it."""

    name: str
    daemon: Client
    store: S3Store
    lake: DeltaLake

    def resident_mb(self) -> float:
        """Return the resident memory of all its processes, in MiB."""
        return resident_mb(self.daemon.running())[loopback_ports.EMULATOR]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, write build/bench/keeper.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=10_000_000, help="events in the lake")
    parser.add_argument("--models", type=int, default=5, help="models in the store")
    parser.add_argument("--rounds", type=int, default=5, help="times that the run is resumed")
    parser.add_argument("--puts", type=int, default=600)
    parser.add_argument("--appends", type=int, default=30)
    parser.add_argument("--gigabytes", type=float, default=5.0, help="put into S3")
    given = parser.parse_args(arguments)
    with beside_each_other() as stands:
        rows = [
            *_alternately("put of 100 kB", stands, _putting, given.puts, PUT_GOAL),
            *_alternately(
                "Delta append of 100,000 rows", stands, _appending, given.appends, APPEND_GOAL
            ),
            _growth(stands, given.gigabytes),
        ]
    rows += resumed(given.events, given.models, given.rounds)
    publish("keeper", rows, **vars(given))
    return 0 if all(row.ok is not False for row in rows) else 1


class Stands(NamedTuple):
    """The emulators."""

    kept: Stand
    unsynced: Stand
    plain: Stand


@contextmanager
def beside_each_other() -> Iterator[Stands]:
    """Run three emulators: one keeps its state, one does not sync it, one forgets."""
    with tempfile.TemporaryDirectory(prefix="movierec-bench-") as folder, ExitStack() as stack:
        runs = [Run(Project(ROOT), Path(folder) / name).create() for name in Stands._fields]
        kept, unsynced, plain = (stack.enter_context(Client(run)) for run in runs)
        yield Stands(
            _stand(kept), _stand(unsynced, KEEPER_SYNC="0"), _stand(plain, KEEPER_FOLDER="")
        )


def _stand(daemon: Client, **extra: str) -> Stand:
    spec = emulator.spec(daemon.run, os.environ)
    daemon.start(replace(spec, env={**spec.env, **extra}))
    aws = child_environment.emulated_aws(f"http://{spec.env['GATEWAY_LISTEN']}")
    run_environment.adopt(aws)
    client.cache_clear()
    client("s3").create_bucket(Bucket=_BUCKET)
    lake = DeltaLake.from_env({**aws, settings.LAKE_BUCKET: _BUCKET})
    return Stand(daemon.run.name, daemon, S3Store(_BUCKET), lake)


# Alternately --------------------------------------------------------------------------------


def _alternately(
    what: str,
    stands: Stands,
    make: Callable[[Stand], Callable[[int], None]],
    times: int,
    goal: float,
) -> list[Row]:
    """Run the same work on all, each round in a random order, and compare the medians.

    Random, not rotating: background work that one leaves would always slow the same other.
    """
    orders = random.Random(times)
    works = [make(stand) for stand in stands]
    took_ms: list[list[float]] = [[] for _ in stands]
    for round_number in range(times):
        for chosen in orders.sample(range(len(works)), len(works)):
            begin_s = time.perf_counter()
            works[chosen](round_number)
            took_ms[chosen].append((time.perf_counter() - begin_s) * 1000)
    kept_ms, unsynced_ms, plain_ms = map(statistics.median, took_ms)
    multiple = "as a multiple of the plain one's"
    return [
        Row(f"{what}, median", kept_ms, "ms", rival="the plain emulator", rival_value=plain_ms),
        Row(f"{what}, {multiple}", kept_ms / plain_ms, "", goal=goal),
        Row(f"{what}, {multiple}, KEEPER_SYNC=0", unsynced_ms / plain_ms, "", goal=goal),
    ]


def _putting(stand: Stand) -> Callable[[int], None]:
    body = os.urandom(PUT_BYTES)
    return lambda number: stand.store.put(f"puts/{number}", body)


def _appending(stand: Stand) -> Callable[[int], None]:
    rows = _events(APPEND_ROWS)

    def append(number: int) -> None:
        stand.lake.append(EVENTS.name, [rows], transactions={"bench": number})

    return append


def _events(count: int) -> Columns:
    numbers = np.arange(count)
    return {
        "kind": ["watch"] * count,
        "event_date": np.full(count, np.datetime64("2026-11-20", "D")),
        "event_time": np.datetime64("2026-11-20T10:15", "us") + numbers,
        "user_id": numbers % 20_000 + 1,
        "movie_id": [f"some+movie+{number % 27_000}+1999" for number in numbers],
        "minute": numbers % 120,
        "kafka_partition": np.zeros(count, np.int32),
        "kafka_offset": numbers,
    }


# Memory -------------------------------------------------------------------------------------


def _growth(stands: Stands, gigabytes: float) -> Row:
    return Row(
        f"resident memory that {gigabytes:g} GB in S3 take",
        _growth_mb(stands.kept, gigabytes),
        "MB",
        goal=GROWTH_GOAL_MB,
        rival="the plain emulator",
        rival_value=_growth_mb(stands.plain, gigabytes),
    )


def _growth_mb(stand: Stand, gigabytes: float) -> float:
    body = os.urandom(LARGE_BYTES)
    stand.store.put("large/first", body)
    before_mb = stand.resident_mb()
    for number in range(round(gigabytes * 1e9 / LARGE_BYTES)):
        stand.store.put(f"large/{number}", body)
    return stand.resident_mb() - before_mb


if __name__ == "__main__":
    sys.exit(main())
