"""A lake of a large site on local disk: the same rows for the same size, whatever the machine.

Users differ in activity (log-normal) and movies in popularity (Zipf's law, flattened at the top as
in MovieLens), half of the choices follow one of some tastes. 1.2 rows an interaction: a movie is
watched again, or rated. A day is one commit, and one file for each kind of event.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from movierec.aws.delta_lake import DeltaLake
from movierec.lake.schema import EVENTS, MOVIES, USERS, Columns

_FIRST_DAY: Final = np.datetime64("2026-09-01", "us")
_DAYS: Final = 60
_DAY_US: Final = 86_400_000_000
_TASTES: Final = 20
_SIGMA: Final = 1.0
_ZIPF: Final = 0.9
_FLAT: Final = 30
_AGAIN: Final = 0.05
_RATED: Final = 0.08
# Of the draws, so many meet a user's earlier one: found by trying, at 50 million interactions.
_REPEATED: Final = 0.06

Rng = np.random.Generator
Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Site:
    """How large the site is."""

    users: int
    movies: int
    interactions: int

    @classmethod
    def of(cls, millions: float) -> "Site":
        """Return the site that many million interactions are of."""
        interactions = int(millions * 1e6)
        return cls(max(1_000, interactions // 50), min(27_000, 5_000 + interactions // 1_000),
                   interactions)  # fmt: skip


class _Choices:
    """Draws users, and movies to their tastes."""

    def __init__(self, site: Site, rng: Rng) -> None:
        activity = rng.lognormal(0, _SIGMA, site.users)
        weights = 1 / (np.arange(site.movies) + _FLAT) ** _ZIPF
        self._activity = np.cumsum(activity / activity.sum())
        self._popularity = np.cumsum(weights / weights.sum())
        self._tastes = np.array([rng.permutation(site.movies) for _ in range(_TASTES)], np.int32)

    def draw(self, n: int, rng: Rng) -> tuple[Array, Array]:
        """Return users and movies, (n,), as numbers from 0."""
        users = np.searchsorted(self._activity, rng.random(n)).clip(max=len(self._activity) - 1)
        ranks = np.searchsorted(self._popularity, rng.random(n))
        ranks = ranks.clip(max=self._tastes.shape[1] - 1)
        # Rank 0 of the site's list is movie 0; a taste has a list of its own.
        own = rng.random(n) < 1 / 2
        return users, np.where(own, self._tastes[users % _TASTES, ranks], ranks).astype(np.int32)


def generate(folder: Path, site: Site) -> int:
    """Write the lake and return its rows of events."""
    rng = np.random.default_rng(site.interactions)
    lake, choices = DeltaLake(str(folder)), _Choices(site, rng)
    lake.append(MOVIES.name, [_catalog(site, rng)], transactions={})
    lake.append(USERS.name, [_people(site, rng)], transactions={})
    rows, names = 0, pl.Series([name_of(i) for i in range(site.movies)])
    draws = int(site.interactions / (1 - _REPEATED) / _DAYS)
    for day in range(_DAYS):
        batches = list(_day(day, choices, draws, rng, names=names, offset=rows))
        rows += sum(len(batch["user_id"]) for batch in batches)
        lake.append(EVENTS.name, batches, transactions={"bench": rows})
    return rows


def name_of(movie: int) -> str:
    """Return a movie's id."""
    return f"movie+{movie:05}+{1930 + movie % 90}"


def _day(
    day: int, choices: _Choices, draws: int, rng: Rng, *, names: pl.Series, offset: int
) -> Iterator[Columns]:
    users, movies = choices.draw(draws, rng)
    again = np.flatnonzero(rng.random(draws) < _AGAIN)
    rated = np.flatnonzero(rng.random(draws) < _RATED)
    at = _FIRST_DAY + np.sort(rng.integers(0, _DAY_US, draws)) + day * _DAY_US
    watched = np.concatenate((np.arange(draws), again))
    minutes = rng.integers(0, 120, len(watched), np.int32)
    for kind, rows, column, values in (
        ("watch", watched, "minute", minutes),
        ("rate", rated, "rating", rng.integers(1, 6, len(rated), np.int16)),
    ):
        n = len(rows)
        yield {
            "kind": pl.repeat(kind, n, eager=True),
            "event_date": np.full(n, at[0], "datetime64[D]"),
            "event_time": at[rows],
            "user_id": users[rows] + 1,
            "movie_id": names.gather(movies[rows]),
            column: values,
            "kafka_partition": np.zeros(n, np.int32),
            "kafka_offset": np.arange(offset, offset + n),
            "topic": pl.repeat("movielog1", n, eager=True),
            "time_basis": pl.repeat("found", n, eager=True),
        }
        offset += n


def _catalog(site: Site, rng: Rng) -> Columns:
    return {
        "movie_id": [name_of(i) for i in range(site.movies)],
        "title": [f"Movie {i}" for i in range(site.movies)],
        "runtime_minutes": rng.integers(80, 140, site.movies, np.int32),
        "adult": (rng.random(site.movies) < 0.02).astype(np.int16),  # noqa: PLR2004  one in fifty
        "loaded_at": np.full(site.movies, _FIRST_DAY),
    }


def _people(site: Site, rng: Rng) -> Columns:
    return {
        "user_id": np.arange(1, site.users + 1),
        "age": rng.integers(8, 80, site.users, np.int16),
        "gender": pl.Series(["F", "M"]).gather(rng.integers(0, 2, site.users)),
        "loaded_at": np.full(site.users, _FIRST_DAY),
    }
