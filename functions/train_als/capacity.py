"""What a training takes, and what the data and a Lambda's memory and time carry.

The one rule for factors and iterations. Where an event gives neither, they are the defaults of
`als.Parameters` as long as those fit: first the iterations are lowered, to LEAST_ITERATIONS, then
the factors, through FACTORS. What an event gives is never changed: it fits, or is refused before
the training starts, with what would fit.

The blend with item-to-item weights is left out where memory or time do not carry it: its lists take
several times as long as ALS's. Without time for them the weights may still fit, for neighbours.

The estimates are sums of a few terms with constants that were measured (`make bench-scale`); they
are upper bounds of what was measured rather than means. The time is watched besides
(`functions.train_als.deadline`).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Self

from functions.train_als.als import Parameters
from movierec.errors import CapacityError
from movierec.model.dataset import Dataset

FACTORS: Final = (1024, 512, 256, 192, 128, 96, 64, 48, 32, 16, 8)
"""Numbers of factors to choose from."""

LEAST_ITERATIONS: Final = 5
"""On MovieLens 1M five reach 93% of the NDCG@20 of fifteen; fewer are no model."""

LAMBDA_MEMORY_BYTES: Final = 10_240 * 2**20
"""AWS's largest function."""

LAMBDA_S: Final = 900.0
"""AWS's longest run."""

# Bytes. The interpreter and its libraries; an interaction in the data set (17), in a matrix and
# its transpose (16) and while they are made; a user's list of 50, as int32 and as it is stored.
_BASE_BYTES: Final = 200_000_000
_INTERACTION_BYTES: Final = 42
_USER_BYTES: Final = 600
# The item-to-item weights for N^2, and of their interactions.
_WEIGHT_BYTES: Final = 14
_WEIGHT_INTERACTION_BYTES: Final = 20
# Factors of float32, their check for finite values, and their file.
_FACTOR_BYTES: Final = 9

# CPU seconds of one core: of an iteration for each interaction, and for its factors; of a list for
# each movie, and for its factors; of evaluation and publishing besides.
_INTERACTION_S: Final = 0.2e-6
_INTERACTION_FACTOR_S: Final = 0.0052e-6
_SCORE_S: Final = 2.3e-9
_SCORE_FACTOR_S: Final = 0.024e-9
# Of the item-to-item weights for N^3 and an interaction; of a blended list, and each movie in it.
_WEIGHTS_S: Final = 3.5e-11
_WEIGHTS_INTERACTION_S: Final = 0.5e-6
_BLENDED_LIST_S: Final = 300e-6
_BLENDED_SCORE_S: Final = 15e-9
_BLENDED_TESTS: Final = 20_000
# Of a list by taste and cost: the scores of its candidates, a blend's by whole rows once more.
_RERANKED_LIST_S: Final = 200e-6
_RESERVE_S: Final = 20.0
_RESERVE_INTERACTION_S: Final = 1.2e-6


@dataclass(frozen=True, slots=True)
class Size:
    """How much there is to train on."""

    users: int
    movies: int
    interactions: int

    @classmethod
    def of(cls, dataset: Dataset) -> Self:
        """Return a data set's size."""
        return cls(len(dataset.user_ids), len(dataset.movie_ids), len(dataset.movies))

    @classmethod
    def read(cls, counts: Mapping[str, int]) -> Self:
        """Return the size in a data set's manifest."""
        return cls(counts["users"], counts["movies"], counts["interactions"])


@dataclass(frozen=True, slots=True)
class Limits:
    """What a training may take."""

    memory_bytes: float = LAMBDA_MEMORY_BYTES
    remaining_s: float = math.inf
    threads: int = 1


def memory_bytes(size: Size, factors: int) -> int:
    """Return the peak memory of a training, from above."""
    rows = size.users + size.movies
    return (
        _BASE_BYTES
        + _INTERACTION_BYTES * size.interactions
        + _USER_BYTES * size.users
        + _FACTOR_BYTES * factors * rows
    )


def iteration_s(size: Size, factors: int, threads: int) -> float:
    """Return the duration of one iteration on `threads` cores."""
    return size.interactions * (_INTERACTION_S + _INTERACTION_FACTOR_S * factors) / threads


def lists_s(size: Size, factors: int, threads: int) -> float:
    """Return the duration of everybody's lists, and of publishing them."""
    scores = size.users * size.movies * (_SCORE_S + _SCORE_FACTOR_S * factors) / threads
    return _RESERVE_S + scores + _RESERVE_INTERACTION_S * size.interactions


def iterations(size: Size, factors: int, limits: Limits) -> int:
    """Return how many iterations of both fits there is time for; a large number without a limit."""
    free_s = limits.remaining_s - lists_s(size, factors, limits.threads)
    found = free_s / 2 / max(iteration_s(size, factors, limits.threads), 1e-9)
    return int(min(max(found, 0), 1000))


def lacks_for_weights(size: Size, movies: int, factors: int, limits: Limits) -> str:
    """Return what is missing for item-to-item weights of so many movies, nothing if they fit."""
    n = min(movies, size.movies)
    needed = memory_bytes(size, factors) + _WEIGHT_BYTES * n**2
    needed += _WEIGHT_INTERACTION_BYTES * size.interactions
    if needed > limits.memory_bytes:
        return f"memory: about {needed / 1e9:.1f} GB of {limits.memory_bytes / 1e9:.1f}"
    needed_s = lists_s(size, factors, limits.threads) + weights_s(size, movies)
    return _lacking_s(needed_s, limits)


