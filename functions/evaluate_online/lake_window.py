"""Read one window's lists, viewings and ratings from the lake with SQL, aggregated.

Every query pins the tables' versions, so that an evaluation can be repeated. The dialect is Apache
DataFusion's, in delta-rs. A day of a busy site is 1.7 million lists and 40 million watch lines:
lines are aggregated by user, movie and time slot (see `outcomes`), and both are read in batches of
users, as numbers. A young lake is hundreds of small files, each a few requests to S3 at every
scan: so there is as little as one query a table.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd
from pandas.api.types import union_categoricals

from functions.evaluate_online import quality_metrics
from functions.evaluate_online.outcomes import us
from movierec.lake.ports import LakeReader
from movierec.lake.queries import ASSUMED_CLOCK, Array, columns, present_versions
from movierec.lake.schema import EVENTS, MOVIES, SERVED
from movierec.lake.served import microseconds
from movierec.model import dataset, rating_scale
from movierec.model.license_cost import Costs
from movierec.model.rating_scale import RatingScale

Versions = Mapping[str, int]

# Allowed lateness: 1 line in 100 reaches the log up to 15 s after later ones.
_UNDER_WAY: Final = timedelta(seconds=15)
# The watermark needs this many lines past it: fewer may have a wrong clock.
_WITNESSES: Final = 10
# How far back the newest lines are searched for: the first is nearly always enough, and saves a
# scan of the last two days.
_LOOK_BACKS: Final = (timedelta(minutes=15), timedelta(days=2))

# 10 million lines aggregated, or 100,000 lists of 20 texts, take some 0.6 GB of the Lambda's 3.
_BATCH_LINES: Final = 10_000_000
_BATCH_LISTS: Final = 100_000


@dataclass(frozen=True, slots=True)
class Window:
    """The time span to read: its lists, and what their users did in it."""

    since: datetime
    until: datetime
    horizon_s: float
    scale: RatingScale = rating_scale.NATIVE

    def fill(self) -> dict[str, str]:
        """Return the values for every query's placeholders."""
        # A line's time may be a second before that of the list that it followed.
        first = self.since - timedelta(seconds=1)
        return {
            "since_us": str(microseconds(self.since)),
            "first_us": str(microseconds(first)),
            "until_us": str(microseconds(self.until)),
            "since_day": day(self.since),
            "first_day": day(first),
            "until_day": day(self.until),
            "slot_us": str(us(self.horizon_s)),
        }


def day(at: datetime) -> str:
    """Return a time's UTC day as SQL."""
    return f"date '{at.astimezone(UTC):%Y-%m-%d}'"


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """Lists and what their users did; frames as `outcomes` takes them, in any order."""

    rows: pd.DataFrame
    movies: Array
    viewings: pd.DataFrame
    ratings: pd.DataFrame
    known: quality_metrics.Movies


@dataclass(frozen=True, slots=True)
class SiteView:
    """The site's own log of the window, for all users."""

    answers: Mapping[int, int]
    """Recommendation requests by status."""
    average_rating: float | None
    """On the scale 1 to 5."""
    lines: int
    """Number of watch and rating lines."""


def pin(lake: LakeReader) -> dict[str, int]:
    """Return the present version of each table that exists."""
    return present_versions(lake, (EVENTS, MOVIES, SERVED))


def watermark(lake: LakeReader, versions: Versions, now: datetime) -> datetime | None:
    """Return the time until which the lake has the users' events; None without recent lines.

    Lines from the future or on an assumed clock are ignored, and no single line moves it.
    """
    if EVENTS.name not in versions:
        return None
    newest = np.empty(0, np.int64)
    for back in _LOOK_BACKS:
        if len(newest) < _WITNESSES:
            newest = _newest(lake, versions, now - back, now)
    if not len(newest):
        return None
    return datetime.fromtimestamp(int(newest.min()) / 1_000_000, UTC) - _UNDER_WAY


def _newest(lake: LakeReader, versions: Versions, since: datetime, now: datetime) -> Array:
    """Return the times of the newest lines in a span of time, microseconds since 1970."""
    sql = _NEWEST.format(
        from_day=day(since), from_us=microseconds(since), now_us=microseconds(now), n=_WITNESSES
    )
    return columns(lake, sql, {EVENTS.name: versions[EVENTS.name]})["at"]


