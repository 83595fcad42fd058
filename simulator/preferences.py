"""Hidden preferences: who likes which film, how long (s)he watches and how (s)he rates.

Films lie in niches (kinds of film with genres of their own); a film's factors are near its
niche's centre. A user leans to a few niches, by age, gender and occupation, and has factors near
them. The affinity of user u for film i is

    a(u, i) = SCALE * p_u . q_i + QUALITY * quality_i + OFFSET

about -1 for a random film and +1 within one's favourite niche. It decides what is chosen of what
is offered, after how many minutes the user leaves, and the rating. So a recommender that ranks by
a(u, i) is really watched longer and rated higher than one that ranks by popularity.
"""

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from movierec.model.rating_scale import RatingScale
from simulator.user_demographics import ADULT_AGE

Array = npt.NDArray[Any]
F32 = npt.NDArray[np.float32]

FACTORS: Final = 16
FAVOURITE_NICHES: Final = 3

_SCALE: Final = 3.0
_QUALITY: Final = 0.45
_OFFSET: Final = -1.0

# Minutes until the mean user leaves a film of affinity 0, and how that grows with affinity: with
# them a viewing lasts 20 to 25 minutes in the mean over a history.
_STAY_MINUTES: Final = 8.0
_STAY_GROWTH: Final = 0.75

_RATING_MIDDLE: Final = 0.48
_RATING_SLOPE: Final = 0.24
_RATING_NOISE: Final = 0.13

# Share of the user's own niches among the films that (s)he discovers without recommender.
_OWN_NICHE_SHARE: Final = 0.9
_PICK_NOISE: Final = 0.5

# Share of new films among the discovered ones, and how many of the newest are on offer.
_NEW_FILM_SHARE: Final = 0.2
_NEW_SHELF: Final = 20.0


@dataclass(frozen=True, slots=True)
class NicheLists:
    """For each of z niches its films, the popular ones more likely.

    `films` (n,) holds the niches one after the other; `cumulative` (n,) rises from k to k + 1
    over niche k, so that `searchsorted(cumulative, k + u)` draws one of its films.
    """

    films: Array
    cumulative: Array

    def draw(self, niches: Array, uniform: Array) -> Array:
        """Return a film of each of `niches`, by numbers in [0, 1) of the same shape."""
        at = np.searchsorted(self.cumulative, niches + uniform, side="right")
        drawn: Array = self.films[np.minimum(at, len(self.films) - 1)]
        return drawn


