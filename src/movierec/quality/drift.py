"""Drift between two histograms: population stability index, two-sample KS, values unseen before.

Histograms are passed in: what reads the lake is not where they are compared.

PSI is the sum over bins of (p - q) ln(p / q). Its convention, from credit scoring (Siddiqi 2006,
"Credit Risk Scorecards"): below 0.1 no change, from 0.25 on a large one. Between two samples of one
population it is not 0: PSI n m / (n + m) is about chi-squared with one degree of freedom less than
there are bins (Yurdakul 2018, "Statistical Properties of Population Stability Index"), so what
chance alone explains is no drift, however small the samples.

KS is the largest distance between two cumulative distributions. With millions of rows every
distance is significant, so it needs an effect size as well.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, Self

import numpy as np
import numpy.typing as npt

Level = Literal["same", "warn", "stop"]

PSI_WARN: Final = 0.1
PSI_STOP: Final = 0.25

# One false alarm in a thousand comparisons: a data set is compared in ten attributes a day.
_ALPHA: Final = 0.001
_Z: Final = 3.0902  # the normal quantile of 1 - _ALPHA

KS_FLOOR: Final = 0.1
"""A tenth of all moved to the other side of some value: about the PSI that is a warning."""

UNSEEN_SHARE: Final = 0.01
"""More than this in values of no count before is named; less is a corrupt line here and there."""

LEAST_UNITS: Final = 200
"""With fewer users on a side bins are too empty for chi-squared, and for a finding."""

# A bin that is empty on one side: its share is taken as a ten-thousandth, as Evidently does.
_EMPTY: Final = 0.0001


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts by value or bin."""

    counts: Mapping[str, float]
    units: int
    """How many users or movies they are of. A user's events are no independent ones."""
    ordered: bool = False
    """Whether the names are numbers, in whose order KS adds up."""
    stops: bool = True
    """Whether a large drift is one to stop for."""

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> Self:
        """Return a histogram from JSON."""
        return cls(values["counts"], values["units"], values["ordered"], values["stops"])

    def to_json(self) -> dict[str, Any]:
        """Return the histogram as plain values."""
        counts = {name: _plain(n) for name, n in self.counts.items()}
        return {
            "counts": counts,
            "units": self.units,
            "ordered": self.ordered,
            "stops": self.stops,
        }


def _plain(count: float) -> float:
    return int(count) if count == int(count) else round(float(count), 6)


@dataclass(frozen=True, slots=True)
class Drift:
    """One attribute compared."""

    attribute: str
    level: Level
    psi: float
    by_chance: float
    """The PSI that two samples of these sizes show once in a thousand times."""
    ks: float | None
    p_value: float | None
    unseen: tuple[str, ...] = ()
    unseen_share: float = 0.0
    stops: bool = True

    @property
    def text(self) -> str:
        """The finding in words."""
        ks = "" if self.ks is None else f", KS {self.ks:.3f} (p {self.p_value:.2g})"
        new = f", {self.unseen_share:.1%} in new values {', '.join(self.unseen[:5])}"
        unseen = new if self.unseen_share > UNSEEN_SHARE else ""
        return f"{self.attribute}: PSI {self.psi:.3f}{ks}{unseen}"


def compare(attribute: str, reference: Histogram, current: Histogram) -> Drift:
    """Return how far an attribute has moved; of fewer than LEAST_UNITS on a side it is the same."""
    before, now = _aligned(reference, current)
    if not before.sum() or not now.sum():
        return Drift(attribute, "same", 0.0, 0.0, None, None)
    found, by_chance = psi(before, now), _by_chance(len(before), reference.units, current.units)
    distance, p_value = (
        ks(before, now, reference.units, current.units) if current.ordered else (None, None)
    )
    unseen = tuple(
        name for name, n in current.counts.items() if n and not reference.counts.get(name)
    )
    share = sum(current.counts[name] for name in unseen) / float(now.sum())
    enough = min(reference.units, current.units) >= LEAST_UNITS
    moved = enough and found > by_chance
    apart = enough and distance is not None and distance >= KS_FLOOR and (p_value or 0.0) < _ALPHA
    level: Level = "same"
    if moved and found >= PSI_STOP and current.stops:
        level = "stop"
    elif (moved and found >= PSI_WARN) or apart or (moved and share > UNSEEN_SHARE):
        level = "warn"
    return Drift(
        attribute, level, found, by_chance, distance, p_value, unseen, share, current.stops
    )


def _aligned(
    reference: Histogram, current: Histogram
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    names = {**reference.counts, **current.counts}
    order = sorted(names, key=float) if current.ordered else sorted(names)
    before, now = (
        np.array([side.counts.get(name, 0) for name in order], np.float64)
        for side in (reference, current)
    )
    filled = (before + now) > 0
    return before[filled], now[filled]


def psi(reference: npt.NDArray[np.float64], current: npt.NDArray[np.float64]) -> float:
    """Return the population stability index of counts by bin, each (n_bins,)."""
    before, now = _shares(reference), _shares(current)
    return float(((now - before) * np.log(now / before)).sum())


def _shares(counts: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    found: npt.NDArray[np.float64] = counts / counts.sum()
    return np.where(found == 0, _EMPTY, found)


def ks(
    reference: npt.NDArray[np.float64], current: npt.NDArray[np.float64], n: int, m: int
) -> tuple[float, float]:
    """Return the largest distance of two cumulative distributions, and its p-value.

    Counts are by bin in order, `n` and `m` the sample sizes. The p-value is Kolmogorov's limit,
    with Stephens's correction for small samples (1970).
    """
    before, now = (np.cumsum(each) / each.sum() for each in (reference, current))
    distance = float(np.abs(before - now).max())
    root = math.sqrt(n * m / (n + m)) if n and m else 0.0
    at = (root + 0.12 + 0.11 / root) * distance if root else 0.0
    return distance, _kolmogorov(at)


# Below it the series needs many terms, and the probability is 1 to all digits.
_CERTAIN: Final = 0.2


def _kolmogorov(at: float) -> float:
    if at < _CERTAIN:
        return 1.0
    terms = (math.exp(-2 * (k * at) ** 2) * (1 if k % 2 else -1) for k in range(1, 101))
    return min(1.0, max(0.0, 2 * sum(terms)))


def _by_chance(bins: int, n: int, m: int) -> float:
    """Return the PSI's quantile 1 - _ALPHA, by Wilson and Hilferty's chi-squared (1931)."""
    free = bins - 1
    if not free or not n or not m:
        return math.inf if free else 0.0
    spread = 2 / (9 * free)
    quantile = free * (1 - spread + _Z * math.sqrt(spread)) ** 3
    return quantile * (1 / n + 1 / m)
