"""Read from the lake what the profile and the checks of a data set need, as counts and columns."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from movierec.lake.plausible_times import PlausibleTimes
from movierec.lake.ports import LakeReader
from movierec.lake.queries import columns
from movierec.lake.schema import EVENTS, MOVIES, USERS
from movierec.model.dataset import Dataset
from movierec.model.encoding import Array
from movierec.model.rating_scale import RatingScale
from movierec.model.user_id import rows_of
from movierec.quality import interfaces
from movierec.quality.profile import Attributes, Clock

Versions = Mapping[str, int]

# Repeated events are looked for among users of every so manieth id, of about this many events.
_SAMPLE_EVENTS: Final = 1_000_000


def read_values(
    lake: LakeReader, versions: Versions, condition: str, scale: RatingScale
) -> dict[str, Any]:
    """Return missing, wrong, lowest and highest values of each declared field, by interface."""
    found = {}
    for kind, interface in interfaces.events(scale).items():
        where = f"kind = '{kind}' and {condition}"
        found[interface.name] = _values(lake, versions, interface, EVENTS.name, where)
    for table, interface in ((MOVIES.name, interfaces.MOVIES), (USERS.name, interfaces.USERS)):
        if table in versions:
            found[interface.name] = _values(lake, versions, interface, table)
    return found


def _values(
    lake: LakeReader,
    versions: Versions,
    interface: interfaces.Interface,
    table: str,
    condition: str = "true",
) -> dict[str, Any]:
    sql = interfaces.sql(interface, table, condition)
    found = columns(lake, sql, {table: versions[table]})
    return interfaces.values(interface, {name: values[0] for name, values in found.items()})


def read_duplicates(
    lake: LakeReader, versions: Versions, condition: str, rows: int
) -> dict[str, Any]:
    """Return how many watch and rate events are the same as another one in every field."""
    every = 1 + rows // _SAMPLE_EVENTS
    sql = _DUPLICATES.format(every=every, condition=condition)
    found = columns(lake, sql, {EVENTS.name: versions[EVENTS.name]})
    repeated, counted = int(found["repeated"][0]), int(found["counted"][0])
    share = repeated / counted if counted else 0.0
    return {"share": share, "repeated": repeated, "of": counted, "users_one_in": every}


def read_clock(lake: LakeReader, versions: Versions, condition: str, days: float) -> Clock:
    """Return counts of events by the site's local hour, offset and its basis."""
    found = columns(lake, _CLOCK.format(condition=condition), {EVENTS.name: versions[EVENTS.name]})
    return Clock(
        found["hours"],
        [str(each) for each in found["offset_minutes"]],
        [str(each) for each in found["bases"]],
        found["n"],
        days,
    )


def event_condition(since: str, plausible: PlausibleTimes) -> str:
    """Return, as SQL, which events a data set is of. `Parameters` has validated the day."""
    from_day = f" and event_date >= date '{since}'" if since else ""
    return f"{plausible.condition()}{from_day}"


def read_attributes(lake: LakeReader, versions: Versions, dataset: Dataset) -> Attributes:
    """Return what the tables of movies and users say of those in the data set."""
    movies, users = len(dataset.movie_ids), len(dataset.user_ids)
    genres: Sequence[str] = [""] * movies
    ages = np.full(users, np.nan)
    known: Array | None = None
    users_known: Array | None = None
    numbers = {name: np.full(movies, np.nan) for name in ("years", "runtimes", "votes")}
    if MOVIES.name in versions:
        found = columns(lake, _MOVIES, {MOVIES.name: versions[MOVIES.name]})
        places = {movie_id: i for i, movie_id in enumerate(found["movie_id"].tolist())}
        rows = np.array([places.get(each, -1) for each in dataset.movie_ids], np.int64)
        known = rows >= 0
        genres = [str(found["genres"][row]) if row >= 0 else "" for row in rows.tolist()]
        for name, values in numbers.items():
            values[known] = _positive(found[name][rows[known]])
    if USERS.name in versions:
        found = columns(lake, _USERS, {USERS.name: versions[USERS.name]})
        order = np.argsort(found["user_ids"])
        ids = found["user_ids"][order]
        at, users_known = rows_of(ids, dataset.user_ids)
        given = found["ages"][order][at[users_known]].astype(np.float64)
        ages[users_known] = np.where(given >= 0, given, np.nan)
    return Attributes(
        known, genres, numbers["years"], numbers["runtimes"], numbers["votes"], users_known, ages
    )


def _positive(values: Array) -> Array:
    """Return numbers, NaN for those that stand for unknown."""
    numbers = values.astype(np.float64)
    return np.where(numbers > 0, numbers, np.nan)


_DUPLICATES: Final = """
select cast(coalesce(sum(n - 1), 0) as bigint) repeated, cast(coalesce(sum(n), 0) as bigint) counted
from (
  select count(*) n from events
  where kind in ('watch', 'rate') and user_id % {every} = 0 and {condition}
  group by kind, user_id, movie_id, minute, rating, event_time
)
"""

# The site's local time is what its log says: the hour shows a clock that was moved, the offset a
# zone that was set anew.
_CLOCK: Final = """
select hours, coalesce(cast(minutes as varchar), 'none') offset_minutes,
       coalesce(basis, 'none') bases, n
from (select cast((cast(event_time as bigint) / 60000000 + coalesce(utc_offset_minutes, 0))
                  / 60 % 24 as int) hours,
             utc_offset_minutes minutes, time_basis basis, count(*) n
      from events where {condition} group by 1, 2, 3)
order by hours, offset_minutes, bases
"""

_MOVIES: Final = """
select movie_id,
       last_value(coalesce(array_to_string(genres, '|'), '') order by loaded_at) genres,
       last_value(coalesce(try_cast(substr(release_date, 1, 4) as double), 0) order by loaded_at)
         years,
       last_value(cast(coalesce(runtime_minutes, 0) as double) order by loaded_at) runtimes,
       last_value(coalesce(vote_average, 0.0) order by loaded_at) votes
from movies where movie_id is not null group by movie_id order by movie_id
"""

_USERS: Final = """
select user_id user_ids, last_value(coalesce(age, -1) order by loaded_at) ages
from users where user_id is not null group by user_id
"""
