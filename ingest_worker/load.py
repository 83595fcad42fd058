"""`movierec ingest file`: load a dump of the site's log into the lake, each line exactly once.

It is the worker, on a file: the same two commits with `(topic-partition, last offset)`, so that a
load that was killed goes on, and one that is repeated adds nothing.
"""

import argparse
import os
import re
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from ingest_worker import command, dump_lines, file_source
from ingest_worker.command import Voice
from ingest_worker.file_source import PARTITION, FileSource
from ingest_worker.line_rules import limits_from_env
from ingest_worker.meter import Meter
from ingest_worker.worker import FlushPolicy, Worker, identity_of
from movierec import settings
from movierec.aws.delta_lake import DeltaLake
from movierec.aws.lake_catalog import LakeCatalog
from movierec.errors import ConfigError, TableNotFoundError, UnavailableError
from movierec.lake import site_clock
from movierec.lake.ports import Lake
from movierec.lake.schema import EVENTS, QUARANTINE
from movierec.runtime.clock import SystemClock

_TOPIC: Final = re.compile(r"[A-Za-z0-9._-]{1,249}")
# Longer than an emulator's restart.
_PATIENCE_S: Final = 120.0


def main(argv: Sequence[str]) -> int:
    """Load a dump; return the exit code."""
    parser = argparse.ArgumentParser("ingest_worker.load")
    parser.add_argument("file", type=Path)
    parser.add_argument("--topic", default="")
    args = parser.parse_args(argv)
    return command.run(lambda voice: _load(args.file, args.topic, voice))


def _load(path: Path, topic: str, voice: Voice) -> None:
    env, lake, meter, patience = os.environ, DeltaLake.from_env(os.environ), Meter(), Patience()
    source = _source(path, topic or file_source.topic_of(path))
    refuse_other(lake, source, env)
    before = stored(lake, source.topic)
    clock = site_clock.from_env(env)
    worker = Worker(
        source,
        lake,
        SystemClock(),
        catalog=LakeCatalog(lake),
        limits=limits_from_env(env),
        # What one poll returns is a flush.
        policy=FlushPolicy(max_lines=1),
        site_clock=clock,
        pause=patience,
        meter=meter,
    )
    size = path.stat().st_size
    load(worker, source, lambda: _go_on(source, patience, meter, voice, size))
    lines = stored(lake, source.topic)
    voice.report(
        {
            "topic": source.topic,
            "lines": lines,
            "loaded": lines - before,
            **_counts(lake, source.topic),
            "clock": site_clock.describe(clock, ""),
        }
    )


def _source(path: Path, topic: str) -> FileSource:
    if not _TOPIC.fullmatch(topic):
        raise ConfigError(f"topic {topic!r}: use letters, digits, . _ and -")
    try:
        if not path.is_file() and path.exists():
            raise ConfigError(f"{path} is no regular file: a load that is killed reads it again")
        identity = file_source.identity(path)
    except OSError as exc:
        raise ConfigError(f"{path}: {exc.strerror}; name a file of the site's log lines") from exc
    return FileSource(topic, identity, lambda: dump_lines.opened(str(path)))


def refuse_other(lake: Lake, source: FileSource, env: Mapping[str, str]) -> None:
    """Raise ConfigError if the topic's lines in the lake are not this file's."""
    topic = source.topic
    known = lake.transaction(EVENTS.name, identity_of(topic))
    name_it = "name another with --topic"
    if topic in settings.topics(env):
        raise ConfigError(f"{topic} is the site's topic in Kafka ({settings.TOPIC}): {name_it}")
    if known is None and stored(lake, topic):
        raise ConfigError(f"the lake has lines of topic {topic} that came from Kafka: {name_it}")
    if known not in (None, source.topic_id()):
        raise ConfigError(
            f"topic {topic} in the lake is of another file, or of this one before it changed "
            f"(its size, or its first bytes): {name_it}"
        )


def load(worker: Worker, source: FileSource, go_on: Callable[[], None]) -> None:
    """Load a file to its end; `go_on` is called after each step, and may raise."""
    worker.assigned([PARTITION])
    # A failed flush reads the file again from what is stored.
    while not source.ended:
        worker.step(0.0)
        go_on()


class Patience:
    """The worker's pause: ends when it has waited for too long in all."""

    def __init__(self, wait: Callable[[float], None] = time.sleep) -> None:
        self.is_over = False
        self._waited_s = 0.0
        self._wait = wait

    def __call__(self, seconds: float) -> bool:
        """Wait; return whether to stop."""
        self._waited_s += seconds
        self.is_over = self._waited_s > _PATIENCE_S
        if not self.is_over:
            self._wait(seconds)
        return self.is_over


def _go_on(
    source: FileSource, patience: Patience, meter: Meter, voice: Voice, size_bytes: int
) -> None:
    if patience.is_over:
        failing = meter.health(SystemClock().now())["failing"]
        raise UnavailableError(f"{failing}; repeat the command, it goes on where it was")
    if source.taken_over:
        raise ConfigError(f"another process loads {source.topic} now: let it end")
    voice.progress(source.read_bytes, size_bytes, source.position(PARTITION))


def stored(lake: Lake, topic: str) -> int:
    """Return how many lines of a topic the lake has."""
    last = lake.transaction(EVENTS.name, f"{topic}-{PARTITION}")
    return 0 if last is None else last + 1


def _counts(lake: DeltaLake, topic: str) -> dict[str, dict[str, int]]:
    return {
        "by_kind": _count(lake, EVENTS.name, "kind", topic),
        "by_reason": _count(lake, QUARANTINE.name, "reason", topic),
        "by_time_basis": _count(lake, EVENTS.name, "time_basis", topic),
    }


def _count(lake: DeltaLake, table: str, column: str, topic: str) -> dict[str, int]:
    sql = _COUNT.format(table=table, column=column, topic=topic)
    try:
        found = lake.query(sql, {table: None})
    except TableNotFoundError:
        return {}
    return dict(zip(found.column("k").to_pylist(), found.column("n").to_pylist(), strict=True))


_COUNT: Final = """
    select {column} k, count(*) n from {table} where topic = '{topic}' group by 1 order by 2 desc
"""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
