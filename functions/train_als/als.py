"""Alternating least squares on implicit feedback, by the library `implicit`.

Hu, Koren & Volinsky 2008, "Collaborative Filtering for Implicit Feedback Datasets": factors x_u,
y_i of shape (k,) minimise

    sum over all u, i of c_ui (p_ui - x_u . y_i)^2 + lambda (sum |x_u|^2 + sum |y_i|^2)

with p_ui = 1 where user u has a positive interaction with movie i and 0 elsewhere, and
c_ui = 1 + alpha s_ui, where s is the interaction's strength (movierec.model.dataset), 0 elsewhere.
`implicit` solves for the matrix of c by three steps of conjugate gradients an iteration (Takacs,
Pilaszy & Tikk 2011), or exactly with `exact`.

One set of inputs and seed gives the same bytes whatever the number of threads: each row is solved
by one thread, and BLAS has one. Another CPU or another BLAS may differ in the last bits.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple, Self

import numpy as np
import numpy.typing as npt
from implicit.cpu.als import AlternatingLeastSquares
from implicit.cpu.topk import topk
from implicit.recommender_base import ModelFitError
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # it has no types

from movierec.errors import DatasetError
from movierec.model import fold_in
from movierec.model.dataset import Dataset
from movierec.model.encoding import Array
from movierec.model.fitted import Exclusions, Factors, Float32
from movierec.model.fold_in import FoldIn
from movierec.model.sparse_rows import SparseRows
from movierec.parameters import read_parameters, require

# The lists' peak memory is this many rows of 50; larger chunks are no faster.
_USERS_A_CHUNK: Final = 10_000
_NOT_TO_BE_SHOWN: Final = np.finfo(np.float32).min

GoOn = Callable[[int, Factors], bool]
"""Given the iterations done and their factors: whether to do another."""


class _StoppedError(Exception):
    """A fit was ended between two iterations; its factors are good."""


def _always(_iterations: int, _factors: Factors) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Parameters:
    """Hyperparameters of a model."""

    factors: int = 64
    regularization: float = 2.0
    """lambda in units of `bai_yin_edge`, to suit ten thousand interactions and a billion alike."""
    # Best or near it on MovieLens 1M and 100K, each within 3% of the best of 20 tried.
    alpha: float = 3.0
    iterations: int = 15
    seed: int = 20_081_215
    """Of the factors' initial values."""

    def __post_init__(self) -> None:
        """Raise UsageError for a value out of its range."""
        require(1 <= self.factors <= 1024, "factors", self.factors, "1 to 1024")  # noqa: PLR2004  against typos
        require(1 <= self.iterations <= 1000, "iterations", self.iterations, "1 to 1000")  # noqa: PLR2004  likewise
        require(self.regularization > 0, "regularization", self.regularization, "more than 0")
        require(self.alpha >= 0, "alpha", self.alpha, "0 or more")
        require(self.seed >= 0, "seed", self.seed, "0 or more")

    @classmethod
    def read(cls, values: dict[str, Any]) -> Self:
        """Return the parameters that an event gives, defaults for the rest. Raises UsageError."""
        return read_parameters(cls, values)


def matrix(dataset: Dataset, keep: npt.NDArray[np.bool_], values: Array) -> csr_matrix:
    """Return the kept interactions' values, (n_users, n_movies) float32."""
    rows = SparseRows(dataset.indptr, dataset.movies).where(keep)
    shape = (len(dataset.user_ids), len(dataset.movie_ids))
    # The library takes no read-only array, as those of a data set that was loaded are.
    data = (
        values[keep].astype(np.float32, copy=False),
        np.require(rows.columns, requirements="W"),
        rows.indptr,
    )
    return csr_matrix(data, shape=shape)


def confidences(dataset: Dataset, keep: npt.NDArray[np.bool_], alpha: float) -> csr_matrix:
    """Return c of the kept positive interactions; see the module's docstring."""
    return matrix(dataset, keep & (dataset.strength > 0), 1 + alpha * dataset.strength)


def bai_yin_edge(confidence: csr_matrix) -> float:
    """Return the edge below which singular values of so many positives are noise; see `fold_in`."""
    return fold_in.bai_yin_edge(confidence.nnz, *confidence.shape)


