"""Blend of factors and item-to-item weights: both see most movies alike, and err differently.

    blend(u, i) = w z_als(u, i) + (1 - w) z_items(u, i),   z = a user's standardised score

A score is first divided by the movie's number of likes to the power `popularity_exponent`: both
models lean to popular movies, more so than the two together should. Standardised (mean 0, standard
deviation 1) over the movies that the user has no positive interaction with: those that it has are
scored far higher, and would make the rest alike. Only movies with item-to-item weights are ranked:
of a large catalog the most watched, see `edlae.Parameters`.
"""

import functools
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from functions.train_als.als import AlsModel
from functions.train_als.edlae import ItemToItemModel, pair_scores_of
from movierec.model import fitted
from movierec.model.encoding import Array
from movierec.model.fitted import Exclusions, Float32
from movierec.model.sparse_rows import SparseRows
from movierec.model.standard_scores import discount_of, standardised
from movierec.parameters import read_parameters, require

UNRANKED: Final = np.float32(-100)
"""In standard deviations: below all that is ranked."""

_USERS_AT_ONCE: Final = 4096


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
class Blend:
    """Ranks movies by both: a `FittedModel`."""

    als: AlsModel
    items: ItemToItemModel
    factors: Float32
    """(N, k), the movies' of those with weights."""
    discount: Float32
    """(N,), likes to the power -popularity_exponent, 1 in the mean."""
    als_share: float

    @classmethod
    def of(
        cls,
        als: AlsModel,
        items: ItemToItemModel,
        likes: Array,
        parameters: Parameters,
    ) -> Self:
        """Return the blend of two models of the same users.

        `likes` (n_movies,) is how many users like each movie among those that both were fitted on.
        """
        movies = items.items.movies
        discount = discount_of(likes[movies], parameters.popularity_exponent)
        factors = np.ascontiguousarray(als.factors.movies[movies])
        return cls(als, items, factors, discount, parameters.als_share)

    def top(self, users: Array, k: int, exclusions: Exclusions) -> npt.NDArray[np.int32]:
        """See `FittedModel.top`."""
        movies, lists = self.items.items.movies, np.empty((len(users), k), np.int32)
        column_of = np.full(self.items.items.n_movies, -1, np.int32)
        column_of[movies] = np.arange(len(movies))
        for start in range(0, len(users), _USERS_AT_ONCE):
            chunk = users[start : start + _USERS_AT_ONCE]
            rows = functools.partial(self._scores_of, chunk)
            narrow = exclusions.among(column_of, chunk)
            found = fitted.top_of(rows, np.arange(len(chunk)), k, narrow)
            lists[start : start + len(chunk)] = np.where(found >= 0, movies[found], -1)
        return lists

    def pair_scores(self, users: Array, movies: Array) -> Float32:
        """See `FittedModel.pair_scores`; UNRANKED for a movie that is not ranked."""
        ranked = self.items.items.movies
        columns = np.minimum(np.searchsorted(ranked, movies), len(ranked) - 1)
        found = pair_scores_of(self.score_rows, users, columns)
        return np.where(ranked[columns] == movies, found, UNRANKED)

    def _scores_of(self, users: Array, rows: Array) -> Float32:
        return self.score_rows(users[rows])

    def score_rows(self, users: Array) -> Float32:
        """Return the blended scores of the N movies for some users, (len(users), N)."""
        liked = self.items.histories[users]
        own = SparseRows(liked.indptr, liked.indices)
        by_factors = self.als.factors.users[users] @ self.factors.T
        by_items: Float32 = liked @ self.items.items.weights
        blended = standardised(by_factors, self.discount, own, self.als_share)
        blended += standardised(by_items, self.discount, own, 1 - self.als_share)
        return blended
