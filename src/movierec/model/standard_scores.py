"""Standardised scores: what makes the scores of two models comparable, user by user.

A score is first divided by the movie's number of likes to some power, then standardised (mean 0,
standard deviation 1) over the movies that the user has no positive interaction with: those that it
has are scored far higher, and would make the rest alike.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from movierec.model.encoding import Array
from movierec.model.fitted import Float32
from movierec.model.sparse_rows import SparseRows

# A user whose scores are all alike: nothing to tell apart.
_LEAST_DEVIATION: Final = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class Scale:
    """A user's scores to their standardised ones: (score x discount - mean) / deviation."""

    mean: npt.NDArray[np.float32]
    deviation: npt.NDArray[np.float32]
    """(n_users,) both."""


def discount_of(likes: Array, popularity_exponent: float) -> Float32:
    """Return likes (n_movies,) to the power -popularity_exponent, 1 in the mean."""
    discount = np.maximum(likes, 1) ** -popularity_exponent
    return np.asarray(discount / discount.mean(), np.float32)


def standardised(
    scores: Float32, discount: Float32, own: SparseRows, share: float | Float32
) -> Float32:
    """Return `share` of the discounted, standardised scores (n, n_movies); overwrites them.

    `discount` is (n_movies,), `own` has what each of the n users likes, `share` may be (n,).
    """
    scores *= discount
    scale = scale_of(scores, own)
    scores -= scale.mean[:, None]
    scores *= (share / scale.deviation)[:, None]
    return scores


def scale_of(scores: Float32, liked: SparseRows) -> Scale:
    """Return mean and deviation of each row without what it likes, (n, n_movies) scores."""
    rows = liked.row_numbers()
    known = scores[rows, liked.columns].astype(np.float64)
    count = np.maximum(scores.shape[1] - np.diff(liked.indptr), 1)
    total = scores.sum(axis=1, dtype=np.float64) - np.bincount(rows, known, len(scores))
    squares = np.einsum("ij,ij->i", scores, scores, dtype=np.float64)
    squares -= np.bincount(rows, known**2, len(scores))
    mean = total / count
    deviation = np.sqrt(np.maximum(squares / count - mean**2, _LEAST_DEVIATION))
    return Scale(mean.astype(np.float32), deviation.astype(np.float32))
