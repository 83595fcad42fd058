"""`movierec ingest check`: say what a dump of the site's log holds; nothing is stored."""

import argparse
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import polars as pl

from ingest_worker import command, dump_lines, dump_report
from ingest_worker.command import Voice
from ingest_worker.dump_lines import Dump
from ingest_worker.dump_summary import Summary
from ingest_worker.line_fields import Ints
from ingest_worker.line_parser import Parsed, parse
from ingest_worker.line_rules import limits_from_env
from movierec.errors import ConfigError
from movierec.lake import site_clock
from movierec.lake.catalog import parse_movies
from movierec.lake.log_lines import Catalog
from movierec.runtime.clock import SystemClock


def main(argv: Sequence[str]) -> int:
    """Check a dump; return the exit code."""
    parser = argparse.ArgumentParser("ingest_worker.check")
    parser.add_argument("file")
    parser.add_argument("--catalog", default="")
    args = parser.parse_args(argv)
    return command.run(lambda voice: _check(args, voice))


def _check(args: argparse.Namespace, voice: Voice) -> None:
    now = SystemClock().now()
    summary = Summary(
        limits_from_env(os.environ),
        _catalog(args.catalog, now) if args.catalog else None,
        now,
        site_clock.from_env(os.environ),
    )
    with dump_lines.opened(args.file) as dump:
        voice.report(read(dump, summary, voice, now, _zones()))


def read(
    dump: Dump, summary: Summary, voice: Voice, now: datetime, zones: Mapping[str, tzinfo]
) -> dict[str, Any]:
    """Read a dump to its end, and return the report on it."""
    prefixed = False
    # The next batch is read and parsed while one is counted: both leave Python's lock for long.
    with ThreadPoolExecutor(1) as pool:
        batches = _parsed_batches(dump)
        ahead = pool.submit(next, batches, None)
        while (batch := ahead.result()) is not None:
            ahead = pool.submit(next, batches, None)
            prefixed = batch.prefixed
            summary.add(batch.lines, batch.written_ms, batch.parsed)
            voice.progress(dump.position, dump.size_bytes, summary.lines)
    return dump_report.report(dump, summary, prefixed=prefixed, now=now, zones=zones)


@dataclass(frozen=True, slots=True)
class _Batch:
    lines: pl.Series
    written_ms: Ints
    parsed: Parsed
    prefixed: bool


def _parsed_batches(dump: Dump) -> Iterator[_Batch]:
    prefixed: bool | None = None
    for raw in dump.batches():
        if prefixed is None:
            prefixed = dump_lines.is_prefixed(raw)
        lines, written_ms = (dump_lines.without_prefixes if prefixed else dump_lines.untimed)(raw)
        yield _Batch(lines, written_ms, parse(lines), prefixed)


def _zones() -> dict[str, tzinfo]:
    """Return well-known zones, of which one may be the site's."""
    return {name: ZoneInfo(name) for name in _ZONES}


_ZONES: Final = (
    "America/New_York", "America/Chicago", "America/Denver", "America/Los_Angeles",
    "America/Halifax", "America/Sao_Paulo", "UTC", "Europe/London", "Europe/Berlin",
    "Europe/Athens", "Asia/Kolkata", "Asia/Shanghai", "Asia/Tokyo", "Australia/Sydney",
)  # fmt: skip


def _catalog(name: str, now: datetime) -> Catalog:
    try:
        with Path(name).open("rb") as lines:
            columns = parse_movies(lines, now).columns
    except OSError as exc:
        raise ConfigError(f"{name}: {exc.strerror}; name an export of movies") from exc
    runtimes = columns["runtime_minutes"]
    if not len(runtimes):
        raise ConfigError(f"{name} holds no movie: name an export, a JSON object a line")
    pairs = zip(columns["movie_id"], runtimes, strict=True)
    return Catalog({movie: int(minutes or 0) for movie, minutes in pairs})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
