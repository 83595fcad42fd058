"""What is read from the lake: lists, viewings and ratings of one window, in SQL and in sums.

Every query names the tables at one version, so that a look can be made again. The dialect is
Apache DataFusion's, in delta-rs. A day of a busy site is 1.7 million lists and 40 million watch
lines: lines come in sums a user, movie and slot of the clock (see `outcomes`), and both in turns
by user, of which numbers are kept.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from functions.evaluate_online import quality
from functions.evaluate_online.outcomes import us
from movierec import dataset
from movierec.errors import TableNotFoundError
from movierec.lake import EVENTS, MOVIES, SERVED
from movierec.ports import LakeReader
from movierec.provenance import microseconds

Array = npt.NDArray[Any]
Versions = Mapping[str, int]

# The time that lines may be under way: 1 in 100 reaches the log up to 15 s after later ones.
_UNDER_WAY: Final = timedelta(seconds=15)
# The lake is as far as this many lines say: fewer could be wrong about the time.
_WITNESSES: Final = 10
# How far back the newest lines are looked for.
_LOOK_BACK: Final = timedelta(days=2)

# 10 million lines in sum, or 100,000 lists with 20 texts each, take some 0.6 GB of the Lambda's 3.
_LINES_A_TURN: Final = 10_000_000
_LISTS_A_TURN: Final = 100_000


@dataclass(frozen=True, slots=True)
class Window:
    """What to read: lists served in a time, and what their users did in it."""

    since: datetime
    until: datetime
    horizon_s: float

    def fill(self) -> dict[str, str]:
        """Return what stands in every query."""
        # A line may look a second older than the list that it came after.
        first = self.since - timedelta(seconds=1)
        return {
            "since_us": str(microseconds(self.since)),
            "first_us": str(microseconds(first)),
            "until_us": str(microseconds(self.until)),
            "since_day": _day(self.since),
            "first_day": _day(first),
            "until_day": _day(self.until),
            "slot_us": str(us(self.horizon_s)),
        }


def _day(at: datetime) -> str:
    return f"date '{at.astimezone(UTC):%Y-%m-%d}'"


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """Lists and what their users did; frames as `outcomes` takes them, in any order."""

    rows: pd.DataFrame
    movies: Array
    viewings: pd.DataFrame
    ratings: pd.DataFrame
    known: quality.Movies


@dataclass(frozen=True, slots=True)
class SiteView:
    """What the site logged in the window, of all its users."""

    answers: Mapping[int, int]
    """Recommendation requests by status."""
    average_rating: float | None


def pin(lake: LakeReader) -> dict[str, int]:
    """Return the present version of each table that exists."""
    versions = {}
    for table in (EVENTS, MOVIES, SERVED):
        try:
            versions[table.name] = lake.version(table.name)
        except TableNotFoundError:
            continue
    return versions


def watermark(lake: LakeReader, versions: Versions, now: datetime) -> datetime | None:
    """Return until when the lake knows what users did; None if it has no lines of late.

    Lines from the future are not believed, nor is any single line.
    """
    if EVENTS.name not in versions:
        return None
    fill = {
        "from_day": _day(now - _LOOK_BACK),
        "now_us": microseconds(now),
        "n": _WITNESSES,
    }
    newest = _columns(lake, _NEWEST.format(**fill), {EVENTS.name: versions[EVENTS.name]})["at"]
    if not len(newest):
        return None
    return datetime.fromtimestamp(int(newest.min()) / 1_000_000, UTC) - _UNDER_WAY


def read_site(lake: LakeReader, versions: Versions, window: Window) -> SiteView:
    """Return what the site logged in the window. Needs `events`."""
    events = {EVENTS.name: versions[EVENTS.name]}
    answers = _columns(lake, _ANSWERS.format_map(window.fill()), events)
    ratings = _columns(lake, _ALL_RATINGS.format_map(window.fill()), events)
    n = int(ratings["n"][0])
    by_status = zip(answers["status"].tolist(), answers["n"].tolist(), strict=True)
    return SiteView(dict(by_status), float(ratings["total"][0]) / n if n else None)


def read_evidence(
    lake: LakeReader,
    versions: Versions,
    window: Window,
    *,
    lines_a_turn: int = _LINES_A_TURN,
    lists_a_turn: int = _LISTS_A_TURN,
) -> Evidence:
    """Return lists, viewings and ratings of the window. Needs `events` and `served`."""
    tables = {name: versions[name] for name in (EVENTS.name, SERVED.name)}
    reading = _Reading(lake, tables, window.fill())
    sizes = reading.columns(_SIZES)
    rows, movies = reading.lists(1 + int(sizes["lists"][0]) // lists_a_turn)
    turns, book = 1 + int(sizes["lines"][0]) // lines_a_turn, reading.book
    watched, ratings = reading.sums(_WATCHED, turns), reading.sums(_RATED, turns)
    catalog = _runtimes(lake, versions)
    runtimes = np.array([catalog.get(movie, 0) for movie in book.movie_ids], np.int32)
    share = dataset.watched_share(watched.pop("minutes"), watched["movie"], runtimes)
    viewings = pd.DataFrame({**watched, "share": share})
    return Evidence(
        rows=rows,
        movies=movies,
        viewings=viewings,
        ratings=pd.DataFrame(ratings),
        known=quality.Movies(
            in_catalog=np.array([movie in catalog for movie in book.movie_ids], np.bool_),
            catalog_size=len(catalog),
            surprise_bits=quality.surprise_bits(viewings, len(book.movie_ids)),
        ),
    )


class _Book:
    """Numbers movie ids as they come: what is kept of millions of texts."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    @property
    def movie_ids(self) -> list[str]:
        """The ids in order of their numbers."""
        return list(self._numbers)

    def numbers(self, movie_ids: Array) -> npt.NDArray[np.int32]:
        """Return the number of each id, (n,)."""
        place, ids = pd.factorize(movie_ids)
        numbers = [self._numbers.setdefault(movie, len(self._numbers)) for movie in ids]
        return np.asarray(np.array(numbers, np.int32)[place])


