"""Simulate one user's session after a recommendation: what (s)he watches and rates. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from movierec.model.rating_scale import RatingScale
from simulator import preferences
from simulator.history_generator import SPREE_CANDIDATES, WATCH_CANDIDATES
from simulator.synthetic_world import World

Array = npt.NDArray[Any]

# Position bias: each position further down the list is a little less attractive.
_POSITION_COST: Final = 0.02
_PICK_NOISE: Final = 0.5
# A user who finds nothing above this affinity watches nothing.
_WORTH_WATCHING: Final = -0.5

# A viewer logs 22 minutes in the mean: with these, 12 lines of 100 are ratings, as in the
# course's stream.
_RATED_SHARE: Final = 0.4
_SPREE_SHARE: Final = 0.5
_SPREE_MEAN: Final = 7.0
_MAX_SPREE: Final = 15


@dataclass(frozen=True, slots=True)
class Rating:
    """A film's row, and the user's rating."""

    film: int
    rating: int


@dataclass(frozen=True, slots=True)
class Viewing:
    """A film watched from minute 0 to `last_minute`; `recommended`: it was on the list."""

    film: int
    last_minute: int
    recommended: bool
    rating: int | None

    def watch_share(self, runtime_minutes: int) -> float:
        """Return the share of the film that was watched."""
        return min(1.0, (self.last_minute + 1) / max(runtime_minutes, 1))


@dataclass(frozen=True, slots=True)
class Session:
    """A user's session: perhaps a viewing, perhaps ratings of films seen elsewhere."""

    viewing: Viewing | None
    ratings: tuple[Rating, ...]


def simulate_session(
    world: World,
    user: int,
    recommended: Sequence[int],
    seen: set[int],
    *,
    scale: RatingScale,
    rng: np.random.Generator,
) -> Session:
    """Return a user's session with a list of films (rows); those in `seen` are not chosen again."""
    film = _choose(world, user, recommended, seen, rng)
    viewing = None
    if film is not None:
        affinity = _affinity(world, user, [film])
        last = int(preferences.last_minutes(affinity, world.films.runtime_minutes[[film]], rng)[0])
        rated = rng.random() < _RATED_SHARE
        rating = int(_rate(world, user, affinity, scale, rng)[0]) if rated else None
        viewing = Viewing(film, last, film in recommended, rating)
    met = seen | ({film} if film is not None else set())
    return Session(viewing, _spree(world, user, met, scale, rng))


def _choose(
    world: World, user: int, recommended: Sequence[int], seen: set[int], rng: np.random.Generator
) -> int | None:
    """Return the film chosen among the list and those discovered without it, if any."""
    met = world.preferences.discover(np.full(WATCH_CANDIDATES, user), rng).tolist()
    offered = [*dict.fromkeys(recommended), *met]
    positions = np.arange(len(offered), dtype=np.float32)
    positions[len(offered) - len(met) :] = 0
    affinity = world.preferences.affinity(np.array([user]), np.array(offered))
    wish = affinity - _POSITION_COST * positions + rng.gumbel(0.0, _PICK_NOISE, len(offered))
    wish[[film in seen for film in offered]] = -np.inf
    best = int(np.argmax(wish))
    return offered[best] if wish[best] > _WORTH_WATCHING else None


def _spree(
    world: World, user: int, met: set[int], scale: RatingScale, rng: np.random.Generator
) -> tuple[Rating, ...]:
    """Return ratings of other films that are new to the user."""
    if rng.random() >= _SPREE_SHARE:
        return ()
    count = min(int(rng.geometric(1 / _SPREE_MEAN)), _MAX_SPREE)
    picked = world.preferences.pick(np.full(count, user), SPREE_CANDIDATES, rng).tolist()
    films = [film for film in dict.fromkeys(picked) if film not in met]
    if not films:
        return ()
    given = _rate(world, user, _affinity(world, user, films), scale, rng).tolist()
    pairs = zip(films, given, strict=True)
    return tuple(Rating(film, rating) for film, rating in pairs if not _refused(world, user, film))


def _affinity(world: World, user: int, films: Sequence[int]) -> preferences.F32:
    return world.preferences.affinity(np.array([user]), np.array(films))


def _rate(
    world: World, user: int, affinity: preferences.F32, scale: RatingScale, rng: np.random.Generator
) -> Array:
    return preferences.ratings(affinity, world.preferences.rating_bias[[user]], scale, rng)


def _refused(world: World, user: int, film: int) -> bool:
    return bool(world.preferences.is_minor[user] and world.preferences.film_adult[film])
