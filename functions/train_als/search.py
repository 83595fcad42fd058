"""Search for ALS's parameters with a fixed budget of trials.

The first trial is the defaults, so that the best is never worse than they. The first half spreads
over the space by Halton's sequence; the second varies the best so far, ever closer. The number of
iterations costs no trial: a fit is scored at each of CHECKPOINTS on its way, and the best of them
counts. A trial whose score at a checkpoint is below the median of those that have passed it ends
there (the median rule of Google Vizier: Golovin et al. 2017).

A trial's parameters follow from the seed, its number and the trials before it alone, so that a
search that goes on after a kill is the one that would have been.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from functions.train_als.als import Parameters

CHECKPOINTS: Final = (5, 10, 15, 20, 30)
SEED: Final = 1

FACTORS: Final = (16, 32, 64, 96, 128, 192, 256, 384, 512)
ALPHA: Final = (0.3, 30.0)
REGULARIZATION: Final = (0.3, 8.0)

# Before so many have passed a checkpoint a median means little; the first checkpoint is too early
# to judge weak regularization by.
_LEAST_PASSED: Final = 5
_BASES: Final = (2, 3, 5)
# Of the whole range, in logarithms: the first variation of the best, and how much the last is less.
_WIDEST: Final = 0.2
_NARROWING: Final = 4.0

Trial = Mapping[str, Any]
"""`parameters`, `score`, and `scores`, the score by checkpoint (as text, as JSON has it)."""


@dataclass(frozen=True, slots=True)
class Space:
    """What is searched: alpha and regularization by logarithms, factors up to what fits."""

    most_factors: int = FACTORS[-1]
    most_iterations: int = CHECKPOINTS[-1]

    @property
    def factors(self) -> tuple[int, ...]:
        """The numbers of factors, at least one."""
        fitting = tuple(f for f in FACTORS if f <= self.most_factors)
        return fitting or (max(self.most_factors, 1),)

    @property
    def checkpoints(self) -> tuple[int, ...]:
        """The numbers of iterations, at least one."""
        fitting = tuple(i for i in CHECKPOINTS if i <= self.most_iterations)
        return fitting or (max(self.most_iterations, 1),)

    def facts(self) -> dict[str, Any]:
        """Return the space for a manifest."""
        return {
            "factors": list(self.factors),
            "alpha": list(ALPHA),
            "regularization": list(REGULARIZATION),
            "iterations": list(self.checkpoints),
        }

    def at(self, point: Sequence[float]) -> Parameters:
        """Return the parameters at a point of the unit cube."""
        place = min(int(point[0] * len(self.factors)), len(self.factors) - 1)
        return Parameters(
            factors=self.factors[place],
            alpha=_at(ALPHA, point[1]),
            regularization=_at(REGULARIZATION, point[2]),
            iterations=self.checkpoints[-1],
        )

    def point(self, parameters: Mapping[str, Any]) -> list[float]:
        """Return the point that `at` takes, of parameters that are in the space."""
        place = np.searchsorted(self.factors, parameters["factors"])
        return [
            (float(place) + 0.5) / len(self.factors),
            _share(ALPHA, parameters["alpha"]),
            _share(REGULARIZATION, parameters["regularization"]),
        ]


def propose(space: Space, trials: Sequence[Trial], budget: int) -> Parameters:
    """Return the next trial's parameters, after those that have ended, of `budget` in all."""
    number = len(trials)
    if number == 0:
        first = Parameters()
        factors = max(f for f in space.factors if f <= max(first.factors, space.factors[0]))
        return Parameters(factors=factors, iterations=space.checkpoints[-1])
    if number < (budget + 1) // 2:
        return space.at([_halton(number + SEED, base) for base in _BASES])
    share = (number - budget // 2) / max(budget - budget // 2, 1)
    width = _WIDEST / (1 + (_NARROWING - 1) * share)
    rng = np.random.default_rng((SEED, number))
    near = np.array(space.point(best(trials)["parameters"])) + rng.normal(0, width, len(_BASES))
    return space.at(np.clip(near, 0, np.nextafter(1, 0)).tolist())


def best(trials: Sequence[Trial]) -> Trial:
    """Return the trial of the highest score, the first of equals."""
    return max(trials, key=lambda trial: trial["score"])


def is_hopeless(trials: Sequence[Trial], checkpoint: int, score: float) -> bool:
    """Return whether a trial is to end at a checkpoint, by the trials before it."""
    passed = [t["scores"][str(checkpoint)] for t in trials if str(checkpoint) in t["scores"]]
    late = checkpoint > CHECKPOINTS[0] and len(passed) >= _LEAST_PASSED
    return late and score < float(np.median(passed))


def _at(bounds: tuple[float, float], share: float) -> float:
    low, high = np.log(bounds)
    # Three digits say all that a score can tell apart, and are easily passed on.
    return float(f"{np.exp(low + share * (high - low)):.3g}")


def _share(bounds: tuple[float, float], value: float) -> float:
    low, high = np.log(bounds)
    return float((np.log(value) - low) / (high - low))


def _halton(number: int, base: int) -> float:
    """Return the radical inverse of a number: Halton 1960."""
    found, part = 0.0, 1.0
    while number:
        number, digit = divmod(number, base)
        part /= base
        found += digit * part
    return found
