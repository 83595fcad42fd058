"""The catalog: films in columns, and their synthetic attributes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from simulator import film_titles
from simulator.film_titles import Title

Array = npt.NDArray[Any]
Index = Mapping[str, int]

GENRES: Final = (
    ("Action", 28), ("Adventure", 12), ("Animation", 16), ("Comedy", 35), ("Crime", 80),
    ("Documentary", 99), ("Drama", 18), ("Family", 10751), ("Fantasy", 14), ("Foreign", 10769),
    ("History", 36), ("Horror", 27), ("Music", 10402), ("Mystery", 9648), ("Romance", 10749),
    ("Science Fiction", 878), ("Thriller", 53), ("War", 10752), ("Western", 37),
)  # fmt: skip
"""Name and number of each genre, as the site's movie API spells them."""

# One film in 80: enough that a list for minors must really leave some out.
_ADULT_SHARE: Final = 1 / 80
_SERIES_SHARE: Final = 0.01
_NO_YEAR_SHARE: Final = 0.01
_FIRST_YEAR: Final = 1920
LAST_YEAR: Final = 2025


@dataclass(frozen=True)
class FilmCatalog:
    """m films: `ids` are unique; arrays have the shape (m,).

    `genres` is a bit mask over GENRES; `quality` is how good a film is to everybody, about
    N(0, 1); `day` is the day of the year that it came out.
    """

    ids: Sequence[str]
    titles: Sequence[Title]
    runtime_minutes: Array
    genres: Array
    adult: Array
    quality: Array
    day: Array
    language: Array

    def __len__(self) -> int:
        """Return the number of films."""
        return len(self.ids)

    @cached_property
    def index(self) -> Index:
        """Return each id's row."""
        return {name: i for i, name in enumerate(self.ids)}

    @cached_property
    def runtimes(self) -> Mapping[str, int]:
        """Return each id's runtime in minutes."""
        return dict(zip(self.ids, self.runtime_minutes.tolist(), strict=True))


def genre_names(mask: int) -> list[str]:
    """Return the names of the genres in a bit mask."""
    return [name for i, (name, _) in enumerate(GENRES) if mask >> i & 1]


def generate(genres: Array, rng: np.random.Generator) -> FilmCatalog:
    """Return a film for each genre mask in `genres`, (m,)."""
    age = rng.gamma(1.6, 14.0, len(genres)).astype(np.int64)
    years = np.maximum(LAST_YEAR - age, _FIRST_YEAR)
    years[rng.random(len(genres)) < _NO_YEAR_SHARE] = film_titles.UNKNOWN_YEAR
    return fill_attributes(
        film_titles.generate(years.tolist(), rng), genres, rng, adult_share=_ADULT_SHARE
    )


def fill_attributes(
    named: Sequence[Title], genres: Array, rng: np.random.Generator, *, adult_share: float
) -> FilmCatalog:
    """Return films of these titles and genres, all other attributes drawn at random."""
    count = len(named)
    language = np.where(rng.random(count) < 0.7, 0, rng.integers(1, 8, count))  # noqa: PLR2004
    return FilmCatalog(
        ids=film_titles.unique_ids(named),
        titles=named,
        runtime_minutes=_runtimes(count, rng),
        genres=genres,
        adult=rng.random(count) < adult_share,
        quality=rng.normal(0.0, 1.0, count).astype(np.float32),
        day=rng.integers(0, 365, count),
        language=language,
    )


def _runtimes(count: int, rng: np.random.Generator) -> Array:
    """Return runtimes: features around 100 minutes, some shorts, a few series of many hours."""
    minutes = np.clip(rng.normal(102, 20, count), 60, 240)
    kind = rng.random(count)
    shorts = kind < 0.05  # noqa: PLR2004  one film in twenty
    minutes[shorts] = rng.uniform(5, 45, int(shorts.sum()))
    series = kind > 1 - _SERIES_SHARE
    minutes[series] = rng.uniform(300, 1200, int(series.sum()))
    return minutes.astype(np.int32)