def fit(
    confidence: csr_matrix,
    parameters: Parameters,
    *,
    threads: int,
    exact: bool = False,
    go_on: GoOn = _always,
) -> Factors:
    """Return the factors of (n_users, n_movies) confidences.

    `go_on` is asked after each iteration, and must not change the factors.

    Raises DatasetError if they are not finite: confidences are too large for float32, or
    `regularization` is too small for them.
    """
    with threadpool_limits(limits=1, user_api="blas"):
        model = AlternatingLeastSquares(
            factors=parameters.factors,
            regularization=parameters.regularization * bai_yin_edge(confidence),
            iterations=parameters.iterations,
            random_state=parameters.seed,
            use_cg=not exact,
            num_threads=threads,
        )

        def after(iteration: int, _seconds: float, _loss: float | None) -> None:
            if not go_on(iteration + 1, Factors(model.user_factors, model.item_factors)):
                raise _StoppedError

        try:
            with suppress(_StoppedError):
                model.fit(confidence, show_progress=False, callback=after)
        except ModelFitError as exc:
            raise DatasetError(_no_numbers(parameters)) from exc
    found = Factors(model.user_factors, model.item_factors)
    # The library checks for NaN only.
    if not (np.isfinite(found.users).all() and np.isfinite(found.movies).all()):
        raise DatasetError(_no_numbers(parameters))
    return found


def _no_numbers(parameters: Parameters) -> str:
    return (
        f"training gave factors that are no numbers with {parameters}: raise regularization, or"
        " lower alpha"
    )


@dataclass(frozen=True, slots=True, eq=False)
class AlsModel:
    """Factors that rank by `implicit`'s own top-k, on `threads` threads: a `FittedModel`."""

    factors: Factors
    threads: int
    regularization: float = math.nan
    """lambda in absolute units, which folding users in needs."""

    @classmethod
    def fit(
        cls,
        dataset: Dataset,
        keep: npt.NDArray[np.bool_],
        parameters: Parameters,
        *,
        threads: int,
        go_on: GoOn = _always,
    ) -> Self:
        """Return the model of the kept interactions, (n,). Raises DatasetError, see `fit`."""
        confidence = confidences(dataset, keep, parameters.alpha)
        return cls.fit_matrix(confidence, parameters, threads=threads, go_on=go_on)

    @classmethod
    def fit_matrix(
        cls,
        confidence: csr_matrix,
        parameters: Parameters,
        *,
        threads: int,
        go_on: GoOn = _always,
    ) -> Self:
        """Return the model of (n_users, n_movies) confidences. Raises DatasetError, see `fit`."""
        strength = parameters.regularization * bai_yin_edge(confidence)
        factors = fit(confidence, parameters, threads=threads, go_on=go_on)
        return cls(factors, threads, strength)

    @property
    def fold_in(self) -> FoldIn:
        """Return what gives factors to users who were not there."""
        return FoldIn(self.factors.movies, self.regularization)

    def of(self, confidence: csr_matrix) -> Self:
        """Return the model of other users, with these confidences: (n, n_movies)."""
        rows = SparseRows(confidence.indptr, confidence.indices)
        users = self.fold_in.factors(rows, confidence.data)
        return replace(self, factors=Factors(users, self.factors.movies))

    def score_rows(self, users: Array) -> Float32:
        """Return the scores of all movies for some users, (len(users), n_movies)."""
        found: Float32 = self.factors.users[users] @ self.factors.movies.T
        return found

    def top(self, users: Array, k: int, exclusions: Exclusions) -> npt.NDArray[np.int32]:
        """See `FittedModel.top`."""
        movies = self.factors.movies
        lists = np.full((len(users), k), -1, np.int32)
        for places in _chunks(exclusions.restricted[users]):
            chunk = users[places]
            adult = exclusions.adult if exclusions.restricted[chunk[0]] else ()
            with threadpool_limits(limits=1, user_api="blas"):
                ids, scores = topk(
                    movies,
                    np.ascontiguousarray(self.factors.users[chunk]),
                    min(k, len(movies)),
                    filter_query_items=_RowsByNumber(exclusions.seen.take(chunk)),
                    filter_items=adult if len(adult) else None,
                    num_threads=self.threads,
                )
            lists[places, : ids.shape[1]] = np.where(scores > _NOT_TO_BE_SHOWN, ids, -1)
        return lists

    def pair_scores(self, users: Array, movies: Array) -> Float32:
        """See `FittedModel.pair_scores`."""
        found: Float32 = np.einsum(
            "ij,ij->i", self.factors.users[users], self.factors.movies[movies]
        )
        return found


class _Row(NamedTuple):
    indices: Array


class _RowsByNumber:
    """As much of a csr_matrix as `topk` reads; scipy's own takes 50 us to make each row."""

    def __init__(self, rows: SparseRows) -> None:
        self._indptr, self._columns = rows.indptr.tolist(), rows.columns

    def __getitem__(self, row: int) -> _Row:
        return _Row(self._columns[self._indptr[row] : self._indptr[row + 1]])


def _chunks(restricted: npt.NDArray[np.bool_]) -> Iterator[Array]:
    """Yield places, at most _USERS_A_CHUNK at once, restricted users and others apart."""
    for wanted in (False, True):
        places = np.flatnonzero(restricted == wanted)
        for start in range(0, len(places), _USERS_A_CHUNK):
            yield places[start : start + _USERS_A_CHUNK]
