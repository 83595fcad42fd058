"""Parsing of log lines beside polars' `extract_groups` with typed columns. See ADR 13.

    python -m bench.ingest [--lines N]

Both read the same lines, a list of bytes as Kafka's client gives them, in turns; the best of some
rounds counts. Both may use every core.
"""

import argparse
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

import numpy as np
import polars as pl

from bench.benchmark_report import Row, publish
from ingest_worker.batcher import Records, prepare
from ingest_worker.duplicate_filter import RecentLines
from ingest_worker.line_parser import parse
from movierec.lake.log_lines import Catalog, Limits
from movierec.lake.site_clock import FoundClock
from simulator import history_format, history_generator, synthetic_world
from simulator.history_generator import HistoryWindow
from simulator.request_errors import Server
from simulator.synthetic_world import World

_LINES: Final = 200_000
_ROUNDS: Final = 9
_USERS: Final = 20_000
_MOVIES: Final = 27_000
_START: Final = 1_790_000_000
_DAYS: Final = 3.0

# As one would write it for polars: no ranges, no lengths, text of any kind.
_GROUPS: Final = (
    r"^(?P<time>[^,]+),(?P<user>[0-9]+),"
    r"(?:GET /data/m/(?P<watched>[^ ,/=]+)/(?P<minute>[0-9]+)\.mpg"
    r"|GET /rate/(?P<rated>[^ ,/=]+)=(?P<rating>[0-9]+)"
    r"|recommendation request (?P<server>[^ ,]+), status (?P<status>[0-9]+)"
    r", result: (?P<result>.*), (?P<ms>[0-9]+) ms)$"
)


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=_LINES)
    world = synthetic_world.generate(_USERS, _MOVIES, 1)
    lines = _lines_of(world, parser.parse_args().lines)
    catalog = Catalog(dict(world.films.runtimes))
    best = _best_s(
        {
            "parse": lambda: parse(lines),
            "groups": lambda: _extract_groups(lines),
            "prepare": lambda: _prepare(lines, catalog),
        }
    )
    rates = {name: len(lines) / seconds for name, seconds in best.items()}
    publish("ingest", _rows(rates), lines=len(lines), bytes=sum(map(len, lines)))


def _lines_of(world: World, count: int) -> list[bytes]:
    rng = np.random.default_rng(1)
    window = HistoryWindow(_START, _DAYS)
    past = history_generator.generate(world, np.arange(_USERS), count, window, rng)
    texts = history_format.texts(past, world, Server("localhost:8082", "127.0.0.1"), rng)
    return [text.encode() for text in texts]


def _best_s(candidates: Mapping[str, Callable[[], object]]) -> dict[str, float]:
    best = dict.fromkeys(candidates, float("inf"))
    for _ in range(_ROUNDS):
        for name, run in candidates.items():
            started = time.perf_counter()
            run()
            best[name] = min(best[name], time.perf_counter() - started)
    return best


def _extract_groups(lines: Sequence[bytes]) -> pl.DataFrame:
    text = pl.Series("line", lines, dtype=pl.Binary).cast(pl.String)
    groups = pl.col("line").str.extract_groups(_GROUPS)
    return (
        text.to_frame()
        .lazy()
        .select(groups)
        .unnest("line")
        .with_columns(
            pl.col("time").str.to_datetime("%Y-%m-%dT%H:%M:%S%.f", time_unit="us", strict=False),
            pl.col("user", "minute", "rating", "status", "ms").cast(pl.Int64, strict=False),
        )
        .collect()
    )


def _prepare(lines: Sequence[bytes], catalog: Catalog) -> object:
    count = len(lines)
    written_ms = np.full(count, (_START + int(_DAYS * 86_400)) * 1_000)
    records = {0: Records(np.arange(count), lines, written_ms)}
    return prepare(
        "movielog1",
        records,
        {0: RecentLines()},
        limits=Limits(),
        catalog=catalog,
        now=datetime.now(UTC),
        site_clock=FoundClock(),
    )


def _rows(rates: Mapping[str, float]) -> list[Row]:
    rival, groups = "polars extract_groups, typed", rates["groups"]
    return [
        Row("parsing", rates["parse"], "lines/s", "higher", groups, rival, groups),
        Row(
            "parsing, rules with a catalog, duplicates",
            rates["prepare"],
            "lines/s",
            "higher",
            rival=rival,
            rival_value=groups,
        ),
    ]


if __name__ == "__main__":
    main()
