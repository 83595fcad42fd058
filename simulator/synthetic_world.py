"""Generate the site's users, films and hidden preferences; the same for the same seed."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from simulator import film_catalog, preferences, user_demographics
from simulator.film_catalog import GENRES, FilmCatalog
from simulator.preferences import FACTORS, FAVOURITE_NICHES, Preferences
from simulator.user_demographics import AGE_BANDS, GENDERS, OCCUPATIONS, UserDemographics

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
    """The site's users, its catalog, and the users' true preferences."""

    users: UserDemographics
    films: FilmCatalog
    preferences: Preferences


def generate(users: int, movies: int, seed: int) -> World:
    """Return a world of that size. Equal arguments give equal worlds."""
    niche_rng, film_rng, user_rng, preference_rng = (
        np.random.default_rng([seed, part]) for part in range(4)
    )
    niches = _Niches.generate(niche_rng)
    membership = niches.members(movies, film_rng)
    catalog = film_catalog.generate(niches.genre_masks(membership, film_rng), film_rng)
    demographics = user_demographics.generate(users, user_rng)
    return World(
        demographics,
        catalog,
        _preferences(niches, membership, catalog, demographics, preference_rng),
    )


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


def _preferences(
    niches: _Niches,
    members: Array,
    catalog: FilmCatalog,
    demographics: UserDemographics,
    rng: np.random.Generator,
) -> Preferences:
    """Return preferences that follow the niches and the demographics."""
    ranks = rng.permutation(len(catalog)) + 1
    popularity = (ranks**-_POPULARITY_EXPONENT * np.exp(0.3 * catalog.quality)).astype(np.float32)
    favourite_niches, share = _favourite_niches(demographics, rng)
    centres = niches.centres
    centre = centres[members[:, 0]] + _SECOND_NICHE_WEIGHT * centres[members[:, 1]]
    return Preferences(
        user_factors=_near(np.einsum("nf,nfk->nk", share, centres[favourite_niches]), 0.12, rng),
        film_factors=_near(centre, 0.12, rng),
        film_bias=preferences.film_bias(catalog.quality),
        popularity=popularity,
        film_adult=catalog.adult,
        favourite_niches=favourite_niches,
        niche_cumulative=np.cumsum(share, axis=1, dtype=np.float32),
        rating_bias=preferences.rating_biases(len(demographics), rng),
        activity=preferences.user_activity(len(demographics), rng),
        is_minor=preferences.minors(demographics.age),
        niches=preferences.niche_lists(
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


def _favourite_niches(
    demographics: UserDemographics, rng: np.random.Generator
) -> tuple[Array, Array]:
    """Return each user's favourite niches and how (s)he shares the time among them: (n, 3) each.

    Users of one age band, gender and occupation prefer alike: their niches are drawn from
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
    group = (demographics.band * len(GENDERS) + demographics.gender) * len(
        OCCUPATIONS
    ) + demographics.occupation
    at = np.searchsorted(steps, group[:, None] + rng.random((len(demographics), FAVOURITE_NICHES)))
    share = rng.dirichlet((4.0, 1.5, 0.8), len(demographics)).astype(np.float32)
    return (at % NICHES).astype(np.int16), share