@dataclass(frozen=True, slots=True)
class _Reading:
    """One window's queries, and the numbers that movies get meanwhile."""

    lake: LakeReader
    tables: Versions
    fill: Mapping[str, str]
    book: _Book = field(default_factory=_Book)

    def columns(self, sql: str) -> dict[str, Array]:
        """Return a query's columns."""
        return _columns(self.lake, sql.format_map(self.fill), self.tables)

    def sums(self, sql: str, turns: int) -> dict[str, Array]:
        """Return the rows of all turns, with `movie` for movie_id."""
        parts = []
        for turn in range(turns):
            part = _columns(self.lake, self._turned(sql, turn, turns), self.tables)
            parts.append({"movie": self.book.numbers(part.pop("movie_id")), **part})
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def lists(self, turns: int) -> tuple[pd.DataFrame, Array]:
        """Return the lists' rows and their movies, (n, k) int32, -1 where a list is shorter."""
        rows, blocks = [], []
        for turn in range(turns):
            found = self.lake.query(self._turned(_LISTS, turn, turns), self.tables)
            names = ("user_id", "served_at", "latency_ms", "origin")
            numbers = {name: found.column(name).to_numpy() for name in names}
            # Who asks twice at once asks in one turn: in it, a row's place tells lists apart.
            rows.append(pd.DataFrame({**numbers, "number": np.arange(found.num_rows)}))
            blocks.append(_block(found.column("movie_ids").to_pylist(), self.book))
        width = max(block.shape[1] for block in blocks)
        movies = [np.pad(b, ((0, 0), (0, width - b.shape[1])), constant_values=-1) for b in blocks]
        origins = pd.DataFrame(self.columns(_ORIGINS))
        return _with_origins(pd.concat(rows, ignore_index=True), origins), np.concatenate(movies)

    def _turned(self, sql: str, turn: int, turns: int) -> str:
        return sql.format(**self.fill, turn=turn, turns=turns)


def _block(lists: Sequence[Sequence[str] | None], book: _Book) -> npt.NDArray[np.int32]:
    lengths = np.array([len(ids or ()) for ids in lists], np.int64)
    flat = np.array([movie for ids in lists for movie in ids or ()], object)
    block = np.full((len(lists), int(lengths.max(initial=1))), -1, np.int32)
    block[np.arange(block.shape[1]) < lengths[:, None]] = book.numbers(flat)
    return block


def _with_origins(rows: pd.DataFrame, origins: pd.DataFrame) -> pd.DataFrame:
    """Return rows with the texts of their origin, each text kept once."""
    place = rows.pop("origin").to_numpy()
    texts = {
        name: pd.Categorical(origins[name].fillna("")).take(place)
        for name in ("function_version", "model_version", "source")
    }
    return rows.assign(**texts, status=origins["status"].fillna(0).to_numpy()[place])


