"""Read from the lake the events that came since the overlay before.

Only files that hold newer offsets are read, by their statistics. Every query pins the tables'
versions, so that the offsets that are reached and the rows that were read belong together.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from movierec.lake.plausible_times import PlausibleTimes
from movierec.lake.ports import LakeReader
from movierec.lake.queries import NAMED_PARTITION, columns, present_versions
from movierec.lake.schema import EVENTS, MOVIES, USERS
from movierec.model.encoding import Array

Offsets = Mapping[str, int]
"""The last offset that was read of each `topic-partition`, or `partition` of whatever topic."""

Versions = Mapping[str, int]


@dataclass(frozen=True, slots=True, eq=False)
class Watched:
    """One row for each user and movie watched: the largest minute."""

    users: Array
    movie_ids: Array
    minutes: Array
    last_at: Array
    """Seconds since 1970."""


@dataclass(frozen=True, slots=True, eq=False)
class Rated:
    """One row for each user and movie rated: the last rating, on the site's scale."""

    users: Array
    movie_ids: Array
    ratings: Array
    last_at: Array


@dataclass(frozen=True, slots=True, eq=False)
class Newer:
    """What came after some offsets."""

    watched: Watched
    rated: Rated
    accounts: Array
    """Ids of users whose account was created, ascending."""
    reached: Offsets

    def users(self) -> Array:
        """Return the ids of all users with events, ascending."""
        return np.unique(np.concatenate((self.watched.users, self.rated.users, self.accounts)))


def pin(lake: LakeReader) -> dict[str, int]:
    """Return the present version of each table that exists."""
    return present_versions(lake, (EVENTS, MOVIES, USERS))


def read_newer(
    lake: LakeReader, versions: Versions, after: Offsets, plausible: PlausibleTimes
) -> Newer:
    """Return the events past the offsets; of impossible times none."""
    if EVENTS.name not in versions:
        return Newer(_NO_WATCHED, _NO_RATED, np.zeros(0, np.int64), after)
    events = {EVENTS.name: versions[EVENTS.name]}
    fill = {"newer": _newer(after), "plausible": plausible.condition()}
    reached = columns(lake, _REACHED.format_map(fill), events)
    found = _reached(after, reached)
    if not len(reached["name"]):
        return Newer(_NO_WATCHED, _NO_RATED, np.zeros(0, np.int64), found)
    return Newer(
        Watched(**_texts(columns(lake, _WATCHED.format_map(fill), events))),
        Rated(**_texts(columns(lake, _RATED.format_map(fill), events))),
        columns(lake, _ACCOUNTS.format_map(fill), events)["users"],
        found,
    )


def _texts(found: dict[str, Array]) -> dict[str, Array]:
    return {**found, "movie_ids": np.asarray(found["movie_ids"], object)}


def _newer(after: Offsets) -> str:
    """Return the condition of rows past these offsets: those of a partition not named are."""
    known = [(*_split(name), offset) for name, offset in after.items()]
    past = [f"({_at(topic, p)} and kafka_offset > {offset})" for topic, p, offset in known]
    others = " and ".join(f"not ({_at(topic, p)})" for topic, p, _ in known)
    return f"({' or '.join([*past, f'({others})'])})" if known else "true"


def _split(name: str) -> tuple[str, int]:
    topic, _, partition = name.rpartition("-")
    return topic, int(partition)


def _at(topic: str, partition: int) -> str:
    # A topic's name is letters, digits, `.`, `_` and `-`: safe in SQL.
    named = f"coalesce(topic, '') = '{topic}' and " if topic else ""
    return f"{named}kafka_partition = {partition}"


def _reached(after: Offsets, found: Mapping[str, Array]) -> dict[str, int]:
    """Return the offsets with those found: a topic's own take the place of a bare partition's."""
    newest = dict(zip(found["name"].tolist(), found["last"].tolist(), strict=True))
    named = {str(_split(name)[1]) for name in newest if not name.isdecimal()}
    return {name: last for name, last in after.items() if name not in named} | newest


_NO_WATCHED: Final = Watched(*(np.zeros(0, t) for t in ("int64", "object", "int32", "uint32")))
_NO_RATED: Final = Rated(*(np.zeros(0, t) for t in ("int64", "object", "int16", "uint32")))

_REACHED: Final = f"""
select {NAMED_PARTITION} as name, max(kafka_offset) as last
from events where kafka_partition is not null and {{newer}} group by 1 order by 1
"""  # noqa: S608  ours

_WATCHED: Final = """
select user_id users, movie_id movie_ids, max(minute) minutes,
       cast(cast(max(event_time) as bigint) / 1000000 as int unsigned) last_at
from events where kind = 'watch' and minute is not null and movie_id is not null
  and {newer} and {plausible} group by user_id, movie_id
"""

# Two ratings in one second: the later in the log counts.
_RATED: Final = """
select user_id users, movie_id movie_ids,
       last_value(rating order by event_time, kafka_partition, kafka_offset) ratings,
       cast(cast(max(event_time) as bigint) / 1000000 as int unsigned) last_at
from events where kind = 'rate' and rating is not null and movie_id is not null
  and {newer} and {plausible} group by user_id, movie_id
"""

_ACCOUNTS: Final = """
select distinct user_id users from events
where kind = 'create_account' and user_id is not null and {newer} order by 1
"""
