"""Read a data set's input from the lake with SQL, aggregated by user and movie.

Every query pins the tables' versions, so that the same versions always give the same result. The
dialect is Apache DataFusion's, in delta-rs; aggregation by user and movie makes 50 million events
fit in memory.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from functions.build_dataset.newest import NewestInteractions
from movierec.errors import DatasetError
from movierec.lake import plausible_times
from movierec.lake.plausible_times import PlausibleTimes
from movierec.lake.ports import LakeReader
from movierec.lake.queries import (
    ASSUMED_CLOCK,
    NAMED_PARTITION,
    NEWEST_MOVIES,
    NEWEST_USERS,
    columns,
    present_versions,
)
from movierec.lake.schema import EVENTS, MOVIES, QUARANTINE, USERS
from movierec.model import segments
from movierec.model.dataset import Evidence, Rated, Watched
from movierec.model.dataset_parameters import MAX_INTERACTIONS
from movierec.model.encoding import Array
from movierec.model.occupations import Occupations

Versions = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Overview:
    """Counts of the lake's rows, by columns, for the manifest and the quality report."""

    rows_by_day: Mapping[str, Array]
    """kind, day (text), n, first_us, last_us (microseconds since 1970)."""
    offsets: Mapping[str, Array]
    """name (see `NAMED_PARTITION`), first, last, n: of events."""
    ratings: Mapping[str, Array]
    """rating, n."""
    answers: Mapping[str, Array]
    """status, n: of recommendation requests."""
    assumed: Mapping[str, Array]
    """n: of events on an assumed clock."""
    quarantine: Mapping[str, Array]
    """reason, n; empty without the table."""
    plausible: PlausibleTimes = plausible_times.DEFAULT

    def plausible_days(self) -> dict[str, Array]:
        """Return `rows_by_day` without the days that `read_evidence` leaves out."""
        first, last = map(str, self.plausible.days())
        keep = np.array([first <= day <= last for day in self.rows_by_day["day"]], np.bool_)
        return {name: values[keep] for name, values in self.rows_by_day.items()}


def pin(lake: LakeReader, wanted: Versions) -> dict[str, int]:
    """Return a version of each table that exists: the wanted one, or the present one.

    If any version is given, all are: a table that is left out did not exist then.
    Raises DatasetError if there is no table of events.
    """
    if wanted:
        return {name: wanted[name] for name in sorted(wanted)}
    versions = present_versions(lake, (EVENTS, MOVIES, QUARANTINE, USERS))
    if EVENTS.name not in versions:
        raise DatasetError(
            "the lake has no events yet: start the ingest worker, see that the site"
            " writes to its topic, and build again"
        )
    return versions


# Aggregating 10 million events takes some 2 GB; more are aggregated in batches of users.
_BATCH_EVENTS: Final = 10_000_000


def read_evidence(
    lake: LakeReader,
    versions: Versions,
    since: str,
    *,
    plausible: PlausibleTimes = plausible_times.DEFAULT,
    max_interactions: int = MAX_INTERACTIONS,
    batch_events: int = _BATCH_EVENTS,
) -> Evidence:
    """Return aggregated events, catalog and users at these versions of the lake.

    Events of implausible times, which earlier code has let in, are left out, and all but the
    newest `max_interactions`.
    """
    events = {EVENTS.name: versions[EVENTS.name]}
    fill = {"since": f"{_since(since)} and {plausible.condition()}"}
    movie_ids = columns(lake, _MOVIE_IDS.format_map(fill), events)["movie_id"].tolist()
    fill["codes"] = _codes(movie_ids)
    rows = int(columns(lake, _ROWS.format_map(fill), events)["n"][0])
    batches = 1 + rows // batch_events
    newest = NewestInteractions(max_interactions, rows > max_interactions, batch_events)
    for batch in range(batches):
        part = {**fill, "batches": str(batches), "batch": str(batch)}
        newest.add(*(columns(lake, sql.format_map(part), events) for sql in (_WATCHED, _RATED)))
    watched, rated = newest.kept()
    runtimes, adult = _catalog(lake, versions, movie_ids)
    return Evidence(
        movie_ids=movie_ids,
        watched=Watched(**watched),
        rated=Rated(**rated),
        runtimes_minutes=runtimes,
        adult=adult,
        **_users(lake, versions),
        older=newest.older,
    )


def read_overview(
    lake: LakeReader,
    versions: Versions,
    since: str,
    plausible: PlausibleTimes = plausible_times.DEFAULT,
) -> Overview:
    """Return counts of all rows since that day, and of quarantined lines."""
    events = {EVENTS.name: versions[EVENTS.name]}
    quarantine = {name: versions[name] for name in (QUARANTINE.name,) if name in versions}
    fill = {"since": _since(since)}
    counts = pd.DataFrame(columns(lake, _COUNTS.format_map(fill), events))
    return Overview(
        rows_by_day=_summed(counts, ["kind", "day"], "first_us", "last_us"),
        offsets=_summed(counts[counts["name"] != ""], ["name"], "first", "last"),
        ratings=columns(lake, _RATINGS.format_map(fill), events),
        answers=columns(lake, _ANSWERS.format_map(fill), events),
        assumed=columns(lake, _ASSUMED.format_map(fill), events),
        quarantine=columns(lake, _QUARANTINED, quarantine) if quarantine else {},
        plausible=plausible,
    )