def lacks_for_blend(size: Size, movies: int, parameters: Parameters, limits: Limits) -> str:
    """Return what is missing for blended lists beside a whole training, nothing if they fit."""
    if lacking := lacks_for_weights(size, movies, parameters.factors, limits):
        return lacking
    fits_s = 2 * parameters.iterations * iteration_s(size, parameters.factors, limits.threads)
    rest_s = lists_s(size, parameters.factors, limits.threads) + weights_s(size, movies)
    return _lacking_s(fits_s + rest_s + blend_s(size, movies), limits)


def weights_s(size: Size, movies: int) -> float:
    """Return the duration of one fit of item-to-item weights."""
    return _WEIGHTS_S * min(movies, size.movies) ** 3 + _WEIGHTS_INTERACTION_S * size.interactions


def blend_s(size: Size, movies: int) -> float:
    """Return what choosing the blend, and its lists, take beside ALS's and the weights for them."""
    lists = size.users + min(size.users, _BLENDED_TESTS)
    a_list_s = _BLENDED_LIST_S + _BLENDED_SCORE_S * size.movies
    return weights_s(size, movies) + lists * a_list_s


def reranked_s(size: Size, *, blends: bool) -> float:
    """Return what lists that count license costs take beside those that do not."""
    lists = size.users + min(size.users, _BLENDED_TESTS)
    a_blend_s = _BLENDED_LIST_S + _BLENDED_SCORE_S * size.movies
    return lists * (_RERANKED_LIST_S + (a_blend_s if blends else 0))


def _lacking_s(needed_s: float, limits: Limits) -> str:
    if needed_s <= limits.remaining_s:
        return ""
    return f"time: about {needed_s:.0f} s of {limits.remaining_s:.0f}"


def require_memory(size: Size, factors: int, limits: Limits) -> None:
    """Raise CapacityError if so many factors do not fit, saying what does."""
    if (needed := memory_bytes(size, factors)) > limits.memory_bytes:
        raise CapacityError(
            f"{_what(size, factors)} takes about {needed / 1e9:.1f} GB, and the function has"
            f" {limits.memory_bytes / 1e9:.1f}: {_what_fits(size, factors, limits)}"
        )


def plan(size: Size, given: Mapping[str, Any], limits: Limits) -> Parameters:
    """Return the parameters to train with; see the module's docstring.

    Raises CapacityError, and UsageError for values out of their range.
    """
    wanted = Parameters.read(dict(given))
    choices = [wanted.factors, *(f for f in FACTORS if f < wanted.factors)]
    if "factors" in given:
        choices = choices[:1]
    least = min(wanted.iterations, LEAST_ITERATIONS)
    fitting = [f for f in choices if memory_bytes(size, f) <= limits.memory_bytes]
    if not fitting:
        require_memory(size, choices[-1], limits)
    for factors in fitting:
        if (most := iterations(size, factors, limits)) >= least:
            done = wanted.iterations if "iterations" in given else min(wanted.iterations, most)
            return replace(wanted, factors=factors, iterations=done)
    raise CapacityError(_no_time(size, fitting[-1], limits))


def most_factors(size: Size, limits: Limits) -> int:
    """Return the largest number of factors that fits memory and time, 0 if none does."""
    fitting = (
        factors
        for factors in FACTORS
        if memory_bytes(size, factors) <= limits.memory_bytes
        and iterations(size, factors, limits) >= LEAST_ITERATIONS
    )
    return next(fitting, 0)


def _what(size: Size, factors: int) -> str:
    return (
        f"training on {size.interactions:,} interactions of {size.users:,} users with"
        f" {factors} factors"
    )


def _what_fits(size: Size, factors: int, limits: Limits) -> str:
    fits = [f for f in FACTORS if f < factors and memory_bytes(size, f) <= limits.memory_bytes]
    needed = memory_bytes(size, factors)
    rest = limits.memory_bytes - needed + _INTERACTION_BYTES * size.interactions
    ways = [f"{fits[0]} factors" if fits else ""]
    if needed <= LAMBDA_MEMORY_BYTES:
        ways.append(f"a function of {math.ceil(needed / 2**20):,} MB")
    if rest > 0:
        most = int(rest / _INTERACTION_BYTES)
        ways.append(
            f"a data set of the newest {most:,} interactions (its parameter max_interactions)"
        )
    return f"what fits is {_or([way for way in ways if way])}, or training with Spark"


def _or(ways: list[str]) -> str:
    return ", or ".join(ways) or "no fewer factors and no larger function"


def _no_time(size: Size, factors: int, limits: Limits) -> str:
    needed = lists_s(size, factors, limits.threads)
    needed += 2 * LEAST_ITERATIONS * iteration_s(size, factors, limits.threads)
    return (
        f"{_what(size, factors)} takes at least {needed:.0f} s on {limits.threads} cores, and"
        f" {limits.remaining_s:.0f} are left: what fits is a function with a longer timeout"
        f" (AWS allows {LAMBDA_S:.0f} s) or more memory, which brings cores, a smaller data set,"
        " or training with Spark"
    )
