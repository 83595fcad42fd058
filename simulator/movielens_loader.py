"""Load a MovieLens folder as a world: its users, its films, preferences fitted to its ratings.

Preferences are fitted rather than replayed: a recommender will show films that a user has never
rated (96 of 100 pairs in MovieLens 1M), and only a fitted model scores those.

Reads the layouts of ml-1m (`users.dat`, `movies.dat`, `ratings.dat` or `ratings.csv.gz`), ml-100k
(`u.user`, `u.item`, `u.data`) and ml-latest-small (`movies.csv`, `ratings.csv`; users are
generated). What MovieLens lacks (runtimes, release days) is generated, by the seed.
"""

import csv
import gzip
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from movierec.errors import UsageError
from simulator import film_catalog, film_titles, movielens_fit, user_demographics
from simulator.film_catalog import GENRES
from simulator.film_titles import Title
from simulator.preferences import FAVOURITE_NICHES
from simulator.synthetic_world import World
from simulator.user_demographics import GENDERS, MAX_AGE, MIN_AGE, OCCUPATIONS, UserDemographics

Array = npt.NDArray[Any]

# The fit holds users x films as a dense matrix: this many cells are 800 MB.
_MAX_CELLS: Final = 200_000_000

_GENRE_BITS: Final = {name: 1 << i for i, (name, _) in enumerate(GENRES)}
_OTHER_NAMES: Final = {
    "Children's": "Family", "Children": "Family", "Sci-Fi": "Science Fiction",
    "Film-Noir": "Crime", "Musical": "Music",
}  # fmt: skip

_100K_GENRES: Final = (
    "unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary",
    "Drama", "Fantasy", "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi",
    "Thriller", "War", "Western",
)  # fmt: skip

# MovieLens 100K's occupations where they differ from 1M's.
_100K_OCCUPATIONS: Final = {
    "administrator": "clerical/admin", "artist": "artist", "doctor": "doctor/health care",
    "educator": "academic/educator", "engineer": "technician/engineer",
    "entertainment": "artist", "executive": "executive/managerial",
    "healthcare": "doctor/health care", "homemaker": "homemaker", "lawyer": "lawyer",
    "librarian": "academic/educator", "marketing": "sales/marketing", "none": "unemployed",
    "other": "other or not specified", "programmer": "programmer", "retired": "retired",
    "salesman": "sales/marketing", "scientist": "scientist", "student": "college/grad student",
    "technician": "technician/engineer", "writer": "writer",
}  # fmt: skip

# MovieLens 1M gives the lower end of an age band; the upper ends follow.
_BAND_ENDS: Final = {1: 17, 18: 24, 25: 34, 35: 44, 45: 49, 50: 55, 56: 80}


@dataclass(frozen=True, slots=True)
class _Raw:
    """A folder as read: films by their number there, users or None, ratings as (user, film, r)."""

    film_numbers: Sequence[int]
    titles: Sequence[Title]
    genres: Array
    users: Callable[[np.random.Generator], UserDemographics] | None
    ratings: Array


def load(folder: Path, seed: int) -> World:
    """Return the world of a MovieLens folder. Raises UsageError when the folder is none."""
    try:
        raw = _read(folder)
    except (OSError, ValueError, IndexError, KeyError) as exc:
        raise UsageError(f"--movielens {folder}: cannot be read as MovieLens: {exc!r}") from exc
    film_rng, user_rng, preference_rng = (np.random.default_rng([seed, part]) for part in range(3))
    catalog = film_catalog.fill_attributes(raw.titles, raw.genres, film_rng, adult_share=0.0)
    ratings = _by_row(raw)
    count = int(ratings[:, 0].max()) + 1
    demographics = raw.users(user_rng) if raw.users else user_demographics.generate(count, user_rng)
    if len(catalog) < FAVOURITE_NICHES:
        raise UsageError(f"--movielens {folder}: {len(catalog)} films make no catalog")
    if len(demographics) * len(catalog) > _MAX_CELLS:
        raise UsageError(
            f"--movielens {folder}: {len(demographics):,} users x {len(catalog):,} films are "
            "too many to fit preferences to: use ml-1m, ml-100k or ml-latest-small"
        )
    return World(
        demographics, catalog, movielens_fit.fit(ratings, demographics, catalog, preference_rng)
    )


