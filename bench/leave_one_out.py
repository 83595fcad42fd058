"""HR@10 and NDCG@10 of one left-out movie among 99 that its user has not rated.

The protocol of He et al. 2017, as in Rendle et al. 2021, "Revisiting the Performance of iALS on
Item Recommendation Benchmarks"; what is left out is drawn, as this copy of MovieLens has no times.
The rival is `implicit` with that study's parameters (192 factors, 12 epochs, unobserved weight 0.3,
regularisation 0.007). It scales regularisation by how often a user or a movie occurs, the library
does not, and gets the mean of the scaled values. The product's parameters are tuned on another
left-out movie of each user.
"""

import itertools
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from scipy.sparse import csr_matrix

from bench.benchmark_report import Row
from bench.interaction_splits import Array
from functions.train_als import als, blend, edlae
from functions.train_als.als import AlsModel
from functions.train_als.blend import Blend
from functions.train_als.edlae import ItemToItemModel
from movierec.model.fitted import FittedModel

GAIN_GOAL: Final = 0.002
_NEGATIVES: Final = 99
_LIST: Final = 10

_EPOCHS: Final = 12
_FACTORS: Final = 192
_UNOBSERVED: Final = 0.3
_SCALED_REGULARIZATION: Final = 0.007

_ALS: Final = tuple(
    als.Parameters(factors=_FACTORS, alpha=alpha, regularization=regularization)
    for alpha, regularization in ((3.0, 1.5), (5.0, 2.5))
)
_BLENDS: Final = tuple(
    blend.Parameters(als_share=share, popularity_exponent=exponent)
    for share, exponent in itertools.product((0.5, 0.65, 0.8, 0.9), (0.0, 0.1))
)


@dataclass(frozen=True, slots=True, eq=False)
class _LeftOut:
    """Interactions, and for each user the movie left out, then the 99 others, (n_users, 100)."""

    train: csr_matrix
    candidates: Array


def _leave_out(x: csr_matrix, rated: csr_matrix, rng: np.random.Generator) -> _LeftOut:
    """Leave one movie of each user out; the others are none of `rated`."""
    chosen = x.indptr[:-1] + np.floor(rng.random(x.shape[0]) * np.diff(x.indptr)).astype(np.int64)
    out = x.indices[chosen]
    keep = np.ones(x.nnz, np.bool_)
    keep[chosen] = False
    indptr = x.indptr - np.arange(x.shape[0] + 1)
    train = csr_matrix((x.data[keep], x.indices[keep], indptr), shape=x.shape)
    others = np.empty((x.shape[0], _NEGATIVES), np.int64)
    for user in range(x.shape[0]):
        own = rated.indices[rated.indptr[user] : rated.indptr[user + 1]]
        free = np.setdiff1d(np.arange(x.shape[1]), own, assume_unique=True)
        others[user] = rng.choice(free, _NEGATIVES, replace=False)
    return _LeftOut(train, np.column_stack([out, others]))


def _hits(model: FittedModel, left_out: _LeftOut) -> tuple[Array, Array]:
    """Return HR@10 and NDCG@10 of each user, (n_users,)."""
    n_users, width = left_out.candidates.shape
    users = np.repeat(np.arange(n_users), width)
    scores = model.pair_scores(users, left_out.candidates.ravel()).reshape(n_users, width)
    rank = (scores[:, 1:] >= scores[:, :1]).sum(axis=1)
    hit = rank < _LIST
    return hit.astype(np.float64), np.where(hit, 1 / np.log2(rank + 2), 0)


def _google(x: csr_matrix, threads: int) -> AlsModel:
    """Return `implicit`'s model with the study's parameters."""
    alpha = 1 / _UNOBSERVED
    users, movies = x.shape
    scaled = _SCALED_REGULARIZATION * np.array(
        [x.nnz / users + _UNOBSERVED * movies, x.nnz / movies + _UNOBSERVED * users]
    )
    confidence = x * np.float32(1 + alpha)
    edge = als.bai_yin_edge(confidence)
    parameters = als.Parameters(
        factors=_FACTORS,
        alpha=alpha,
        iterations=_EPOCHS,
        regularization=float(scaled.mean()) * alpha / edge,
    )
    return AlsModel.fit_matrix(confidence, parameters, threads=threads)


def _als(x: csr_matrix, parameters: als.Parameters, threads: int) -> AlsModel:
    return AlsModel.fit_matrix(x * np.float32(1 + parameters.alpha), parameters, threads=threads)


def _blend(
    factors: AlsModel, items: ItemToItemModel, x: csr_matrix, parameters: blend.Parameters
) -> Blend:
    likes = np.bincount(x.indices, minlength=x.shape[1])
    return Blend.of(factors, items, likes, parameters)


def run(ratings: Array, threads: int, seed: int = 1) -> tuple[dict[str, Any], list[Row]]:
    """Return the parameters chosen, and the figures; `ratings` is (n, 2 or more)."""
    users, rows = np.unique(ratings[:, 0], return_inverse=True)
    movies, columns = np.unique(ratings[:, 1], return_inverse=True)
    ones = np.ones(len(rows), np.float32)
    rated = csr_matrix((ones, (rows, columns)), shape=(len(users), len(movies)))
    rng = np.random.default_rng(seed)
    test = _leave_out(rated, rated, rng)
    validation = _leave_out(test.train, rated, rng)
    factors, mixed = _tune(validation, threads)
    items = ItemToItemModel.of(edlae.fit(test.train, edlae.Parameters()), test.train)
    ours = _blend(_als(test.train, factors, threads), items, test.train, mixed)
    (hr, ndcg), (rival_hr, rival_ndcg) = (
        _hits(model, test) for model in (ours, _google(test.train, threads))
    )
    rival = "implicit, parameters of Rendle et al. 2021"
    name = "ML-1M, one left out of each user among 99 others"
    chosen = {"ALS": asdict(factors), "blend": asdict(mixed)}
    found = [
        Row(f"{name}: {metric}", float(a.mean()), "", "higher", None, rival, float(b.mean()))
        for metric, a, b in (("HR@10", hr, rival_hr), ("NDCG@10", ndcg, rival_ndcg))
    ]
    error = (hr - rival_hr).std(ddof=1) / np.sqrt(len(hr))
    gained = f"{name}: HR@10 gained, paired (standard error {error:.4f})"
    return chosen, [
        *found,
        Row(gained, float((hr - rival_hr).mean()), "", better="higher", goal=GAIN_GOAL),
    ]


def _tune(validation: _LeftOut, threads: int) -> tuple[als.Parameters, blend.Parameters]:
    x = validation.train
    fitted = [(parameters, _als(x, parameters, threads)) for parameters in _ALS]
    items = ItemToItemModel.of(edlae.fit(x, edlae.Parameters()), x)
    tried = (
        (_hits(_blend(model, items, x, mixed), validation)[0].mean(), factors, mixed)
        for factors, model in fitted
        for mixed in _BLENDS
    )
    _, factors, mixed = max(tried, key=lambda each: each[0])
    return factors, mixed