def read_site(lake: LakeReader, versions: Versions, window: Window) -> SiteView:
    """Return what the site logged in the window. Needs `events`."""
    events = {EVENTS.name: versions[EVENTS.name]}
    found = pd.DataFrame(columns(lake, _SITE.format_map(window.fill()), events))
    asked = found["kind"] == "recommend"
    acted = found["kind"].isin(["watch", "rate"])
    by_status = zip(found["status"][asked].tolist(), found["lines"][asked].tolist(), strict=True)
    rated = int(found["rated"].sum())
    stars = np.array([found["stars"].sum()]) / max(rated, 1)
    return SiteView(
        answers=dict(by_status),
        average_rating=float(window.scale.native(stars)[0]) if rated else None,
        lines=int(found["lines"][acted].sum()),
    )


def read_evidence(
    lake: LakeReader,
    versions: Versions,
    window: Window,
    *,
    lines: int,
    batch_lines: int = _BATCH_LINES,
    batch_lists: int = _BATCH_LISTS,
) -> Evidence:
    """Return lists, viewings and ratings of the window. Needs `events` and `served`.

    `lines` is about the number of the window's lines, from which the number of batches follows.
    """
    tables = {name: versions[name] for name in (EVENTS.name, SERVED.name)}
    reading = _Reading(lake, tables, window.fill())
    rows, movies = reading.lists(batch_lists)
    batches, book = 1 + lines // batch_lines, reading.book
    watched, ratings = reading.sums(_WATCHED, batches), reading.sums(_RATED, batches)
    catalog = _catalog(lake, versions)
    runtimes = np.array([catalog.minutes.get(movie, 0) for movie in book.movie_ids], np.int32)
    share = dataset.watched_share(watched.pop("minutes"), watched["movie"], runtimes)
    viewings = pd.DataFrame({**watched, "share": share})
    return Evidence(
        rows=rows,
        movies=movies,
        viewings=viewings,
        ratings=pd.DataFrame(ratings).assign(rating=window.scale.native(ratings["rating"])),
        known=quality_metrics.Movies(
            in_catalog=np.array([movie in catalog.minutes for movie in book.movie_ids], np.bool_),
            catalog_size=len(catalog.minutes),
            surprise_bits=quality_metrics.surprise_bits(viewings, len(book.movie_ids)),
            cost_usd=catalog.costs_of(book.movie_ids),
        ),
    )


class _IdCodebook:
    """Assigns numbers to movie ids in order of appearance, to save the memory of the texts."""

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
    """One window's queries, and the codebook of their movie ids."""

    lake: LakeReader
    tables: Versions
    fill: Mapping[str, str]
    book: _IdCodebook = field(default_factory=_IdCodebook)

    def sums(self, sql: str, batches: int) -> dict[str, Array]:
        """Return the rows of all batches, with `movie` for movie_id."""
        parts = []
        for batch in range(batches):
            part = columns(self.lake, self._filled(sql, batch, batches), self.tables)
            parts.append({"movie": self.book.numbers(part.pop("movie_id")), **part})
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def lists(self, batch_lists: int) -> tuple[pd.DataFrame, Array]:
        """Return the lists' rows and their movies, (n, k) int32, -1 where a list is shorter."""
        count = columns(self.lake, _COUNT.format_map(self.fill), self.tables)["lists"]
        batches = 1 + int(count[0]) // batch_lists
        rows, blocks = [], []
        for batch in range(batches):
            found = self.lake.query(self._filled(_LISTS, batch, batches), self.tables)
            # A user's lists are all in one batch: its row numbers distinguish those of one moment.
            rows.append(_rows(found).assign(number=np.arange(found.num_rows)))
            blocks.append(_block(found.column("movie_ids").to_pylist(), self.book))
        width = max(block.shape[1] for block in blocks)
        movies = [np.pad(b, ((0, 0), (0, width - b.shape[1])), constant_values=-1) for b in blocks]
        return _joined(rows), np.concatenate(movies)

    def _filled(self, sql: str, batch: int, batches: int) -> str:
        return sql.format(**self.fill, batch=batch, batches=batches)


def _block(lists: Sequence[Sequence[str] | None], book: _IdCodebook) -> npt.NDArray[np.int32]:
    lengths = np.array([len(ids or ()) for ids in lists], np.int64)
    flat = np.array([movie for ids in lists for movie in ids or ()], object)
    block = np.full((len(lists), int(lengths.max(initial=1))), -1, np.int32)
    block[np.arange(block.shape[1]) < lengths[:, None]] = book.numbers(flat)
    return block


def _rows(found: Any) -> pd.DataFrame:  # noqa: ANN401  arro3's Table
    """Return a batch's lists without their movies; texts are categoricals."""
    numbers = {name: found.column(name).to_numpy() for name in _NUMBERS}
    texts = {name: pd.Categorical(found.column(name).to_numpy()) for name in _TEXTS}
    return pd.DataFrame({**numbers, **texts})