def _runtimes(lake: LakeReader, versions: Versions) -> dict[str, int]:
    """Return the catalog: runtime in minutes by movie id, 0 if unknown; empty without a table."""
    if MOVIES.name not in versions:
        return {}
    found = _columns(lake, _CATALOG, {MOVIES.name: versions[MOVIES.name]})
    return dict(zip(found["movie_id"].tolist(), found["minutes"].tolist(), strict=True))


def _columns(lake: LakeReader, sql: str, versions: Versions) -> dict[str, Array]:
    found = lake.query(sql, dict(versions))
    return {name: found.column(name).to_numpy() for name in found.column_names}


_NEWEST: Final = """
select cast(event_time as bigint) as at from events
where event_date >= {from_day} and event_time <= to_timestamp_micros({now_us})
order by event_time desc limit {n}
"""

_IN_WINDOW: Final = """
event_date >= {first_day} and event_date <= {until_day}
and event_time >= to_timestamp_micros({first_us}) and event_time <= to_timestamp_micros({until_us})
"""

_ANSWERS: Final = f"""
select coalesce(status, 0) status, count(*) n from events
where kind = 'recommend' and {_IN_WINDOW} group by 1 order by 1
"""  # noqa: S608  times

_ALL_RATINGS: Final = f"""
select count(*) n, coalesce(sum(rating), 0) total from events
where kind = 'rate' and rating is not null and {_IN_WINDOW}
"""  # noqa: S608  times

_CATALOG: Final = """
select movie_id, last_value(coalesce(runtime_minutes, 0) order by loaded_at) minutes
from movies where movie_id is not null group by movie_id
"""

_SERVED: Final = """
with lists as (
  select user_id, cast(served_at as bigint) served_at, recommendation_id, movie_ids,
         coalesce(latency_ms, cast('nan' as double)) latency_ms,
         coalesce(function_version, '') function_version,
         coalesce(model_version, '') model_version,
         coalesce(source, '') source, coalesce(status, 0) status
  from served
  where served_date >= {since_day} and served_date <= {until_day}
    and served_at >= to_timestamp_micros({since_us})
    and served_at <= to_timestamp_micros({until_us})
),
origins as (
  select cast(row_number() over (order by function_version, model_version, source, status) - 1
              as int) origin, *
  from (select distinct function_version, model_version, source, status from lists)
)
"""

_ORIGINS: Final = _SERVED + "select * from origins order by origin"  # noqa: S608  times

_LISTS: Final = f"""{_SERVED}
select l.user_id, l.served_at, l.latency_ms, o.origin, l.movie_ids
from lists l join origins o on l.function_version = o.function_version
  and l.model_version = o.model_version and l.source = o.source and l.status = o.status
where l.user_id % {{turns}} = {{turn}} order by l.served_at, l.recommendation_id
"""  # noqa: S608  numbers

_LINES: Final = f"""
lines as (
  select kind, user_id, movie_id, event_time, minute, rating, kafka_partition, kafka_offset
  from events
  where kind in ('watch', 'rate') and movie_id is not null and {_IN_WINDOW}
    and user_id in (select user_id from lists)
)
"""  # noqa: S608  times

_SIZES: Final = f"""{_SERVED}, {_LINES}
select (select count(*) from lists) lists, (select count(*) from lines) lines
"""  # noqa: S608  times

_WATCHED: Final = f"""{_SERVED}, {_LINES}
select user_id, movie_id, cast(min(event_time) as bigint) as first,
       cast(max(event_time) as bigint) as last, max(minute) minutes
from lines where kind = 'watch' and minute is not null and user_id % {{turns}} = {{turn}}
group by user_id, movie_id, cast(event_time as bigint) / {{slot_us}}
"""  # noqa: S608  numbers

# Two ratings in one second: the later in the log counts.
_RATED: Final = f"""{_SERVED}, {_LINES}
select user_id, movie_id, cast(event_time as bigint) as at,
       last_value(rating order by kafka_partition, kafka_offset) rating
from lines where kind = 'rate' and rating is not null and user_id % {{turns}} = {{turn}}
group by user_id, movie_id, event_time
"""  # noqa: S608  numbers
