"""Sequential test of canary against stable: bounds that hold at every evaluation tick.

A trial is one answered request, in order of serving. By the alias's weight w it went to the canary
(A = 1) with probability w, else to stable (A = 0); it was a hit (Y = 1) if a recommended movie was
watched within the horizon. With m the mean of all earlier outcomes, of both sides,

    S = Σ (A - w)(Y - m)        the score
    H = Σ w (1 - w)             the information: as many canary trials against a known stable
    effect = S / H              an average of the canary's gain in hit rate, canary - stable

    A is random, so E[(A - w)(Y - m) | past] = w (1 - w) gain, whatever the hit rate does over the
    day, whichever users come, and however w depends on the past: S - H gain is a martingale.
    This is residual on residual (Robinson 1988, "Root-N-consistent semiparametric regression",
    Econometrica 56(4)) with the one nuisance, w, known.

Bounds
    radius = sqrt(V/H 2 (H + r) log(1 + sqrt((H + r)/r) / (2 alpha))) / H

    One-sided: the gain is below `upper` at all times with probability 1 - alpha, and above `lower`
    likewise. This is Robbins' one-sided normal mixture of Howard, Ramdas, McAuliffe & Sekhon 2021,
    "Time-uniform, nonparametric, nonasymptotic confidence sequences", Annals of Statistics 49(2),
    Proposition 5, in closed form. The exact boundary is the root of an equation with the normal
    distribution function; the closed form is never inside it, and for alpha = 0.05 less than 2 %
    outside.

    r = h / (l + log(1 + l)), l = 2 log(1 / (2 alpha)), makes it tightest where H = h, which is
    `Policy.sharpest_at_trials` (ibid., section 3.5, for alpha on one side).

What is asymptotic
    V is estimated. Waudby-Smith, Arbour, Sinha, Kennedy & Ramdas 2024, "Time-uniform central limit
    theory and asymptotic confidence sequences", Annals of Statistics 52(6): for martingale
    differences under moment conditions, an estimated variance that converges fast enough may
    replace the true one in the boundary; that is an asymptotic confidence sequence. Its error is
    alpha in the limit of a late start, which is why the bounds are infinite before each side has
    `Policy.min_trials` trials.

    V is the larger of two estimates. Σ ((A - w)(Y - m))² is the theorem's; but where hits are few
    it is small exactly when the canary has had no luck, and rejects too often. Σ w(1 - w)(Y - m)²
    has the same expectation given the outcomes if both sides are alike, and uses every trial. See
    docs/adr/0007-always-valid-verdict.md for the figures.
"""

import io
import math
import struct
import zipfile
import zlib
from dataclasses import dataclass
from typing import Any, Final, Literal, Self

import numpy as np
import numpy.typing as npt

from movierec.errors import ArtifactError, UsageError
from movierec.releases.policy import Policy

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]

Verdict = Literal["worse", "fine", "unclear"]

# The alias stores eight digits of a weight.
_NO_WEIGHT: Final = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class Trials:
    """Trials in order of serving; all arrays are (n,)."""

    canary: Bools
    """Whether the canary answered."""
    hit: Bools
    weight: Floats
    """The probability of being routed to the canary, 0 to 1, at that moment."""

    def __post_init__(self) -> None:
        """Raise UsageError for arrays that do not fit each other, or weights that are none."""
        shapes = {array.shape for array in (self.canary, self.hit, self.weight)}
        if len(shapes) > 1 or len(self.canary.shape) != 1:
            raise UsageError(f"trials of shapes {shapes}: expected three times (n,)")
        if not np.all((self.weight >= 0) & (self.weight <= 1)):
            raise UsageError("a trial's weight is not within 0 to 1: percents must be divided")

    def __len__(self) -> int:
        return len(self.canary)


@dataclass(frozen=True, slots=True, eq=False)
class Sums:
    """Sufficient statistics of the trials up to each one; all arrays are (n,)."""

    trials: Floats
    hits: Floats
    canary_trials: Floats
    """Of the randomized trials: those with a weight between 0 and 1."""
    stable_trials: Floats
    score: Floats
    information: Floats
    squares: Floats
    """Σ ((A - w)(Y - m))²"""
    pooled: Floats
    """Σ w (1 - w)(Y - m)²"""

    @classmethod
    def none(cls) -> Self:
        """Return the sums before the first trial, (1,)."""
        return cls(*np.zeros((8, 1)))


@dataclass(frozen=True, slots=True, eq=False)
class RunningBounds:
    """The canary's gain in hit rate after each trial; all arrays are (n,)."""

    effect: Floats
    """0 where there is no information."""
    lower: Floats
    upper: Floats
    canary_trials: Floats
    stable_trials: Floats


@dataclass(frozen=True, slots=True)
class Bounds:
    """The canary's gain in hit rate so far: canary - stable, each 0 to 1."""

    effect: float = 0.0
    lower: float = -math.inf
    upper: float = math.inf
    canary_trials: int = 0
    stable_trials: int = 0


def verdict(found: Bounds, policy: Policy) -> Verdict:
    """Return "worse" than stable, "fine" (not worse by the margin), or "unclear" as yet."""
    if found.upper < 0:
        return "worse"
    return "fine" if found.lower > -policy.margin else "unclear"


