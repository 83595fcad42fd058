"""Check parsed events against ranges and the catalog, a column at a time."""

from collections.abc import Iterator, Mapping

import numpy as np
import polars as pl

from ingest_worker.line_fields import Ints, Mask
from ingest_worker.line_parser import Events, Parsed
from movierec.lake.log_lines import Catalog, Limits, Reason
from movierec.lake.plausible_times import PlausibleTimes
from movierec.model.rating_scale import RatingScale
from movierec.model.user_id import max_user_id

DAY_US = 86_400_000_000
"""How far a line's time may be past its record's, whatever the site's zone."""


def limits_from_env(env: Mapping[str, str]) -> Limits:
    """Return the limits that the environment sets. Raises ConfigError."""
    scale = RatingScale.from_env(env)
    earliest = PlausibleTimes.from_env(env).earliest
    return Limits(max_user_id(env), scale.lowest, scale.highest, earliest)


def validate(parsed: Parsed, limits: Limits, catalog: Catalog | None, recorded_us: Ints) -> Parsed:
    """Reject the events that break a range, or name a movie that the catalog does not have.

    `recorded_us` is the time of each line's record in microseconds, shape (number of lines,). Of
    several reasons the first counts, and an unknown movie last: such a line has no other fault.
    """
    known = None if catalog is None else _KnownMovies(catalog)
    for rows in parsed.events:
        for reason, broken in _broken_rules(rows, limits, known, recorded_us[rows.lines]):
            if broken.any():
                parsed = parsed.reject(_marked(rows.lines[broken], len(parsed.codes)), reason)
    return parsed


def _marked(lines: Ints, count: int) -> Mask:
    marked = np.zeros(count, np.bool_)
    marked[lines] = True
    return marked


class _KnownMovies:
    """The catalog's movies by number, in the order of their ids."""

    def __init__(self, catalog: Catalog) -> None:
        runtimes = catalog.runtime_minutes
        self._ids = pl.Enum(list(runtimes))
        # One more at the end: of every unknown movie.
        self._runtimes = np.array([*runtimes.values(), _UNKNOWN], np.int64)

    def runtimes(self, movie_ids: pl.Series) -> Ints:
        """Return the runtime in minutes of each movie, 0 without one, `_UNKNOWN` without movie."""
        number = movie_ids.cast(self._ids, strict=False).to_physical().cast(pl.Int64)
        runtimes: Ints = self._runtimes[number.fill_null(-1).to_numpy()]
        return runtimes


_UNKNOWN = -1


def _broken_rules(
    rows: Events, limits: Limits, known: _KnownMovies | None, recorded_us: Ints
) -> Iterator[tuple[Reason, Mask]]:
    """Yield which rows, shape (n,), break which rule; the first reason that applies counts."""
    earliest_us = np.datetime64(limits.earliest, "us").astype(np.int64)
    outside = (rows.local_us < earliest_us) | (rows.local_us > recorded_us + DAY_US)
    yield Reason.TIME_OUT_OF_RANGE, outside
    yield Reason.USER_OUT_OF_RANGE, np.asarray(rows.columns["user_id"]) > limits.max_user_id
    if "rating" in rows.columns:
        rating = np.asarray(rows.columns["rating"])
        outside = (rating < limits.min_rating) | (rating > limits.max_rating)
        yield Reason.RATING_OUT_OF_RANGE, outside
    if known is not None:
        yield from _broken_by_catalog(rows, known)


def _broken_by_catalog(rows: Events, known: _KnownMovies) -> Iterator[tuple[Reason, Mask]]:
    if "movie_ids" in rows.columns:
        yield Reason.UNKNOWN_MOVIE, _names_unknown(pl.Series(rows.columns["movie_ids"]), known)
    if "movie_id" not in rows.columns:
        return
    runtime = known.runtimes(pl.Series(rows.columns["movie_id"]))
    yield Reason.UNKNOWN_MOVIE, runtime == _UNKNOWN
    if "minute" in rows.columns:
        # The site counts one minute past the end.
        late = (runtime > 0) & (np.asarray(rows.columns["minute"]) > runtime + 1)
        yield Reason.MINUTE_OUT_OF_RANGE, late


def _names_unknown(movie_ids: pl.Series, known: _KnownMovies) -> Mask:
    """Return which lists name an unknown movie."""
    sizes = movie_ids.list.len().to_numpy()
    row = np.repeat(np.arange(len(sizes)), sizes)
    unknown = known.runtimes(movie_ids.explode(empty_as_null=False)) == _UNKNOWN
    return _marked(row[unknown], len(sizes))
