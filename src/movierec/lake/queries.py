"""Queries that every reader of the lake needs: present versions, and columns of a result."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import date
from typing import Any, Final

import numpy.typing as npt

from movierec.errors import TableNotFoundError
from movierec.lake.ports import LakeReader
from movierec.lake.schema import ADULT_UNKNOWN, EVENTS, Table

Array = npt.NDArray[Any]

ASSUMED_CLOCK: Final = "coalesce(time_basis = 'assumed', false)"
"""The condition, in SQL, of events whose time is of a clock that nobody knows."""

NAMED_PARTITION: Final = """
    case when topic is null then cast(kafka_partition as varchar)
         else concat(topic, '-', cast(kafka_partition as varchar)) end
"""
"""An event's `topic-partition`, in SQL; `partition` alone in rows of before the topic."""

NEWEST_MOVIES: Final = f"""
select movie_id, last_value(coalesce(runtime_minutes, 0) order by loaded_at) runtime_minutes,
       last_value(coalesce(adult, {ADULT_UNKNOWN}) order by loaded_at) adult
from movies where movie_id is not null group by movie_id
"""  # noqa: S608  ours
"""What the catalog says of each movie now; minors are shown one of which `adult` is 0."""

NEWEST_USERS: Final = """
select user_id user_ids, last_value(coalesce(age, -1) order by loaded_at) age,
       last_value(coalesce(gender, '') order by loaded_at) gender,
       last_value(coalesce(occupation, '') order by loaded_at) occupation
from users where user_id is not null group by user_id
"""
"""What the site has said of each user last."""


def present_versions(lake: LakeReader, tables: Iterable[Table]) -> dict[str, int]:
    """Return the present version of each table that exists, by name.

    Raises LakeError and UnavailableError.
    """
    versions = {}
    for table in tables:
        try:
            versions[table.name] = lake.version(table.name)
        except TableNotFoundError:
            continue
    return versions


def columns(lake: LakeReader, sql: str, versions: Mapping[str, int]) -> dict[str, Array]:
    """Return a query's columns, each (n,), by name; see `movierec.lake.ports.LakeReader.query`."""
    found = lake.query(sql, dict(versions))
    return {name: found.column(name).to_numpy() for name in found.column_names}


def of_topics(topics: Collection[str | None], table: str = "") -> str:
    """Return the condition that a row's topic is one of these, None for a null."""
    column = f"{table}.topic" if table else "topic"
    names = (f"{column} is null" if t is None else f"{column} = '{t}'" for t in topics)
    return f"({' or '.join(names)})"


def quoted(text: str) -> str:
    """Return a text as an SQL literal; standard SQL has no other escape than the doubled quote."""
    return "'" + text.replace("'", "''") + "'"


LISTED: Final = 2_000
"""Ids in one condition: far longer lists overflow DataFusion's stack."""

_MOST_LISTED: Final = 20_000


def of_ids(
    column: str, literals: Sequence[str], *, most_listed: int = _MOST_LISTED
) -> Iterator[str]:
    """Yield conditions that, one after the other, hold of rows of all these ids, ascending.

    Few are listed. Of many each condition holds of a range, and so of other ids in it as well.
    """
    listed = len(literals) <= most_listed
    step = LISTED if listed else _MOST_LISTED
    for start in range(0, len(literals), step):
        part = literals[start : start + step]
        yield (
            f"{column} in ({', '.join(part)})"
            if listed
            else f"{column} between {part[0]} and {part[-1]}"
        )


def last_offset_minutes(lake: LakeReader, topic: str, since: date) -> int | None:
    """Return the offset from UTC that the records' times showed last, of a topic's lines.

    None if they showed none since that day. Raises LakeError and UnavailableError.
    """
    try:
        sql = _LAST_OFFSET.format(topic=topic, since=since)
        found = lake.query(sql, {EVENTS.name: None})
    except TableNotFoundError:
        return None
    minutes: list[int] = found.column("utc_offset_minutes").to_pylist()
    return minutes[0] if minutes else None


_LAST_OFFSET: Final = """
    select utc_offset_minutes from events
    where topic = '{topic}' and time_basis = 'found' and event_date >= date '{since}'
    order by event_time desc limit 1
"""