def _read(folder: Path) -> _Raw:
    for marker, read in (
        ("movies.dat", _read_1m),
        ("u.item", _read_100k),
        ("movies.csv", _read_small),
    ):
        if (folder / marker).exists():
            return read(folder)
    raise UsageError(
        f"--movielens {folder}: has no movies.dat (ml-1m), u.item (ml-100k) "
        "or movies.csv (ml-latest-small)"
    )


def _by_row(raw: _Raw) -> Array:
    """Return ratings as (row of the user, row of the film, rating), float64."""
    row_of = {number: row for row, number in enumerate(raw.film_numbers)}
    ratings = raw.ratings.copy()
    ratings[:, 0] -= 1
    ratings[:, 1] = [row_of[int(number)] for number in raw.ratings[:, 1]]
    return ratings


def _rows(path: Path, delimiter: str) -> Iterator[list[str]]:
    """Yield the fields of each line; MovieLens' older files are latin-1."""
    with path.open(encoding="latin-1", newline="") as file:
        for line in file:
            yield line.rstrip("\r\n").split(delimiter)


def _genre_mask(names: Sequence[str]) -> int:
    bits = (_GENRE_BITS.get(_OTHER_NAMES.get(name, name), 0) for name in names)
    return sum(set(bits))


def _read_1m(folder: Path) -> _Raw:
    rows = list(_rows(folder / "movies.dat", "::"))
    user_rows = list(_rows(folder / "users.dat", "::"))
    age = np.array([int(row[2]) for row in user_rows])
    gender = np.array([GENDERS.index(row[1]) for row in user_rows], np.uint8)
    occupation = np.array([int(row[3]) for row in user_rows], np.uint8)
    return _Raw(
        film_numbers=[int(row[0]) for row in rows],
        titles=[film_titles.from_movielens(row[1]) for row in rows],
        genres=np.array([_genre_mask(row[2].split("|")) for row in rows]),
        users=lambda rng: UserDemographics(_ages(age, rng), gender, occupation),
        ratings=_ratings_1m(folder),
    )


def _ages(bands: Array, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Return an age within each band, of which the lower end is given."""
    ends = np.array([_BAND_ENDS[int(low)] for low in bands])
    return rng.integers(np.maximum(bands, MIN_AGE), ends + 1).astype(np.uint8)


def _ratings_1m(folder: Path) -> Array:
    packed = folder / "ratings.csv.gz"
    if packed.exists():
        with gzip.open(packed, "rt", encoding="ascii") as file:
            return np.loadtxt(file, delimiter=",", skiprows=1, usecols=(0, 1, 2))
    rows = _rows(folder / "ratings.dat", "::")
    return np.array([[float(field) for field in row[:3]] for row in rows])


def _read_100k(folder: Path) -> _Raw:
    rows = list(_rows(folder / "u.item", "|"))
    user_rows = list(_rows(folder / "u.user", "|"))
    age = np.clip([int(row[1]) for row in user_rows], MIN_AGE, MAX_AGE).astype(np.uint8)
    gender = np.array([GENDERS.index(row[2]) for row in user_rows], np.uint8)
    jobs = [OCCUPATIONS.index(_100K_OCCUPATIONS[row[3]]) for row in user_rows]
    flagged = (
        [name for name, f in zip(_100K_GENRES, row[5:], strict=True) if f == "1"] for row in rows
    )
    return _Raw(
        film_numbers=[int(row[0]) for row in rows],
        titles=[film_titles.from_movielens(row[1]) for row in rows],
        genres=np.array([_genre_mask(names) for names in flagged]),
        users=lambda _rng: UserDemographics(age, gender, np.array(jobs, np.uint8)),
        ratings=np.loadtxt(folder / "u.data", usecols=(0, 1, 2)),
    )


def _read_small(folder: Path) -> _Raw:
    with (folder / "movies.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))[1:]
    ratings = np.loadtxt(folder / "ratings.csv", delimiter=",", skiprows=1, usecols=(0, 1, 2))
    return _Raw(
        film_numbers=[int(row[0]) for row in rows],
        titles=[film_titles.from_movielens(row[1]) for row in rows],
        genres=np.array([_genre_mask(row[2].split("|")) for row in rows]),
        users=None,
        ratings=ratings,
    )