@dataclass(frozen=True, slots=True)
class Preferences:
    """What n users and m films are like, hidden from the product.

    `user_factors` (n, k), `film_factors` (m, k); `film_bias`, `popularity` and `film_adult` (m,);
    `favourite_niches` (n, 3), with `niche_cumulative` (n, 3) their cumulative shares;
    `rating_bias` (n,) shifts a user's ratings; `activity` (n,) is how much (s)he watches;
    `is_minor` (n,); `niche_share` (z,) is the cumulative popularity of the niches; `new_films`
    (f,) are the films that came after the niches were made, the newest last.
    """

    user_factors: F32
    film_factors: F32
    film_bias: F32
    popularity: F32
    film_adult: Array
    favourite_niches: Array
    niche_cumulative: Array
    rating_bias: F32
    activity: F32
    is_minor: Array
    niches: NicheLists
    niche_share: Array
    new_films: Array = field(default_factory=lambda: np.zeros(0, np.int64))

    def affinity(self, users: Array, films: Array) -> F32:
        """Return a(u, i) of pairs, shapes broadcast; adult films are nothing for minors."""
        dot = np.einsum("...k,...k->...", self.user_factors[users], self.film_factors[films])
        affinity: F32 = _SCALE * dot + self.film_bias[films] + np.float32(_OFFSET)
        refused = self.is_minor[users] & self.film_adult[films]
        return np.where(refused, np.float32(-9), affinity)

    def discover(self, users: Array, rng: np.random.Generator) -> Array:
        """Return a film that each user discovers without the recommender, same shape."""
        own = rng.random(users.shape) < _OWN_NICHE_SHARE
        which = (rng.random((*users.shape, 1)) > self.niche_cumulative[users]).sum(axis=-1)
        favourite = self.favourite_niches[users, np.minimum(which, FAVOURITE_NICHES - 1)]
        anywhere = np.searchsorted(self.niche_share, rng.random(users.shape))
        found = self.niches.draw(np.where(own, favourite, anywhere), rng.random(users.shape))
        return self._new_among(found, rng) if len(self.new_films) else found

    def _new_among(self, found: Array, rng: np.random.Generator) -> Array:
        """Return the discovered films, some of them replaced by new ones, the newest first."""
        age = np.minimum(rng.geometric(1 / _NEW_SHELF, found.shape), len(self.new_films))
        is_new = rng.random(found.shape) < _NEW_FILM_SHARE
        return np.where(is_new, self.new_films[-age], found)

    def choose(self, users: Array, offered: Array, rng: np.random.Generator) -> Array:
        """Return the index of what each user picks of `offered`, (n, c): shape (n,)."""
        wish = self.affinity(users[:, None], offered)
        return np.asarray(np.argmax(wish + rng.gumbel(0.0, _PICK_NOISE, wish.shape), axis=1))

    def pick(self, users: Array, candidates: int, rng: np.random.Generator) -> Array:
        """Return the film that each user chooses among `candidates` discovered ones, (n,)."""
        offered = self.discover(np.repeat(users[:, None], candidates, axis=1), rng)
        picked: Array = offered[np.arange(len(users)), self.choose(users, offered, rng)]
        return picked


def last_minutes(affinity: F32, runtimes: Array, rng: np.random.Generator) -> Array:
    """Return the last minute that each viewer logs: 0..runtime + 1, as the site counts."""
    mean = _STAY_MINUTES * np.exp(_STAY_GROWTH * np.clip(affinity, -4, 4))
    stayed = rng.exponential(mean).astype(np.int64)
    return np.asarray(np.minimum(stayed, runtimes + 1))


def ratings(affinity: F32, rating_bias: F32, scale: RatingScale, rng: np.random.Generator) -> Array:
    """Return ratings of the scale."""
    noise = rng.normal(0.0, _RATING_NOISE, affinity.shape)
    share = _RATING_MIDDLE + _RATING_SLOPE * affinity + rating_bias + noise
    rating = np.rint(scale.lowest + (scale.highest - scale.lowest) * share)
    return np.clip(rating, scale.lowest, scale.highest).astype(np.int64)


def rating_biases(count: int, rng: np.random.Generator) -> F32:
    """Return how much kinder than the mean each user rates, as a share of the scale."""
    return rng.normal(0.0, 0.08, count).astype(np.float32)


def user_activity(count: int, rng: np.random.Generator) -> F32:
    """Return how active each user is: log-normal, the busiest tenth does half of it all."""
    return rng.lognormal(0.0, 1.0, count).astype(np.float32)


def minors(age: Array) -> Array:
    """Return who is under age."""
    return np.asarray(age < ADULT_AGE)


def film_bias(quality: Array) -> F32:
    """Return what quality adds to everybody's affinity."""
    return np.asarray(_QUALITY * quality, np.float32)


def niche_lists(members: Array, weights: Array, niches: int) -> NicheLists:
    """Return the lists of `niches` niches, films weighted within each.

    `members` (m, c) holds the niches that each film is in, `weights` (m, c) how strongly.
    """
    films = np.repeat(np.arange(len(members)), members.shape[1])
    niche, weight = members.ravel(), weights.ravel().astype(np.float64)
    order = np.argsort(niche, kind="stable")
    films, niche, weight = films[order], niche[order], weight[order]
    total = np.bincount(niche, weight, niches)
    running = np.cumsum(weight / total[niche])
    start = np.concatenate([[0.0], np.cumsum(np.bincount(niche, weight / total[niche], niches))])
    return NicheLists(films, niche + np.minimum(running - start[niche], 1.0))