def _joined(batches: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Return the rows of all batches; `concat` alone would turn categoricals into objects."""
    texts = {
        name: union_categoricals([rows[name] for rows in batches], sort_categories=True)
        for name in _TEXTS
    }
    return pd.concat(batches, ignore_index=True).assign(**texts)


@dataclass(frozen=True, slots=True, eq=False)
class _Catalog:
    """Facts by movie id; empty without a table."""

    minutes: Mapping[str, int]
    """0 if unknown."""
    cost_usd: Mapping[str, float]
    """Of all movies, or of none if no cost is known."""
    median_usd: float = 0.0

    def costs_of(self, movie_ids: Sequence[str]) -> Array:
        """Return the cost of each movie, of length 0 if no cost is known."""
        if not self.cost_usd:
            return np.zeros(0)
        return np.array([self.cost_usd.get(movie, self.median_usd) for movie in movie_ids])


def _catalog(lake: LakeReader, versions: Versions) -> _Catalog:
    if MOVIES.name not in versions:
        return _Catalog({}, {})
    found = columns(lake, _CATALOG, {MOVIES.name: versions[MOVIES.name]})
    ids = found["movie_id"].tolist()
    minutes = dict(zip(ids, found["minutes"].tolist(), strict=True))
    costs = Costs.of(found["cost"])
    if costs is None:
        return _Catalog(minutes, {})
    by_id = dict(zip(ids, costs.usd.tolist(), strict=True))
    return _Catalog(minutes, by_id, costs.median_usd)


_NUMBERS: Final = ("user_id", "served_at", "latency_ms", "status")
_TEXTS: Final = ("function_version", "model_version", "source")

_NEWEST: Final = f"""
select cast(event_time as bigint) as at from events
where event_date >= {{from_day}} and event_time >= to_timestamp_micros({{from_us}})
  and event_time <= to_timestamp_micros({{now_us}}) and not {ASSUMED_CLOCK}
order by event_time desc limit {{n}}
"""  # noqa: S608  ours

_IN_WINDOW: Final = """
event_date >= {first_day} and event_date <= {until_day}
and event_time >= to_timestamp_micros({first_us}) and event_time <= to_timestamp_micros({until_us})
"""

_SITE: Final = f"""
select kind, coalesce(status, 0) status, count(*) lines, count(rating) rated,
       coalesce(sum(rating), 0) stars
from events where {_IN_WINDOW} group by 1, 2 order by 1, 2
"""  # noqa: S608  times

_CATALOG: Final = """
select movie_id, last_value(coalesce(runtime_minutes, 0) order by loaded_at) minutes,
       last_value(coalesce(cost_usd, cast('nan' as double)) order by loaded_at) cost
from movies where movie_id is not null group by movie_id
"""

SERVED_IN_WINDOW: Final = """
from served
where served_date >= {since_day} and served_date <= {until_day}
  and served_at >= to_timestamp_micros({since_us})
  and served_at <= to_timestamp_micros({until_us})
"""

_COUNT: Final = f"select count(*) lists {SERVED_IN_WINDOW}"

_LISTS: Final = f"""
select user_id, cast(served_at as bigint) served_at, movie_ids,
       coalesce(latency_ms, cast('nan' as double)) latency_ms, coalesce(status, 0) status,
       coalesce(function_version, '') function_version,
       coalesce(model_version, '') model_version, coalesce(source, '') source
{SERVED_IN_WINDOW} and user_id % {{batches}} = {{batch}} order by served_at, recommendation_id
"""

_LINES: Final = f"""
from events
where movie_id is not null and {_IN_WINDOW} and user_id % {{batches}} = {{batch}}
  and user_id in (select user_id {SERVED_IN_WINDOW}) and not {ASSUMED_CLOCK}
"""

_WATCHED: Final = f"""
select user_id, movie_id, cast(min(event_time) as bigint) as first,
       cast(max(event_time) as bigint) as last, max(minute) minutes
{_LINES} and kind = 'watch' and minute is not null
group by user_id, movie_id, cast(event_time as bigint) / {{slot_us}}
"""

# Two ratings in one second: the later in the log counts.
_RATED: Final = f"""
select user_id, movie_id, cast(event_time as bigint) as at,
       last_value(rating order by kafka_partition, kafka_offset) rating
{_LINES} and kind = 'rate' and rating is not null
group by user_id, movie_id, event_time
"""
