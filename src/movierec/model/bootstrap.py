"""Bootstrap over users: intervals of mean metrics, and of their paired differences.

The Poisson bootstrap (Chamandy et al. 2012, "Estimating Uncertainty for Massive Data Streams"):
in each resample every user has a weight drawn from a Poisson distribution of mean 1, and a
metric's mean is the weighted one. All columns share the weights, so the difference of two columns
is a paired one. Intervals are percentile intervals.

100,000 users, 1,000 resamples and 12 columns take a second on one core.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from movierec.model.encoding import Array

RESAMPLES: Final = 1_000
LEVEL: Final = 0.95
SEED: Final = 20_260_101

# Weights of some users in all resamples: 4 MB, to stay in the cache.
_WEIGHTS_AT_ONCE: Final = 1_000_000
_DRAWS: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean with its bootstrap interval and standard error."""

    mean: float
    low: float
    high: float
    stderr: float
    users: int

    def to_json(self) -> dict[str, float | int]:
        """Return the interval by name."""
        return {
            "mean": self.mean,
            "low": self.low,
            "high": self.high,
            "stderr": self.stderr,
            "users": self.users,
        }


@dataclass(frozen=True, slots=True, eq=False)
class Resampled:
    """Means of several columns over the same users, and over each resample of them."""

    means: npt.NDArray[np.float64]
    """(columns,)"""
    samples: npt.NDArray[np.float64]
    """(resamples, columns)"""
    users: int

    def interval(self, column: int) -> Interval:
        """Return the interval of a column's mean."""
        return self._interval(float(self.means[column]), self.samples[:, column])

    def difference(self, column: int, other: int) -> Interval:
        """Return the interval of a column's mean minus another's, user by user."""
        return self._interval(
            float(self.means[column] - self.means[other]),
            self.samples[:, column] - self.samples[:, other],
        )

    def _interval(self, mean: float, samples: Array) -> Interval:
        low, high = np.quantile(samples, ((1 - LEVEL) / 2, (1 + LEVEL) / 2)).tolist()
        return Interval(mean, low, high, float(samples.std()), self.users)


def resample(
    values: npt.NDArray[np.float64], *, resamples: int = RESAMPLES, seed: int = SEED
) -> Resampled:
    """Return the resampled means of (users, columns); the same seed gives the same ones.

    Raises ValueError without users: their mean is not defined.
    """
    n, columns = values.shape
    if not n:
        raise ValueError("no users to resample")
    means = values.mean(axis=0)
    rng, totals = np.random.default_rng(seed), np.zeros((resamples, columns + 1))
    # Around the mean: float32 is exact enough, and an all-equal column has no error at all.
    centred = np.column_stack([values - means, np.ones(n)]).astype(np.float32)
    step = max(1, _WEIGHTS_AT_ONCE // resamples)
    for start in range(0, n, step):
        part = centred[start : start + step]
        totals += _weights(rng, resamples, len(part)) @ part
    # A resample of a handful of users may have none.
    drawn = totals[:, -1] > 0
    samples = means + totals[drawn, :-1] / totals[drawn, -1:]
    return Resampled(means, samples, n)


def _weights(rng: np.random.Generator, resamples: int, users: int) -> npt.NDArray[np.float32]:
    """Draw Poisson weights by table from 16 random bits: ten times as fast as numpy's own."""
    drawn: npt.NDArray[np.float32] = _TABLE.take(_random_bits(rng, resamples, users), mode="clip")
    return drawn


def _random_bits(rng: np.random.Generator, resamples: int, users: int) -> npt.NDArray[np.uint16]:
    """Return what `integers` would, which takes twice as long for 16 bits of each 64."""
    words, left = divmod(resamples * users, 4)
    if left:
        return rng.integers(0, _DRAWS, (resamples, users), np.uint16)
    return rng.bit_generator.random_raw(words).astype("<u8").view("<u2").reshape(resamples, users)


def _table() -> npt.NDArray[np.float32]:
    terms = [math.exp(-1) / math.factorial(k) for k in range(12)]
    counts = np.searchsorted(np.cumsum(terms), (np.arange(_DRAWS) + 0.5) / _DRAWS)
    return counts.astype(np.float32)


_TABLE: Final = _table()