def _summed(counts: pd.DataFrame, keys: list[str], first: str, last: str) -> dict[str, Array]:
    """Return the rows of each combination of keys, in order, with their extremes."""
    parts = counts.groupby(keys, as_index=False)
    found = parts.agg(**{"n": ("n", "sum"), first: (first, "min"), last: (last, "max")})
    return {
        name: found[name].to_numpy(object if name in keys else None) for name in map(str, found)
    }


def _codes(movie_ids: Sequence[str]) -> str:
    """Return the SQL of a table `codes`: each movie id and its place."""
    marked = ",".join(f"x{movie_id.encode().hex()}" for movie_id in movie_ids)
    return _CODES.format(marked=marked, n=len(movie_ids))


def _since(day: str) -> str:
    # `Parameters` has validated that this is a day, so it is safe in SQL.
    return f"and event_date >= date '{day}'" if day else ""


def _catalog(
    lake: LakeReader, versions: Versions, movie_ids: Sequence[str]
) -> tuple[Array, npt.NDArray[np.bool_]]:
    """Return runtimes in minutes, 0 if unknown, and whether a movie is for adults only.

    If there is a catalog, a movie that it lacks is not shown to minors: most such ids are corrupt.
    """
    loaded = MOVIES.name in versions
    runtimes, adult = np.zeros(len(movie_ids), np.int32), np.full(len(movie_ids), loaded)
    if not loaded:
        return runtimes, adult
    found = columns(lake, NEWEST_MOVIES, {MOVIES.name: versions[MOVIES.name]})
    codes = {movie_id: code for code, movie_id in enumerate(movie_ids)}
    places = np.array([codes.get(movie_id, -1) for movie_id in found["movie_id"]], np.int64)
    known = places >= 0
    runtimes[places[known]] = found["runtime_minutes"][known]
    adult[places[known]] = found["adult"][known] != 0
    return runtimes, adult


def _users(lake: LakeReader, versions: Versions) -> dict[str, Any]:
    """Return `user_groups` and `occupations`."""
    if USERS.name not in versions:
        return {"user_groups": np.zeros(0, np.uint8)}
    found = columns(lake, NEWEST_USERS, {USERS.name: versions[USERS.name]})
    groups = segments.group_of(found["age"], found["gender"].tolist())
    return {
        "user_groups": segments.groups_by_id(found["user_ids"], groups),
        "occupations": Occupations.of(found["user_ids"], found["occupation"].tolist()),
    }


_MOVIE_IDS: Final = """
select distinct movie_id from events
where kind in ('watch', 'rate') and movie_id is not null {since} order by movie_id
"""

_ROWS: Final = "select count(*) n from events where kind in ('watch', 'rate') {since}"

# Movie ids become numbers before the aggregation: grouping by two numbers takes a tenth of the
# memory of grouping by text. The ids are in the query: reading them from the events takes a pass
# for each batch. In hexadecimal, as an id may hold any character, and marked, as it may be empty.
_CODES: Final = """
with codes as (
  select arrow_cast(decode(substr(hex, 2), 'hex'), 'Utf8') movie_id, cast(code as int) movies
  from (select unnest(string_to_array('{marked}', ',')) hex, unnest(range(0, {n})) code)
)
"""

_WATCHED: Final = """
{codes}
select e.user_id user_ids, c.movies, max(e.minute) minutes,
       cast(cast(max(e.event_time) as bigint) / 1000000 as int unsigned) last_at
from events e join codes c on e.movie_id = c.movie_id
where e.kind = 'watch' and e.minute is not null and e.user_id % {batches} = {batch} {since}
group by e.user_id, c.movies
"""

# Two ratings in one second: the later in the log counts.
_RATED: Final = """
{codes}
select e.user_id user_ids, c.movies,
       last_value(e.rating order by e.event_time, e.kafka_partition, e.kafka_offset) ratings,
       cast(cast(max(e.event_time) as bigint) / 1000000 as int unsigned) last_at
from events e join codes c on e.movie_id = c.movie_id
where e.kind = 'rate' and e.rating is not null and e.user_id % {batches} = {batch} {since}
group by e.user_id, c.movies
"""

# Texts are made of the few groups, not of each row.
_COUNTS: Final = f"""
select kind, cast(event_date as varchar) as day, coalesce({NAMED_PARTITION}, '') as name,
       n, first_us, last_us, first, last
from (select kind, event_date, topic, kafka_partition, count(*) n,
             cast(min(event_time) as bigint) first_us, cast(max(event_time) as bigint) last_us,
             coalesce(min(kafka_offset), 0) as first, coalesce(max(kafka_offset), 0) as last
      from events where true {{since}} group by kind, event_date, topic, kafka_partition)
"""  # noqa: S608  ours

_RATINGS: Final = """
select rating, count(*) n from events
where kind = 'rate' and rating is not null {since} group by 1 order by 1
"""

_ANSWERS: Final = """
select status, count(*) n from events
where kind = 'recommend' and status is not null {since} group by 1 order by 1
"""

_ASSUMED: Final = f"select count(*) n from events where {ASSUMED_CLOCK} {{since}}"  # noqa: S608  ours

_QUARANTINED: Final = "select reason, count(*) n from quarantine group by 1 order by 2 desc, 1"
