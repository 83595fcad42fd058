"""Ingest: parsing beside polars, Kafka to the lake beside a consumer that discards its records.

    python -m bench.ingest [--lines N] [--backlog N]

Parsing (ADR 13) is held beside polars' `extract_groups` with typed columns. Both read the same
lines, a list of bytes as Kafka's client gives them, in turns; the best of some rounds counts. Both
may use every core. For the rest a broker, an emulator and one worker share this machine, and the
worker reads the topic in turns with a bare consumer of the same client, the better of two reads
each.
"""

import argparse
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
import polars as pl

from bench import ingest_pipeline
from bench.benchmark_report import Row, publish
from ingest_worker.batcher import Records, prepare
from ingest_worker.duplicate_filter import RecentLines
from ingest_worker.line_parser import parse
from movierec import settings
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

_BACKLOG: Final = 3_000_000
_READS: Final = 2
_MEMORY_MB: Final = 600
# A site's busiest hour, for half a minute.
_RATE_PER_S: Final = 2_000
_RATE_FOR_S: Final = 30
_WAIT_S: Final = 15
_FLUSHES: Final = 240
_LINES_A_FLUSH: Final = 400
_FILES: Final = 10

# As one would write it for polars: no ranges, no lengths, text of any kind.
_GROUPS: Final = (
    r"^(?P<time>[^,]+),(?P<user>[0-9]+),"
    r"(?:GET /data/m/(?P<watched>[^ ,/=]+)/(?P<minute>[0-9]+)\.mpg"
    r"|GET /rate/(?P<rated>[^ ,/=]+)=(?P<rating>[0-9]+)"
    r"|recommendation request (?P<server>[^ ,]+), status (?P<status>[0-9]+)"
    r", result: (?P<result>.*), (?P<ms>[0-9]+) ms)$"
)


def main() -> int:
    """Measure and publish; return 1 if a goal is not met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=_LINES)
    parser.add_argument("--backlog", type=int, default=_BACKLOG, help="At least 400,000.")
    args = parser.parse_args()
    world = synthetic_world.generate(_USERS, _MOVIES, 1)
    lines = _lines_of(world, args.lines)
    rows = [*_parsing(lines, world), *_pipeline(lines, world, args.backlog)]
    publish(
        "ingest", rows, lines=len(lines), bytes=sum(map(len, lines)), backlog_lines=args.backlog
    )
    return 0 if all(row.ok is not False for row in rows) else 1


def _parsing(lines: Sequence[bytes], world: World) -> list[Row]:
    catalog = Catalog(dict(world.films.runtimes))
    best = _best_s(
        {
            "parse": lambda: parse(lines),
            "groups": lambda: _extract_groups(lines),
            "prepare": lambda: _prepare(lines, catalog),
        }
    )
    return _parsing_rows({name: len(lines) / seconds for name, seconds in best.items()})


def _pipeline(lines: Sequence[bytes], world: World, backlog: int) -> list[Row]:
    movies = list(world.films.runtimes)
    with ingest_pipeline.services() as services:
        topic = ingest_pipeline.topic_of(services.kafka, lines, backlog // len(lines))
        rows = [
            row for client in _CLIENTS for row in _backlog(services, topic, movies, client, backlog)
        ]
        steady = lines[: _RATE_PER_S * _RATE_FOR_S]
        wait_s = ingest_pipeline.longest_wait_s(services.bucket(), steady, _RATE_PER_S)
        few = lines[: _FLUSHES * _LINES_A_FLUSH]
        files = ingest_pipeline.most_files(services.kafka, few, _FLUSHES)
    return [
        *rows,
        Row(f"Kafka to the lake at {_RATE_PER_S:,} lines/s, longest", wait_s, "s", goal=_WAIT_S),
        Row(f"most files of a partition, {_FLUSHES} flushes compacted", files, "", goal=_FILES),
    ]


@dataclass(frozen=True, slots=True)
class _Client:
    """A client of Kafka: its loop that only consumes, and the share of it that a worker needs."""

    name: str
    setting: str
    consumed_per_s: Callable[[Mapping[str, Any], str], float]
    ratio: float


_CLIENTS: Final = (
    _Client("kafka-python", "kafka-python", ingest_pipeline.consumed_per_s, 0.7),
    _Client("confluent-kafka", "confluent", ingest_pipeline.confluent_consumed_per_s, 0.33),
)


def _backlog(
    services: ingest_pipeline.Services,
    topic: str,
    movies: Sequence[str],
    client: _Client,
    lines: int,
) -> list[Row]:
    bare, reads = 0.0, []
    for _ in range(_READS):
        bare = max(bare, client.consumed_per_s(services.kafka, topic))
        env = {**services.bucket(), settings.KAFKA_CLIENT: client.setting}
        reads.append(ingest_pipeline.ingested(env, topic, movies))
    rows_per_s = max(read.rows_per_s for read in reads)
    peak_mb = max(read.peak_mb for read in reads)
    behind = f"{client.name}: peak memory, {lines:,} lines behind"
    return [
        Row(
            f"{client.name}: Kafka to the lake",
            rows_per_s,
            "rows/s",
            "higher",
            client.ratio * bare,
            f"{client.name}'s bare consume loop",
            bare,
        ),
        Row(behind, peak_mb, "MB", goal=_MEMORY_MB),
    ]


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


def _parsing_rows(rates: Mapping[str, float]) -> list[Row]:
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
    raise SystemExit(main())
