"""SQL about lines in quarantine, for `movierec.aws.delta_quarantine_lake`."""

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Final

import numpy as np

from movierec.lake.quarantined import Offsets, Selection
from movierec.lake.queries import of_topics

# `lake.site_clock.NO_TIME`, a module that not every Lambda ships.
_NO_TIME: Final = np.iinfo(np.int64).min


def spans(chosen: Selection) -> str:
    """Return the query of the chosen lines' partitions."""
    return (
        "select topic, kafka_partition, min(kafka_offset) first, max(kafka_offset) last, "  # noqa: S608  our own names
        f"count(*) lines from quarantine where {_chosen(chosen)} "
        "group by topic, kafka_partition order by topic, kafka_partition"
    )


def lines(
    chosen: Selection,
    topics: Collection[str | None],
    partition: int,
    between: tuple[int, int],
    most: int,
) -> str:
    """Return the query of the first lines whose offset is past one and not past another."""
    after, until = between
    return (
        "select kafka_offset, raw, cast(ingested_at as bigint) ingested_us, "  # noqa: S608  our own names
        f"coalesce(cast(record_time as bigint), {_NO_TIME}) recorded_us from quarantine "
        f"where {_chosen(chosen)} and {of_topics(topics)} and kafka_partition = {partition:d} "
        f"and kafka_offset > {after:d} and kafka_offset <= {until:d} "
        f"order by kafka_offset limit {most:d}"
    )


def in_both(chosen: Selection, topics: Collection[str | None], partition: int) -> str:
    """Return the query of the offsets of chosen lines that are events as well."""
    ours = f"{of_topics(topics)} and kafka_partition = {partition:d}"
    waiting = f"from quarantine where {_chosen(chosen)} and {ours}"
    # The bounds let DataFusion skip files by their statistics.
    return (
        f"select kafka_offset from events where {ours} "  # noqa: S608
        f"and kafka_offset >= (select min(kafka_offset) {waiting}) "
        f"and kafka_offset <= (select max(kafka_offset) {waiting}) "
        f"and kafka_offset in (select kafka_offset {waiting})"
    )


def merge_predicate(topics: Collection[str | None], offsets: Mapping[int, Offsets]) -> str:
    """Return when a row `t` of quarantine is one of the rows `s` of partitions and offsets.

    The bounds are numbers: by a file's statistics Delta sees that an append of later lines does not
    conflict.
    """
    first = min(int(one.min()) for one in offsets.values())
    last = max(int(one.max()) for one in offsets.values())
    return (
        f"t.kafka_partition = s.kafka_partition and t.kafka_offset = s.kafka_offset "
        f"and {of_topics(topics, 't')} and t.kafka_offset >= {first:d} "
        f"and t.kafka_offset <= {last:d}"
    )


def reached(topics: Collection[str | None]) -> str:
    """Return the query of each partition's last offset in events."""
    return (
        "select kafka_partition, max(kafka_offset) last from events "  # noqa: S608  our own names
        f"where {of_topics(topics)} group by kafka_partition"
    )


def users(topics: Collection[str | None], after: Mapping[int, int], *, with_users: bool) -> str:
    """Return the query of the users in events past some offsets who are not in table users."""
    considered = [f"(kafka_partition = {p:d} and kafka_offset > {o:d})" for p, o in after.items()]
    if after:
        considered.append(f"kafka_partition not in ({', '.join(map(str, after))})")
    new = f"and ({' or '.join(considered)}) " if considered else ""
    known = "where user_id not in (select user_id from users) " if with_users else ""
    return (
        "select user_id, created from (select user_id, "  # noqa: S608  our own names
        "max(case when kind = 'create_account' then 1 else 0 end) created from events "
        f"where {of_topics(topics)} {new}group by user_id) {known}order by user_id"
    )


def _chosen(chosen: Selection) -> str:
    reasons = ", ".join(f"'{reason}'" for reason in sorted(chosen.reasons))
    conditions = [f"reason in ({reasons})"]
    for bound, time in ((">=", chosen.since), ("<", chosen.until)):
        if time is not None:
            at = time.astimezone(UTC)
            conditions += [
                f"ingested_at {bound} {_timestamp(at)}",
                f"quarantined_date {bound[0]}= date '{at.date()}'",
            ]
    return " and ".join(conditions)


def _timestamp(at: datetime) -> str:
    text = at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return f"arrow_cast('{text}', 'Timestamp(Microsecond, Some(\"UTC\"))')"
