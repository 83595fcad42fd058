"""Films and users that come later: each resembles one of the first, so that preferences fit.

Film i and user j of a seed are the same in every process, however it got there.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from simulator import film_catalog, film_titles, preferences
from simulator.film_catalog import FilmCatalog
from simulator.film_titles import Title
from simulator.preferences import Preferences
from simulator.synthetic_world import World
from simulator.user_demographics import UserDemographics

Array = npt.NDArray[Any]

_FILM: Final = 101
_USER: Final = 102

# Of the factors' own spread: near enough to be in the same niches.
_NOISE: Final = 0.3
# A new film is about as popular as one of the best-known five in a hundred.
_WELL_KNOWN: Final = 0.05

# Users come one by one: their columns are extended by so many at once.
_USERS_A_BLOCK: Final = 256


class GrowingWorld:
    """A world to which films and users are added."""

    def __init__(self, base: World, seed: int) -> None:
        self.base, self._seed = base, seed
        self.world = base
        self._by_popularity = np.sort(base.preferences.popularity)[::-1]

    def grow(self, films: int, users: int) -> World:
        """Return the world with at least so many films and users more than the base has.

        Films are added to the end, users too; nobody is ever taken away.
        """
        base = self.base
        films_more = films - (len(self.world.films) - len(base.films))
        users_more = users - (len(self.world.users) - len(base.users))
        if films_more > 0:
            self.world = self._with_films(films_more)
        if users_more > 0:
            blocks = -(-users_more // _USERS_A_BLOCK)
            self.world = self._with_users(blocks * _USERS_A_BLOCK)
        return self.world

    def _rngs(self, part: int, first: int, count: int) -> list[np.random.Generator]:
        numbers = range(first, first + count)
        return [np.random.default_rng([self._seed, part, number]) for number in numbers]

    def _with_films(self, count: int) -> World:
        base, films, hidden = self.base, self.world.films, self.world.preferences
        rngs = self._rngs(_FILM, len(films) - len(base.films), count)
        like = np.array([int(rng.integers(len(base.films))) for rng in rngs])
        titles = _new_titles(films.index, rngs)
        quality = np.array([rng.normal() for rng in rngs], np.float32)
        known = np.array([_WELL_KNOWN * rng.random() ** 2 for rng in rngs])
        catalog = FilmCatalog(
            ids=[*films.ids, *map(film_titles.movie_id, titles)],
            titles=[*films.titles, *titles],
            runtime_minutes=_joined(films.runtime_minutes, base.films.runtime_minutes[like]),
            genres=_joined(films.genres, base.films.genres[like]),
            adult=_joined(films.adult, base.films.adult[like]),
            quality=_joined(films.quality, quality),
            day=_joined(films.day, np.array([int(rng.integers(365)) for rng in rngs])),
            language=_joined(films.language, base.films.language[like]),
        )
        grown = dataclasses.replace(
            hidden,
            film_factors=_joined(
                hidden.film_factors, _near(base.preferences.film_factors, like, rngs)
            ),
            film_bias=_joined(hidden.film_bias, preferences.film_bias(quality)),
            popularity=_joined(
                hidden.popularity, self._by_popularity[(known * len(base.films)).astype(np.int64)]
            ),
            film_adult=catalog.adult,
            new_films=np.arange(len(base.films), len(catalog)),
        )
        return World(self.world.users, catalog, grown)

    def _with_users(self, count: int) -> World:
        base, users = self.base.users, self.world.users
        rngs = self._rngs(_USER, len(users) - len(base), count)
        like = np.array([int(rng.integers(len(base))) for rng in rngs])
        demographics = UserDemographics(
            age=_joined(users.age, base.age[like]),
            gender=_joined(users.gender, base.gender[like]),
            occupation=_joined(users.occupation, base.occupation[like]),
        )
        return World(demographics, self.world.films, self._preferences_like(like, rngs))

    def _preferences_like(self, like: Array, rngs: Sequence[np.random.Generator]) -> Preferences:
        """Return the preferences with those of new users appended."""
        base, hidden = self.base.preferences, self.world.preferences
        return dataclasses.replace(
            hidden,
            user_factors=_joined(hidden.user_factors, _near(base.user_factors, like, rngs)),
            favourite_niches=_joined(hidden.favourite_niches, base.favourite_niches[like]),
            niche_cumulative=_joined(hidden.niche_cumulative, base.niche_cumulative[like]),
            rating_bias=_joined(hidden.rating_bias, base.rating_bias[like]),
            activity=_joined(hidden.activity, base.activity[like]),
            is_minor=_joined(hidden.is_minor, base.is_minor[like]),
        )


def _joined(first: Array, second: Array) -> Array:
    return np.concatenate([first, second.astype(first.dtype)])


def _near(factors: Array, like: Array, rngs: Sequence[np.random.Generator]) -> Array:
    noise = np.array([rng.normal(size=factors.shape[1]) for rng in rngs])
    return np.asarray(factors[like] + _NOISE * factors.std(axis=0) * noise)


def _new_titles(taken: film_catalog.Index, rngs: Sequence[np.random.Generator]) -> list[Title]:
    """Return a title for each film, none of which makes an id that is taken."""
    titles: list[Title] = []
    ids: set[str] = set()
    for rng in rngs:
        title = _title(rng)
        while (name := film_titles.movie_id(title)) in taken or name in ids:
            title = _title(rng)
        ids.add(name)
        titles.append(title)
    return titles


def _title(rng: np.random.Generator) -> Title:
    return film_titles.generate([film_catalog.LAST_YEAR + 1], rng)[0]
