"""What a user does once (s)he has been recommended films; pure, one user at a time."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from simulator import tastes
from simulator.history import SPREE_CANDIDATES, WATCH_CANDIDATES
from simulator.world import World

Array = npt.NDArray[Any]

# A user reads the list from its top: each place further down is a little less tempting.
_PLACE_COST: Final = 0.02
_PICK_NOISE: Final = 0.5
# Who finds nothing that (s)he would like more than this watches nothing.
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
class Evening:
    """What a user does: perhaps watch, perhaps rate films known from elsewhere."""

    viewing: Viewing | None
    ratings: tuple[Rating, ...]


def spend(
    world: World,
    user: int,
    recommended: Sequence[int],
    seen: set[int],
    *,
    max_rating: int,
    rng: np.random.Generator,
) -> Evening:
    """Return what a user does with a list of films (rows), of which `seen` interest no more."""
    film = _choose(world, user, recommended, seen, rng)
    viewing = None
    if film is not None:
        liking = _liking(world, user, [film])
        last = int(tastes.last_minutes(liking, world.films.runtime_minutes[[film]], rng)[0])
        rated = rng.random() < _RATED_SHARE
        rating = int(_rate(world, user, liking, max_rating, rng)[0]) if rated else None
        viewing = Viewing(film, last, film in recommended, rating)
    met = seen | ({film} if film is not None else set())
    return Evening(viewing, _spree(world, user, met, max_rating, rng))


def _choose(
    world: World, user: int, recommended: Sequence[int], seen: set[int], rng: np.random.Generator
) -> int | None:
    """Return the most tempting film of the list and of what (s)he comes across, if any is."""
    met = world.tastes.meet(np.full(WATCH_CANDIDATES, user), rng).tolist()
    offered = [*dict.fromkeys(recommended), *met]
    places = np.arange(len(offered), dtype=np.float32)
    places[len(offered) - len(met) :] = 0
    liking = world.tastes.liking(np.array([user]), np.array(offered))
    wish = liking - _PLACE_COST * places + rng.gumbel(0.0, _PICK_NOISE, len(offered))
    wish[[film in seen for film in offered]] = -np.inf
    best = int(np.argmax(wish))
    return offered[best] if wish[best] > _WORTH_WATCHING else None


def _spree(
    world: World, user: int, met: set[int], max_rating: int, rng: np.random.Generator
) -> tuple[Rating, ...]:
    """Return ratings of other films that the user has not met yet."""
    if rng.random() >= _SPREE_SHARE:
        return ()
    count = min(int(rng.geometric(1 / _SPREE_MEAN)), _MAX_SPREE)
    picked = world.tastes.pick(np.full(count, user), SPREE_CANDIDATES, rng).tolist()
    films = [film for film in dict.fromkeys(picked) if film not in met]
    if not films:
        return ()
    given = _rate(world, user, _liking(world, user, films), max_rating, rng).tolist()
    pairs = zip(films, given, strict=True)
    return tuple(Rating(film, rating) for film, rating in pairs if not _refused(world, user, film))


def _liking(world: World, user: int, films: Sequence[int]) -> tastes.F32:
    return world.tastes.liking(np.array([user]), np.array(films))


def _rate(
    world: World, user: int, liking: tastes.F32, max_rating: int, rng: np.random.Generator
) -> Array:
    return tastes.ratings(liking, world.tastes.leniency[[user]], max_rating, rng)


def _refused(world: World, user: int, film: int) -> bool:
    return bool(world.tastes.is_minor[user] and world.tastes.film_adult[film])
