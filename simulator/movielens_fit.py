"""Fit hidden preferences to MovieLens ratings: truncated SVD, and k-means for the niches."""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from simulator import preferences
from simulator.film_catalog import FilmCatalog
from simulator.preferences import FACTORS, FAVOURITE_NICHES, Preferences
from simulator.user_demographics import UserDemographics

Array = npt.NDArray[Any]

_NICHES: Final = 24
_ROUNDS: Final = 12

# A film with few ratings is about as good as the mean: so many ratings weigh as much as that.
_SHRINK: Final = 20.0
# What a rating above the user's mean adds to having chosen the film at all.
_RATING_WEIGHT: Final = 0.6
_OVERSAMPLED: Final = 10
_PROBES: Final = 50_000


def fit(
    ratings: Array, demographics: UserDemographics, catalog: FilmCatalog, rng: np.random.Generator
) -> Preferences:
    """Return preferences that explain `ratings`, rows of (user, film, rating).

    Factors are the leading singular vectors of what each user has rated and how,
    popularity divided out.
    """
    user, film = ratings[:, 0].astype(np.int64), ratings[:, 1].astype(np.int64)
    popularity = np.bincount(film, minlength=len(catalog)) + 0.5
    above = ratings[:, 2] - _means(user, ratings[:, 2], len(demographics))[user]
    chosen = np.zeros((len(demographics), len(catalog)), np.float32)
    chosen[user, film] = (1 + _RATING_WEIGHT * above) / np.sqrt(popularity[film] + _SHRINK)
    user_factors, film_factors = _standardised(*_svd(chosen, rng), rng)
    quality = _quality(film, above, len(catalog))
    niche, centres = _clusters(film_factors, rng)
    favourite_niches, share = _favourite_niches(user_factors, centres)
    niche_popularity = np.cumsum(np.bincount(niche, popularity, len(centres)))
    return Preferences(
        user_factors=user_factors,
        film_factors=film_factors,
        film_bias=preferences.film_bias(quality),
        popularity=(popularity / popularity.max()).astype(np.float32),
        film_adult=catalog.adult,
        favourite_niches=favourite_niches,
        niche_cumulative=np.cumsum(share, axis=1, dtype=np.float32),
        rating_bias=preferences.rating_biases(len(demographics), rng),
        activity=(np.bincount(user, minlength=len(demographics)) + 1.0).astype(np.float32),
        is_minor=preferences.minors(demographics.age),
        niches=preferences.niche_lists(niche[:, None], popularity[:, None], len(centres)),
        niche_share=niche_popularity / niche_popularity[-1],
    )


def _means(group: Array, values: Array, count: int) -> Array:
    return np.asarray(
        np.bincount(group, values, count) / np.maximum(np.bincount(group, minlength=count), 1)
    )


def _quality(film: Array, above: Array, count: int) -> Array:
    """Return how much better than others a film is rated, (m,), about N(0, 1)."""
    mean = np.bincount(film, above, count) / (np.bincount(film, minlength=count) + _SHRINK)
    return np.asarray((mean - mean.mean()) / (mean.std() + 1e-9))


def _svd(matrix: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Return factors (n, k) and (m, k) whose product is nearest to `matrix`.

    By a random projection and one power iteration: Halko, Martinsson & Tropp 2011, 4.3 and 5.1.
    """
    width = FACTORS + _OVERSAMPLED
    probe = matrix @ rng.standard_normal((matrix.shape[1], width), dtype=np.float32)
    basis = np.linalg.qr(matrix @ (matrix.T @ np.linalg.qr(probe)[0]))[0]
    left, size, right = np.linalg.svd(basis.T @ matrix, full_matrices=False)
    half = np.sqrt(size[:FACTORS])
    return (basis @ left[:, :FACTORS]) * half, right[:FACTORS].T * half


def _standardised(users: Array, items: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Return factors scaled so that products of random pairs have a standard deviation of 1/3.

    Generated worlds have it too, and the constants of `preferences` assume it.
    """
    # The mean is common to all users: it says nothing of a preference.
    users = users - users.mean(axis=0)
    some = rng.integers(0, len(users), _PROBES), rng.integers(0, len(items), _PROBES)
    spread = float(np.einsum("nk,nk->n", users[some[0]], items[some[1]]).std())
    scale = np.sqrt(1 / (3 * max(spread, 1e-9)))
    return (users * scale).astype(np.float32), (items * scale).astype(np.float32)


def _clusters(points: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Return the niche of each film (m,) and the niches' centres (z, k): spherical k-means.

    Every niche keeps at least one film.
    """
    unit = points / (np.linalg.norm(points, axis=1, keepdims=True) + 1e-9)
    count = min(_NICHES, len(unit))
    centres = unit[rng.choice(len(unit), count, replace=False)]
    niche = np.zeros(len(unit), np.int64)
    for _ in range(_ROUNDS):
        niche = np.argmax(unit @ centres.T, axis=1)
        for z in range(count):
            here = unit[niche == z]
            centre = here.sum(axis=0) if len(here) else unit[rng.integers(len(unit))]
            centres[z] = centre / (np.linalg.norm(centre) + 1e-9)
    empty = np.setdiff1d(np.arange(count), niche)
    niche[rng.choice(len(unit), len(empty), replace=False)] = empty
    return niche, centres


def _favourite_niches(users: Array, centres: Array) -> tuple[Array, Array]:
    """Return each user's nearest niches and the shares of them, (n, 3) each."""
    near = users @ centres.T
    best = np.argsort(-near, axis=1)[:, :FAVOURITE_NICHES]
    value = np.take_along_axis(near, best, axis=1)
    weight = np.exp((value - value[:, :1]) / (value.std() + 1e-9))
    return best.astype(np.int16), weight / weight.sum(axis=1, keepdims=True)
