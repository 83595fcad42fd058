"""NDCG@100 on users whom no model was trained on, each model tuned on other users.

The product's model is what `functions.train_als` fits: factors and item-to-item weights, blended.
A test user's factors are folded in. The rival is EASE, tuned on the same users.
"""

import dataclasses
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from scipy.sparse import csr_matrix

from bench.benchmark_report import Row
from bench.interaction_splits import Array, HeldOut, Split
from functions.train_als import als, blend, edlae
from functions.train_als.als import AlsModel
from functions.train_als.blend import Blend
from functions.train_als.edlae import ItemToItemModel, ItemWeights
from movierec.model import offline_metrics
from movierec.model.fitted import Exclusions, FittedModel
from movierec.model.sparse_rows import SparseRows

GAIN_GOAL: Final = 0.012
_LIST: Final = 100
_RECALL_LIST: Final = 20

# Steck 2019 has lambda 200 to 1,000 for its data sets: 0.15 to 2.5 times the squared edge.
_EASE: Final = tuple(
    edlae.Parameters(dropout=0, user_exponent=0, regularization=r)
    for r in (0.5, 0.8, 1.2, 1.8, 2.5)
)
_ITEMS: Final = tuple(
    edlae.Parameters(dropout=dropout, regularization=regularization)
    for dropout, regularization in ((0.33, 0.9), (0.5, 0.5), (0.5, 0.7), (0.6, 0.5))
)
_ALS: Final = tuple(
    als.Parameters(factors=256, alpha=alpha, regularization=regularization)
    for alpha, regularization in ((5.0, 2.5), (10.0, 3.5), (10.0, 4.0))
)
_BLENDS: Final = tuple(
    blend.Parameters(als_share=share, popularity_exponent=exponent)
    for share, exponent in itertools.product((0.3, 0.4, 0.5, 0.6, 0.7), (0.0, 0.05, 0.1, 0.15, 0.2))
)


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """NDCG@100 and Recall@20 of each test user, (n,)."""

    ndcg: Array
    recall: Array


def score(model: FittedModel, held_out: HeldOut) -> Scored:
    """Return the metrics of a model of these users.

    Recall@20 is of at most 20 movies, as in Liang et al. 2018.
    """
    known, hidden = held_out.known, held_out.hidden
    users = np.flatnonzero(np.diff(hidden.indptr))
    nobody = np.zeros(known.shape[0], np.bool_)
    seen = SparseRows(known.indptr, known.indices)
    lists = model.top(users, _LIST, Exclusions(seen, nobody, np.zeros(0, np.int32)))
    wanted, n_movies = SparseRows(hidden.indptr, hidden.indices).take(users), hidden.shape[1]
    rows, counts = wanted.row_numbers(), np.diff(wanted.indptr)
    hits = offline_metrics.hits(lists[:, :_RECALL_LIST], rows, wanted.columns, n_movies)
    return Scored(
        offline_metrics.per_user(lists, rows, wanted.columns, np.zeros(n_movies)).ndcg,
        hits.sum(axis=1) / np.minimum(counts, _RECALL_LIST),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Folded:
    """Models of users who were not trained on."""

    als: AlsModel
    items: ItemToItemModel
    likes: Array

    def blend(self, parameters: blend.Parameters) -> Blend:
        return Blend.of(self.als, self.items, self.likes, parameters)


def _fold(
    factors: AlsModel, alpha: float, items: ItemWeights, x: csr_matrix, known: csr_matrix
) -> _Folded:
    """Return the models of users of whom this is known, by what `x` gave."""
    return _Folded(
        factors.of(known * np.float32(1 + alpha)),
        ItemToItemModel.of(items, known),
        np.bincount(x.indices, minlength=x.shape[1]),
    )


def run(split: Split, threads: int) -> tuple[dict[str, Any], dict[str, Scored]]:
    """Tune on the validation users; return the parameters chosen and each model's test scores."""
    train, held_out = split.train, split.validation

    def of_items(parameters: edlae.Parameters) -> FittedModel:
        return ItemToItemModel.of(edlae.fit(train, parameters), held_out.known)

    ease, items = (_best(grid, of_items, held_out) for grid in (_EASE, _ITEMS))
    weights = edlae.fit(train, items)
    fits = {p: _als(train, p, threads) for p in _ALS}
    folded = {p: _fold(fits[p], p.alpha, weights, train, held_out.known) for p in _ALS}
    # What is published is the blend: factors are chosen for what they add to it.
    pairs = tuple(itertools.product(_ALS, _BLENDS))
    factors, mixed = _best(pairs, lambda pair: folded[pair[0]].blend(pair[1]), held_out)
    x, known = split.refit, split.test.known
    fitted = fits[factors]
    if x is not train:
        fitted, weights = _als(x, factors, threads), edlae.fit(x, items)
    final = _fold(fitted, factors.alpha, weights, x, known)
    models: Mapping[str, FittedModel] = {
        "EASE": ItemToItemModel.of(edlae.fit(x, ease), known),
        "EDLAE": final.items,
        "ALS": final.als,
        "blend": final.blend(mixed),
    }
    chosen: Mapping[str, Any] = {"EASE": ease, "EDLAE": items, "ALS": factors, "blend": mixed}
    return (
        {name: dataclasses.asdict(parameters) for name, parameters in chosen.items()},
        {name: score(model, split.test) for name, model in models.items()},
    )


def _als(x: csr_matrix, parameters: als.Parameters, threads: int) -> AlsModel:
    return AlsModel.fit_matrix(x * np.float32(1 + parameters.alpha), parameters, threads=threads)


def _best[P](grid: Sequence[P], fit: Callable[[P], FittedModel], held_out: HeldOut) -> P:
    return max(grid, key=lambda parameters: score(fit(parameters), held_out).ndcg.mean())


def rows(name: str, scored: Mapping[str, Scored], goal: float | None = GAIN_GOAL) -> list[Row]:
    """Return a split's figures, and the blend's gain over EASE on the same users."""
    ease, ours = scored["EASE"], scored["blend"]
    gain = ours.ndcg - ease.ndcg
    error = gain.std(ddof=1) / np.sqrt(len(gain))
    found = [
        Row(
            f"{name}: {metric} of {model}",
            float(getattr(scored[model], metric_name).mean()),
            "",
            better="higher",
            rival="EASE, tuned",
            rival_value=float(getattr(ease, metric_name).mean()),
        )
        for metric, metric_name in (("NDCG@100", "ndcg"), ("Recall@20", "recall"))
        for model in scored
        if model != "EASE"
    ]
    gained = f"{name}: NDCG@100 gained over EASE, paired (standard error {error:.4f})"
    return [*found, Row(gained, float(gain.mean()), "", better="higher", goal=goal)]
