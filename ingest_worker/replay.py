"""`movierec ingest replay`: read a range of Kafka into a table of its own, and compare with events.

With the parser, the settings and the clock of now: what a repair of the parser, or an offset of the
site's clock that was found later, changes is seen before anything is decided on it. `events` and
`quarantine` are only read.
"""

import argparse
import os
import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from typing import Any, Final

from ingest_worker import command, line_settings
from ingest_worker.batcher import Batch, prepare
from ingest_worker.command import Voice
from ingest_worker.duplicate_filter import WINDOW_OFFSETS, RecentLines
from ingest_worker.kafka_range import Bound, KafkaRange, Span
from ingest_worker.line_rules import limits_from_env
from movierec import settings
from movierec.aws.delta_lake import DeltaLake
from movierec.aws.lake_catalog import LakeCatalog
from movierec.errors import TableNotFoundError, UsageError
from movierec.lake import site_clock
from movierec.lake.schema import EVENTS, TABLES, Table, length
from movierec.runtime.clock import SystemClock

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,62}")


def main(argv: Sequence[str]) -> int:
    """Replay a range; return the exit code."""
    parser = argparse.ArgumentParser("ingest_worker.replay")
    parser.add_argument("--into", required=True)
    parser.add_argument("--topic", default="")
    parser.add_argument("--partition", type=int, action="append", default=[])
    for name in ("--from-offset", "--until-offset"):
        parser.add_argument(name, type=int)
    for name in ("--from-time", "--until-time"):
        parser.add_argument(name, default="")
    parser.add_argument("--overwrite", action="store_true")
    args = parser.parse_args(argv)
    return command.run(lambda voice: _replay(args, voice))


def _replay(args: argparse.Namespace, voice: Voice) -> None:
    env, lake = os.environ, DeltaLake.from_env(os.environ)
    topic = args.topic or settings.topics(env)[0]
    first = bound("--from", args.from_offset, args.from_time)
    until = bound("--until", args.until_offset, args.until_time)
    exists = check_table(lake, args.into, overwrite=args.overwrite)
    now = SystemClock().now()
    clock = line_settings.site_clock(lake, env, topic)
    counts = Counter[str](), Counter[str]()
    with closing(KafkaRange(settings.kafka_options(env), topic)) as kafka:
        spans = kafka.spans(args.partition, first, until)
        total = sum(max(span.end - span.begin, 0) for span in spans.values())
        done = 0
        if exists:
            lake.clear(args.into)
        for partition, span in spans.items():
            for batch in _batches(kafka, topic, partition, span, clock=clock, lake=lake):
                lake.append(args.into, batch.events, transactions={})
                done += _count(batch, *counts)
                voice.progress(done, total, done)
    voice.report(
        {
            "topic": topic,
            "table": args.into,
            "lines": done,
            "by_kind": dict(counts[0].most_common()),
            "by_reason": dict(counts[1].most_common()),
            "offsets": {str(p): [span.begin, span.end] for p, span in spans.items()},
            "clock": site_clock.describe(clock, site_clock.contradiction(clock, now)),
            "against_events": compare(lake, args.into, topic, spans, env),
        }
    )


def bound(name: str, offset: int | None, time: str) -> Bound:
    """Return one end of the range. Raises UsageError for two, and for a time that is none."""
    if offset is not None and time:
        raise UsageError(f"{name}-offset and {name}-time: give one of them")
    if offset is not None and offset < 0:
        raise UsageError(f"{name}-offset {offset}: use 0 or more")
    if not time:
        return Bound(offset)
    try:
        at = datetime.fromisoformat(time)
    except ValueError as exc:
        raise UsageError(f"{name}-time {time!r}: use a time as 2026-11-20T10:15:00Z") from exc
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return Bound(time_ms=int(at.timestamp() * 1000))


def check_table(lake: DeltaLake, name: str, *, overwrite: bool) -> bool:
    """Have the lake take a table of events under a new name; return whether there is one.

    Raises UsageError for a table of the lake itself, and for one that exists unless `overwrite`.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(f"--into {name!r}: use a-z 0-9 _, starting with a letter")
    if name in TABLES:
        raise UsageError(f"--into {name}: that is a table of the lake itself; name a new one")
    lake.add_table(Table(name, EVENTS.columns, EVENTS.partition_by))
    try:
        lake.version(name)
    except TableNotFoundError:
        return False
    if not overwrite:
        raise UsageError(f"--into {name}: there is such a table; name another, or --overwrite it")
    return True


def _batches(
    kafka: KafkaRange,
    topic: str,
    partition: int,
    span: Span,
    *,
    clock: site_clock.SiteClock,
    lake: DeltaLake,
) -> Iterator[Batch]:
    """Yield the rows of a partition; the lines before it only fill the duplicate filter."""
    recent, catalog = RecentLines(), LakeCatalog(lake)
    begin = max(span.begin - WINDOW_OFFSETS, span.oldest)
    for records in kafka.read(partition, begin, span.end):
        before = records.until(span.begin - 1)
        if len(before.offsets):
            recent.mark(before.offsets, before.lines)
        fresh = records.after(span.begin - 1)
        if len(fresh.offsets):
            yield prepare(
                topic,
                {partition: fresh},
                {partition: recent},
                limits=limits_from_env(os.environ),
                catalog=catalog(),
                now=SystemClock().now(),
                site_clock=clock,
            )


def _count(batch: Batch, by_kind: Counter[str], by_reason: Counter[str]) -> int:
    for rows in batch.events:
        by_kind[str(rows["kind"][0])] += length(rows)
    by_reason.update(batch.quarantined["reason"])
    return sum(map(length, batch.events)) + length(batch.quarantined)


def compare(
    lake: DeltaLake, table: str, topic: str, spans: Mapping[int, Span], env: Mapping[str, str]
) -> dict[str, int]:
    """Return how many lines of the range are events in both tables, in one alone, at another time.

    Empty while the lake has no events.
    """
    where = " or ".join(
        f"(kafka_partition = {p} and kafka_offset >= {span.begin} and kafka_offset < {span.end})"
        for p, span in spans.items()
    )
    # Rows of before the column are of the setting's first topic.
    null = " or topic is null" if topic == settings.topics(env)[0] else ""
    sql = _COMPARE.format(table=table, topic=topic, null=null, where=where)
    try:
        lake.version(table)
        found: Any = lake.query(sql, {EVENTS.name: None, table: None})
    except TableNotFoundError:
        return {}
    return {name: found.column(name).to_pylist()[0] or 0 for name in found.column_names}


_COMPARE: Final = """
    select
        sum(case when o is not null and n is not null then 1 else 0 end) as both_have,
        sum(case when o is null then 1 else 0 end) as new_here,
        sum(case when n is null then 1 else 0 end) as missing_here,
        sum(case when old_time <> new_time then 1 else 0 end) as at_another_time
    from (
        select kafka_partition p, kafka_offset o, event_time old_time from events
        where (topic = '{topic}'{null}) and ({where})
    ) before full outer join (
        select kafka_partition q, kafka_offset n, event_time new_time from {table}
    ) after on p = q and o = n
"""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
