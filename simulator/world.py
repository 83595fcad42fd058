"""A whole made-up site: users, films and tastes, the same for the same seed."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from simulator import films, people, tastes
from simulator.films import GENRES, Films
from simulator.people import AGE_BANDS, GENDERS, OCCUPATIONS, People
from simulator.tastes import FACTORS, FAVOURITES, Tastes

Array = npt.NDArray[Any]

DEFAULT_USERS: Final = 20_000
# As many as MovieLens 20M has, the size of catalog that the service is meant for.
DEFAULT_FILMS: Final = 27_278
MAX_USERS: Final = 1_000_000

NICHES: Final = 48
# Zipf's exponent of popularity: the 100 most popular of 27,278 films get a fifth of the views.
_POPULARITY_EXPONENT: Final = 0.85
_SECOND_NICHE_WEIGHT: Final = 0.25


@dataclass(frozen=True, slots=True)
class World:
    """The site's users, its catalog and the truth about their tastes."""

    people: People
    films: Films
    tastes: Tastes


def generate(users: int, movies: int, seed: int) -> World:
    """Return a world of that size. Equal arguments give equal worlds."""
    niche_rng, film_rng, people_rng, taste_rng = (
        np.random.default_rng([seed, part]) for part in range(4)
    )
    niches = _Niches.generate(niche_rng)
    membership = niches.members(movies, film_rng)
    catalog = films.generate(niches.genre_masks(membership, film_rng), film_rng)
    crowd = people.generate(users, people_rng)
    return World(crowd, catalog, _tastes(niches, membership, catalog, crowd, taste_rng))


@dataclass(frozen=True, slots=True)
class _Niches:
    """z niches: `centres` (z, k) of length 1, `genres` (z, 2), `share` (z,) of all films."""

    centres: Array
    genres: Array
    share: Array

    @classmethod
    def generate(cls, rng: np.random.Generator) -> "_Niches":
        centres = rng.normal(size=(NICHES, FACTORS))
        centres /= np.linalg.norm(centres, axis=1, keepdims=True)
        share = rng.dirichlet(np.full(NICHES, 3.0))
        genres = rng.integers(0, len(GENRES), (NICHES, 2))
        return cls(centres, genres, share)

    def members(self, count: int, rng: np.random.Generator) -> Array:
        """Return each film's first and second niche, (count, 2), two different ones."""
        first = rng.choice(NICHES, count, p=self.share)
        second = (first + rng.integers(1, NICHES, count)) % NICHES
        return np.stack([first, second], axis=1)

    def genre_masks(self, members: Array, rng: np.random.Generator) -> Array:
        """Return each film's genres as a bit mask: its niche's, and sometimes another."""
        own = self.genres[members[:, 0]]
        other = rng.integers(0, len(GENRES), len(members))
        mask = 1 << own[:, 0]
        mask |= np.where(rng.random(len(members)) < 0.7, 1 << own[:, 1], 0)  # noqa: PLR2004
        mask |= np.where(rng.random(len(members)) < 0.3, 1 << other, 0)  # noqa: PLR2004
        return np.asarray(mask)


def _tastes(
    niches: _Niches, members: Array, catalog: Films, crowd: People, rng: np.random.Generator
) -> Tastes:
    """Return tastes that follow the niches and the demography."""
    ranks = rng.permutation(len(catalog)) + 1
    popularity = (ranks**-_POPULARITY_EXPONENT * np.exp(0.3 * catalog.quality)).astype(np.float32)
    favourites, share = _favourites(crowd, rng)
    centres = niches.centres
    centre = centres[members[:, 0]] + _SECOND_NICHE_WEIGHT * centres[members[:, 1]]
    return Tastes(
        user_factors=_near(np.einsum("nf,nfk->nk", share, centres[favourites]), 0.12, rng),
        film_factors=_near(centre, 0.12, rng),
        film_bias=tastes.film_bias(catalog.quality),
        popularity=popularity,
        film_adult=catalog.adult,
        favourites=favourites,
        leaning=np.cumsum(share, axis=1, dtype=np.float32),
        leniency=tastes.user_leniency(len(crowd), rng),
        activity=tastes.user_activity(len(crowd), rng),
        is_minor=tastes.minors(crowd.age),
        niches=tastes.niche_lists(
            members, popularity[:, None] * np.array([1.0, _SECOND_NICHE_WEIGHT]), NICHES
        ),
        niche_share=_cumulative(np.bincount(members[:, 0], popularity, NICHES)),
    )


def _cumulative(weights: Array) -> Array:
    running = np.cumsum(weights / weights.sum())
    running[-1] = 1.0
    return running


def _near(centres: Array, noise: float, rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """Return points around `centres`, (n, k)."""
    points = rng.standard_normal(centres.shape, dtype=np.float32)
    points *= np.float32(noise)
    points += centres.astype(np.float32)
    return points


def _favourites(crowd: People, rng: np.random.Generator) -> tuple[Array, Array]:
    """Return each user's favourite niches and how (s)he shares the time among them: (n, 3) each.

    People of one age band, gender and occupation lean the same way: their niches are drawn from
    one distribution, whose logarithm is the sum of an effect of each.
    """
    effects = [
        rng.normal(0.0, sigma, (size, NICHES))
        for sigma, size in ((1.0, len(AGE_BANDS)), (0.7, len(GENDERS)), (0.5, len(OCCUPATIONS)))
    ]
    logit = effects[0][:, None, None] + effects[1][None, :, None] + effects[2][None, None]
    chance = np.exp(logit.reshape(-1, NICHES))
    cumulative = np.cumsum(chance / chance.sum(axis=1, keepdims=True), axis=1)
    cumulative[:, -1] = 1.0
    steps = (np.arange(len(cumulative))[:, None] + cumulative).ravel()
    group = (crowd.band * len(GENDERS) + crowd.gender) * len(OCCUPATIONS) + crowd.occupation
    at = np.searchsorted(steps, group[:, None] + rng.random((len(crowd), FAVOURITES)))
    share = rng.dirichlet((4.0, 1.5, 0.8), len(crowd)).astype(np.float32)
    return (at % NICHES).astype(np.int16), share
