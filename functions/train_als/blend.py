"""Blend of factors and item-to-item weights: both see most movies alike, and err differently.

    blend(u, i) = w z_als(u, i) + (1 - w) z_items(u, i),   z = a user's standardised score

A score is first divided by the movie's number of likes to the power `popularity_exponent`: both
models lean to popular movies, more so than the two together should. Standardised (mean 0, standard
deviation 1) over the movies that the user has no positive interaction with: those that it has are
scored far higher, and would make the rest alike.
"""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix

from functions.train_als.als import AlsModel
from functions.train_als.edlae import ItemToItemModel, pair_scores_of
from movierec.model import fitted
from movierec.model.encoding import Array
from movierec.model.fitted import Exclusions, Float32
from movierec.model.sparse_rows import SparseRows
from movierec.parameters import read_parameters, require

# A user whose scores are all alike: nothing to tell apart.
_LEAST_DEVIATION = 1e-12


@dataclass(frozen=True, slots=True)
class Parameters:
    """Hyperparameters of a blend."""

    als_share: float = 0.6
    popularity_exponent: float = 0.1

    def __post_init__(self) -> None:
        """Raise UsageError for a value out of its range."""
        require(0 <= self.als_share <= 1, "als_share", self.als_share, "0 to 1")
        exponent = self.popularity_exponent
        require(0 <= exponent <= 1, "popularity_exponent", exponent, "0 to 1")

    @classmethod
    def read(cls, values: dict[str, Any]) -> Self:
        """Return the parameters that an event gives, defaults for the rest. Raises UsageError."""
        return read_parameters(cls, values)


@dataclass(frozen=True, slots=True, eq=False)
class Scale:
    """A user's scores to their standardised ones: (score x discount - mean) / deviation."""

    mean: npt.NDArray[np.float32]
    deviation: npt.NDArray[np.float32]
    """(n_users,) both."""


@dataclass(frozen=True, slots=True, eq=False)
class Blend:
    """Ranks movies by both: a `FittedModel`."""

    als: AlsModel
    items: ItemToItemModel
    liked: SparseRows
    """What each user has a positive interaction with."""
    discount: Float32
    """(n_movies,), likes to the power -popularity_exponent, 1 in the mean."""
    als_share: float

    @classmethod
    def of(
        cls,
        als: AlsModel,
        items: ItemToItemModel,
        histories: csr_matrix,
        likes: Array,
        parameters: Parameters,
    ) -> Self:
        """Return the blend of two models of the same users.

        `histories` (n_users, n_movies) stores what each has a positive interaction with, `likes`
        (n_movies,) how many users like each movie among those that the models were fitted on.
        """
        discount = np.maximum(likes, 1) ** -parameters.popularity_exponent
        liked = SparseRows(histories.indptr, histories.indices)
        normal = np.asarray(discount / discount.mean(), np.float32)
        return cls(als, items, liked, normal, parameters.als_share)

    def top(self, users: Array, k: int, exclusions: Exclusions) -> npt.NDArray[np.int32]:
        """See `FittedModel.top`."""
        return fitted.top_of(self.score_rows, users, k, exclusions)

    def pair_scores(self, users: Array, movies: Array) -> Float32:
        """See `FittedModel.pair_scores`."""
        return pair_scores_of(self.score_rows, users, movies)

    def score_rows(self, users: Array) -> Float32:
        """Return the blended scores of all movies for some users, (len(users), n_movies)."""
        liked = self.liked.take(users)
        blended = np.zeros((len(users), len(self.discount)), np.float32)
        for share, model in ((self.als_share, self.als), (1 - self.als_share, self.items)):
            scores = model.score_rows(users)
            scores *= self.discount
            scale = scale_of(scores, liked)
            scores -= scale.mean[:, None]
            scores *= share / scale.deviation[:, None]
            blended += scores
        return blended


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
