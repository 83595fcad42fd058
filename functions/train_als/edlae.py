"""Item-to-item weights by a linear autoencoder: EDLAE, and EASE as its case without dropout.

Steck 2020, "Autoencoders that don't overfit towards the Identity": with X the users' interactions,
the weights B of zero diagonal that reconstruct X from a copy of itself in which each entry is
dropped with probability p, all drops averaged over, are

    B = I - C diag(1 / diag(C)),    C = (G + p / (1 - p) diag(G) + lambda I)^-1,    G = X'WX

A score is a row of X B. p = 0 is EASE (Steck 2019, "Embarrassingly Shallow Autoencoders"). W weighs
users: with `user_exponent` e a user of n interactions weighs n^-e, since a list is judged by user,
not by interaction. An entry of X is 1 - w + w s, with w the `strength_share` and s the strength.

Memory: on the N most watched movies 12 N^2 bytes at the peak (G becomes C in place), 4 N^2 kept.
Time: N^3 operations, and for G the sum of squared history lengths.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt
from scipy.linalg import lapack
from scipy.sparse import csr_matrix, diags
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # it has no types

from functions.train_als import als
from movierec.errors import DatasetError
from movierec.model import fitted
from movierec.model.dataset import Dataset
from movierec.model.encoding import Array
from movierec.model.fitted import Exclusions, Float32
from movierec.parameters import read_parameters, require

# Columns of G at once: a sparse product of 27,000 x 512 takes 110 MB at most.
_COLUMNS_AT_ONCE: Final = 512
# Pairs scored at once: so many rows of 10,000 floats are 80 MB.
_PAIRS_AT_ONCE: Final = 2_000


@dataclass(frozen=True, slots=True)
class Parameters:
    """Hyperparameters of the weights."""

    movies: int = 6_000
    """N: at 6,000 the peak is 0.4 GB; the rest are seldom watched, and score 0."""
    dropout: float = 0.5
    regularization: float = 0.7
    """lambda in units of the squared `als.bai_yin_edge`: that of singular values of G."""
    user_exponent: float = 0.5
    strength_share: float = 0.0

    def __post_init__(self) -> None:
        """Raise UsageError for a value out of its range."""
        require(1 <= self.movies <= 20_000, "movies", self.movies, "1 to 20,000")  # noqa: PLR2004  5 GB
        require(0 <= self.dropout < 1, "dropout", self.dropout, "0 to less than 1")
        require(self.regularization > 0, "regularization", self.regularization, "more than 0")
        require(0 <= self.user_exponent <= 1, "user_exponent", self.user_exponent, "0 to 1")
        require(0 <= self.strength_share <= 1, "strength_share", self.strength_share, "0 to 1")

    @classmethod
    def read(cls, values: dict[str, Any]) -> Self:
        """Return the parameters that an event gives, defaults for the rest. Raises UsageError."""
        return read_parameters(cls, values)


def interactions(
    dataset: Dataset, keep: npt.NDArray[np.bool_], parameters: Parameters
) -> csr_matrix:
    """Return X of the kept positive interactions, (n_users, n_movies)."""
    share = parameters.strength_share
    return als.matrix(dataset, keep & (dataset.strength > 0), 1 - share + share * dataset.strength)


@dataclass(frozen=True, slots=True, eq=False)
class ItemWeights:
    """What liking one movie says of another: `weights` (N, N), from row to column, of `movies`.

    `movies` (N,) are indices in the data set, of `n_movies`, ascending.
    """

    movies: npt.NDArray[np.int32]
    weights: Float32
    n_movies: int

    def scores(self, histories: csr_matrix) -> Float32:
        """Return the scores, (n, n_movies), of users with these interactions, (n, N)."""
        found = np.zeros((histories.shape[0], self.n_movies), np.float32)
        found[:, self.movies] = histories @ self.weights
        return found


def fit(x: csr_matrix, parameters: Parameters) -> ItemWeights:
    """Return the weights of (n_users, n_movies) interactions.

    Raises DatasetError if G is singular to LAPACK: `regularization` is too small.
    """
    movies = most_watched(x, parameters.movies)
    weighted = diags(np.sqrt(_user_weights(x, parameters.user_exponent))) @ x
    gram = gram_of(weighted.tocsr()[:, movies])
    diagonal = np.diag_indices_from(gram)
    strength = parameters.regularization * als.bai_yin_edge(x) ** 2
    dropped = parameters.dropout / (1 - parameters.dropout)
    gram[diagonal] += dropped * gram[diagonal] + strength
    inverse = _inverse(gram, parameters)
    weights = np.empty(inverse.shape, np.float32)
    np.divide(inverse, -inverse[diagonal], out=weights, casting="same_kind")
    weights[diagonal] = 0
    return ItemWeights(movies, weights, x.shape[1])


def most_watched(x: csr_matrix, n: int) -> npt.NDArray[np.int32]:
    """Return the `n` movies with the most interactions, ascending; of equals the lower ones."""
    counts = np.bincount(x.indices, minlength=x.shape[1])
    return np.sort(np.argsort(-counts, kind="stable")[:n]).astype(np.int32)


def _user_weights(x: csr_matrix, exponent: float) -> npt.NDArray[np.float32]:
    """Return n^-exponent for each user of n interactions, (n_users,), 1 in the mean of those."""
    lengths = np.diff(x.indptr)
    weights = np.maximum(lengths, 1.0) ** -exponent
    total = float(weights @ lengths)
    return np.asarray(weights * (lengths.sum() / total if total else 1.0), np.float32)


def gram_of(x: csr_matrix) -> npt.NDArray[np.float64]:
    """Return X'X, dense, in Fortran's order."""
    n, transposed = x.shape[1], x.T.tocsr()
    gram = np.empty((n, n), np.float64, order="F")
    for start in range(0, n, _COLUMNS_AT_ONCE):
        columns = slice(start, start + _COLUMNS_AT_ONCE)
        gram[:, columns] = (transposed @ x[:, columns]).toarray()
    return gram


def _inverse(symmetric: npt.NDArray[np.float64], parameters: Parameters) -> npt.NDArray[np.float64]:
    """Return the inverse by Cholesky's factors; overwrites its argument."""
    # One thread: the sums, and so the bytes, must not depend on how many there are.
    with threadpool_limits(limits=1, user_api="blas"):
        factor, failed = lapack.dpotrf(symmetric, lower=1, overwrite_a=1)
        inverse, failed_too = lapack.dpotri(factor, lower=1, overwrite_c=1)
    if failed or failed_too:
        raise DatasetError(
            f"item-to-item weights cannot be found with {parameters}: raise regularization"
        )
    for row in range(len(inverse)):  # LAPACK gives one half; a copy would cost 8 N^2 bytes
        inverse[row, row + 1 :] = inverse[row + 1 :, row]
    return np.asarray(inverse)