def bounds(trials: Trials, policy: Policy) -> Bounds:
    """Return the bounds after all trials; infinite ones if there are too few."""
    if not len(trials):
        return Bounds()
    last = running_bounds(trials, policy)
    return Bounds(
        effect=float(last.effect[-1]),
        lower=float(last.lower[-1]),
        upper=float(last.upper[-1]),
        canary_trials=int(last.canary_trials[-1]),
        stable_trials=int(last.stable_trials[-1]),
    )


def running_bounds(trials: Trials, policy: Policy) -> RunningBounds:
    """Return the bounds after each trial."""
    return bounds_of(running_sums(trials), policy)


def running_sums(trials: Trials, before: Sums | None = None) -> Sums:
    """Return the sums after each trial, continued from the last of `before`."""
    start = before or Sums.none()
    seen = start.trials[-1] + np.arange(len(trials))
    hits = start.hits[-1] + np.cumsum(trials.hit)
    surprise = trials.hit - (hits - trials.hit) / np.maximum(seen, 1)
    # A trial at weight 0 or 1 is not randomized: it carries no information on the difference.
    drawn = (trials.weight > _NO_WEIGHT) & (trials.weight < 1 - _NO_WEIGHT)
    information = np.where(drawn, trials.weight * (1 - trials.weight), 0.0)
    step = np.where(drawn, trials.canary - trials.weight, 0) * surprise
    return Sums(
        trials=seen + 1,
        hits=hits,
        canary_trials=start.canary_trials[-1] + np.cumsum(drawn & trials.canary),
        stable_trials=start.stable_trials[-1] + np.cumsum(drawn & ~trials.canary),
        score=start.score[-1] + np.cumsum(step),
        information=start.information[-1] + np.cumsum(information),
        squares=start.squares[-1] + np.cumsum(step * step),
        pooled=start.pooled[-1] + np.cumsum(information * surprise * surprise),
    )


def bounds_of(sums: Sums, policy: Policy) -> RunningBounds:
    """Return the bounds for each of the sums."""
    information = np.where(sums.information > 0, sums.information, 1.0)
    effect = np.where(sums.information > 0, sums.score, 0.0) / information
    variance = np.maximum(sums.squares, sums.pooled) / information
    # Identical outcomes throughout mean missing data, not certainty.
    varied = (sums.hits > 0) & (sums.hits < sums.trials) & (variance > 0)
    known = varied & (np.minimum(sums.canary_trials, sums.stable_trials) >= policy.min_trials)
    radius = np.where(
        known, np.sqrt(variance) * boundary(information, policy) / information, np.inf
    )
    return RunningBounds(
        effect, effect - radius, effect + radius, sums.canary_trials, sums.stable_trials
    )


def boundary(information: Floats, policy: Policy) -> Floats:
    """Return what a unit-variance score always stays below with probability 1 - alpha, (n,)."""
    rho = tuning_parameter(policy.sharpest_at_trials, policy.alpha)
    grown = (information + rho) / rho
    root: Floats = np.sqrt(2 * rho * grown * np.log1p(np.sqrt(grown) / (2 * policy.alpha)))
    return root


def tuning_parameter(information: float, alpha: float) -> float:
    """Return the mixture's r that makes the boundary tightest at `information`."""
    length = 2 * math.log(1 / (2 * alpha))
    return information / (length + math.log1p(length))


# Bytes --------------------------------------------------------------------------------------

_FORMAT_VERSION: Final = 1

# Raised by NumPy and zipfile for bytes that are no npz, a damaged one, or one of other arrays.
_UNREADABLE: Final = (
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    EOFError,
    OSError,
    RuntimeError,
    MemoryError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
    UsageError,
)


def pack(trials: Trials) -> bytes:
    """Return the trials as a compressed npz: two bits each, and the weights' changes."""
    changes = np.flatnonzero(np.diff(trials.weight, prepend=np.nan) != 0)
    stream = io.BytesIO()
    np.savez_compressed(
        stream,
        head=np.array([_FORMAT_VERSION, len(trials)], np.int64),
        canary=np.packbits(trials.canary),
        hit=np.packbits(trials.hit),
        changes=changes.astype(np.int64),
        weights=trials.weight[changes],
    )
    return stream.getvalue()


def unpack(body: bytes) -> Trials:
    """Return the trials that `pack` wrote. Raises ArtifactError."""
    try:
        with np.load(io.BytesIO(body), allow_pickle=False) as found:
            return _trials({name: found[name] for name in found.files})
    except _UNREADABLE as exc:
        raise ArtifactError(
            f"{len(body)} bytes of trials cannot be read ({exc}): were they written by pack()?"
        ) from exc


def _trials(arrays: dict[str, npt.NDArray[Any]]) -> Trials:
    version, count = arrays["head"].tolist()
    if version != _FORMAT_VERSION:
        raise ArtifactError(
            f"trials of format {version}: this code reads {_FORMAT_VERSION}; use the code version "
            "of the release"
        )
    lengths = np.diff(arrays["changes"], append=count)
    return Trials(
        canary=np.unpackbits(arrays["canary"], count=count).astype(np.bool_),
        hit=np.unpackbits(arrays["hit"], count=count).astype(np.bool_),
        weight=np.repeat(arrays["weights"], lengths).astype(np.float64),
    )
