"""The ratings of a data set, on the scale 1 to 5, and their biases: the baseline of rating models.

Biases b_u, b_i minimise, over the ratings r_ui of mean mu,

    sum (r_ui - mu - b_u - b_i)^2 + lambda_u sum b_u^2 + lambda_i sum b_i^2

(Koren 2010, "Factor in the Neighbors", section 2.1), by alternating least squares.
"""

from dataclasses import dataclass
from typing import Final, Protocol, Self

import numpy as np
import numpy.typing as npt

from movierec.errors import DatasetError
from movierec.model.dataset import Dataset
from movierec.model.encoding import Array
from movierec.model.rating_scale import HIGHEST, LOWEST
from movierec.model.sparse_rows import row_numbers

Float64 = npt.NDArray[np.float64]

# Surprise's defaults. Ten sweeps leave the RMSE on MovieLens 1M as it is in the sixth digit.
_USER_REGULARIZATION: Final = 15.0
_MOVIE_REGULARIZATION: Final = 10.0
_SWEEPS: Final = 10


class RatingPredictor(Protocol):
    """A model that says how a user would rate a movie; both are rows of the data set."""

    def predict(self, users: Array, movies: Array) -> Float64:
        """Return the expected rating of each pair, 1 to 5, (n,) of (n,) and (n,)."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Ratings:
    """One entry for each rating, all (n,); users and movies are rows of the data set."""

    users: Array
    movies: Array
    values: Float64
    n_users: int
    n_movies: int

    def __len__(self) -> int:
        """Return the number of ratings."""
        return len(self.values)

    @classmethod
    def of(
        cls, dataset: Dataset, keep: npt.NDArray[np.bool_], *, newest: int | None = None
    ) -> Self:
        """Return the ratings among the kept interactions (n,), at most the `newest`.

        Raises DatasetError for ratings that are no numbers.
        """
        places = np.flatnonzero(keep & (dataset.ratings != 0))  # NaN is kept here, and refused
        if newest is not None and len(places) > newest:
            order = np.argsort(dataset.last_at[places], kind="stable")
            places = np.sort(places[order[len(order) - newest :]])
        values = dataset.ratings[places].astype(np.float64)
        if wrong := int((~np.isfinite(values)).sum()):
            raise DatasetError(
                f"{wrong} of {len(values)} ratings are no numbers: build the data set anew"
            )
        rows = row_numbers(dataset.indptr)[places]
        n_users, n_movies = len(dataset.user_ids), len(dataset.movie_ids)
        return cls(rows, dataset.movies[places], values, n_users, n_movies)


@dataclass(frozen=True, slots=True, eq=False)
class Biases:
    """Predicts mean + user's bias + movie's bias, both 0 where unknown: a `RatingPredictor`."""

    mean: float
    users: Float64
    movies: Float64

    @classmethod
    def fit(cls, ratings: Ratings) -> Self:
        """Return the biases of at least one rating; see the module's docstring."""
        mean = float(ratings.values.mean())
        residuals = ratings.values - mean
        of_users, of_movies = np.zeros(ratings.n_users), np.zeros(ratings.n_movies)
        for _ in range(_SWEEPS):
            left = residuals - of_users[ratings.users]
            of_movies = _ridge(left, ratings.movies, ratings.n_movies, _MOVIE_REGULARIZATION)
            left = residuals - of_movies[ratings.movies]
            of_users = _ridge(left, ratings.users, ratings.n_users, _USER_REGULARIZATION)
        return cls(mean, of_users, of_movies)

    def scores(self, users: Array, movies: Array) -> Float64:
        """Return the predictions before they are cut to the scale; shapes are broadcast."""
        found: Float64 = self.mean + self.users[users] + self.movies[movies]
        return found

    def predict(self, users: Array, movies: Array) -> Float64:
        """See `RatingPredictor.predict`."""
        return on_scale(self.scores(users, movies))


def _ridge(residuals: Float64, rows: Array, n_rows: int, regularization: float) -> Float64:
    sums = np.bincount(rows, residuals, minlength=n_rows)
    found: Float64 = sums / (regularization + np.bincount(rows, minlength=n_rows))
    return found


def on_scale(scores: Float64) -> Float64:
    """Return scores cut to the scale 1 to 5."""
    return np.clip(scores, LOWEST, HIGHEST)