@dataclass(frozen=True, slots=True, eq=False)
class ItemToItemModel:
    """Ranks movies by the weights from what each user liked: a `FittedModel`."""

    items: ItemWeights
    histories: csr_matrix
    """(n_users, N): X of the movies that have weights."""

    @classmethod
    def of(cls, items: ItemWeights, x: csr_matrix) -> Self:
        """Return the model of users with interactions (n_users, n_movies)."""
        return cls(items, x[:, items.movies])

    @classmethod
    def fit(cls, dataset: Dataset, keep: npt.NDArray[np.bool_], parameters: Parameters) -> Self:
        """Return the model of the kept interactions, (n,). Raises DatasetError, see `fit`."""
        x = interactions(dataset, keep, parameters)
        return cls.of(fit(x, parameters), x)

    def score_rows(self, users: Array) -> Float32:
        """Return the scores of all movies for some users, (len(users), n_movies)."""
        return self.items.scores(self.histories[users])

    def top(self, users: Array, k: int, exclusions: Exclusions) -> npt.NDArray[np.int32]:
        """See `FittedModel.top`."""
        return fitted.top_of(self.score_rows, users, k, exclusions)

    def pair_scores(self, users: Array, movies: Array) -> Float32:
        """See `FittedModel.pair_scores`."""
        return pair_scores_of(self.score_rows, users, movies)


def pair_scores_of(score_rows: Callable[[Array], Float32], users: Array, movies: Array) -> Float32:
    """Return the scores of pairs by whole rows of their users, as `FittedModel.pair_scores`."""
    found = np.empty(len(users), np.float32)
    order = np.argsort(users, kind="stable")
    for places in _runs(order):
        rows, row_of = np.unique(users[places], return_inverse=True)
        found[places] = score_rows(rows)[row_of, movies[places]]
    return found


def _runs(order: Array) -> Iterator[Array]:
    for start in range(0, len(order), _PAIRS_AT_ONCE):
        yield order[start : start + _PAIRS_AT_ONCE]
