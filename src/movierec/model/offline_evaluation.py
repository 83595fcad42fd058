"""Evaluate models on held-out interactions, all on the same users.

Each is fitted on TRAIN alone and recommends LIST_LENGTH movies to users who liked a movie in TEST,
all or an even sample (`movierec.model.held_out`), under the rules of serving: no movie seen in
TRAIN, no adult movie for minors and unknown ages. The model in production is compared on those of
them whom it knows (`movierec.model.production`).

Intervals are of 95%, by bootstrap over users (`movierec.model.bootstrap`); differences are paired:
user by user.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from movierec.model import artifact, bootstrap, evaluation_flags, offline_metrics
from movierec.model.artifact import HELD_OUT_TOPK_FILE, HELD_OUT_USERS_FILE, TOP_K
from movierec.model.bootstrap import Interval
from movierec.model.dataset import TRAIN, Dataset
from movierec.model.encoding import Array, dump_npy
from movierec.model.fitted import FittedModel
from movierec.model.held_out import HeldOut
from movierec.model.list_diversity import Viewers
from movierec.model.offline_metrics import RANKING_METRICS, PerUser
from movierec.model.popularity import Popularity
from movierec.model.production import Production, held_out_from
from movierec.model.ranking import LIST_LENGTH

# NDCG of so many has a standard error below 0.001; a million more users would take minutes.
_MOST_TEST_USERS: Final = 100_000

PRODUCT: Final = "model"
POPULARITY: Final = "popularity"
PRODUCTION: Final = "production"

COMPARED: Final = ("recall", "ndcg", "map", "mrr", "hit_rate")
"""The metrics whose differences are reported; of subpopulations the first two."""
_COMPARED_BY_GROUP: Final = COMPARED[:2]


@dataclass(frozen=True, slots=True, eq=False)
class Evaluated:
    """The metrics, and the lists of the model under test: what a later model is compared with."""

    metrics: dict[str, Any]
    files: dict[str, bytes]
    """HELD_OUT_USERS_FILE and HELD_OUT_TOPK_FILE of an artifact."""


@dataclass(frozen=True, slots=True, eq=False)
class _Judged:
    per_user: PerUser
    overall: dict[str, Any]
    lists: Array
    known: npt.NDArray[np.bool_]
    """Which test users it was judged on."""


def evaluate(
    dataset: Dataset,
    fitted: FittedModel,
    *,
    others: Mapping[str, FittedModel] | None = None,
    production: Production | None = None,
    most_users: int = _MOST_TEST_USERS,
) -> dict[str, Any]:
    """Return the metrics of `judge`."""
    return judge(
        dataset, fitted, others=others, production=production, most_users=most_users
    ).metrics


def judge(
    dataset: Dataset,
    fitted: FittedModel,
    *,
    others: Mapping[str, FittedModel] | None = None,
    production: Production | None = None,
    most_users: int = _MOST_TEST_USERS,
) -> Evaluated:
    """Return the metrics of a model, the popular list and `others`, overall and by subpopulation.

    All but `production` know TRAIN alone. Metrics are plain values; their names are those of
    `movierec.model.offline_metrics`. More than `most_users` test users are sampled evenly.
    """
    test, train = HeldOut.of(dataset, most_users), dataset.part == TRAIN
    models: dict[str, FittedModel] = {
        PRODUCT: fitted,
        POPULARITY: Popularity.overall(dataset, train),
        **(others or {}),
    }
    if production and production.lists:
        models[PRODUCTION] = production.lists
    viewers = Viewers.of(dataset.indptr, dataset.movies, train, len(dataset.movie_ids))
    judged = {name: _judge(dataset, test, model, viewers) for name, model in models.items()}
    judged = {name: found for name, found in judged.items() if found.known.any()}
    differences = {name: _differences(judged, name) for name in judged if name != PRODUCT}
    groups = _by_group(test, judged)
    metrics = {
        "k": LIST_LENGTH,
        "test_users": len(test.users),
        "test_interactions": len(test.liked),
        "held_out_from_s": held_out_from(dataset),
        "model": judged[PRODUCT].overall,
        "popularity": judged[POPULARITY].overall,
        "others": {n: found.overall for n, found in judged.items() if n not in _OF_THEIR_OWN},
        "gain": {
            name: {
                **offline_metrics.difference(
                    judged[PRODUCT].per_user, judged[POPULARITY].per_user, name
                ),
                "low": differences[POPULARITY][name]["low"],
                "high": differences[POPULARITY][name]["high"],
            }
            for name in COMPARED
        },
        "differences": differences,
        "production": production.facts() if production else None,
        "groups": groups,
        "new_movies": {name: _of_new_movies(test, found) for name, found in judged.items()},
    }
    flags = evaluation_flags.of_dataset(dataset) + evaluation_flags.of_metrics(metrics)
    return Evaluated({**metrics, "flags": flags}, _files(dataset, test, judged[PRODUCT]))


_OF_THEIR_OWN: Final = (PRODUCT, POPULARITY)


def _judge(dataset: Dataset, test: HeldOut, fitted: FittedModel, viewers: Viewers) -> _Judged:
    n_movies = len(dataset.movie_ids)
    longer = fitted.top(test.users, TOP_K, test.exclusions)
    lists = longer[:, :LIST_LENGTH]
    knows = getattr(fitted, "knows", None)
    known = knows(test.users) if knows else np.ones(len(test.users), np.bool_)
    bits = offline_metrics.surprise(viewers.all_counts, len(dataset.user_ids))
    found = offline_metrics.per_user(lists, test.liked_rows, test.liked, bits)
    scores = fitted.pair_scores(test.users[test.rated_rows], test.rated)
    overall = {
        **offline_metrics.summarise(found, known),
        "intervals": _intervals(found, known),
        "coverage": offline_metrics.coverage(lists, n_movies),
        "gini": offline_metrics.gini(lists, n_movies),
        "diversity": _mean(viewers.diversities(lists[known])),
        "mean_hit_rating": offline_metrics.mean_hit_rating(
            lists, test.rated_rows, test.rated, test.ratings, n_movies
        ),
        "rating_concordance": offline_metrics.rating_concordance(
            test.rated_rows, scores, test.ratings
        )
        if np.isfinite(scores).all()
        else None,
    }
    return _Judged(found, overall, longer, known)


def _mean(values: Array) -> float | None:
    return float(values.mean()) if len(values) else None


def _columns(metrics: PerUser, names: tuple[str, ...], where: Array) -> npt.NDArray[np.float64]:
    return np.column_stack([getattr(metrics, name)[where] for name in names]).astype(np.float64)


def _intervals(metrics: PerUser, known: Array) -> dict[str, list[float]]:
    if not known.any():
        return {}
    found = bootstrap.resample(_columns(metrics, RANKING_METRICS, known))
    intervals = {name: found.interval(i) for i, name in enumerate(RANKING_METRICS)}
    return {name: [each.low, each.high] for name, each in intervals.items()}


def _differences(judged: Mapping[str, _Judged], other: str) -> dict[str, dict[str, float | int]]:
    """Return the product's metrics minus another model's, on the users of both."""
    theirs = judged[other]
    found = _paired(judged[PRODUCT].per_user, theirs.per_user, theirs.known, COMPARED)
    return {name: interval.to_json() for name, interval in found.items()}


def _paired(
    ours: PerUser, theirs: PerUser, where: Array, names: tuple[str, ...]
) -> dict[str, Interval]:
    values = _columns(ours, names, where) - _columns(theirs, names, where)
    found = bootstrap.resample(values)
    return {name: found.interval(i) for i, name in enumerate(names)}


def _by_group(test: HeldOut, judged: Mapping[str, _Judged]) -> dict[str, Any]:
    return {
        kind: {name: _of_group(judged, where) for name, where in masks.items() if bool(where.any())}
        for kind, masks in test.subpopulations.items()
    }


def _of_group(judged: Mapping[str, _Judged], where: Array) -> dict[str, Any]:
    """Return a subpopulation's metrics of the product, the popular list and production."""
    found: dict[str, Any] = {"differences": {}}
    for name in (PRODUCT, POPULARITY, PRODUCTION):
        model = judged.get(name)
        both = where & model.known if model else where
        if model is None or not both.any():
            continue
        found[name] = offline_metrics.summarise(model.per_user, both)
        if name == PRODUCT:
            found[name]["intervals"] = _intervals(model.per_user, both)
        else:
            paired = _paired(judged[PRODUCT].per_user, model.per_user, both, _COMPARED_BY_GROUP)
            found["differences"][name] = {n: each.to_json() for n, each in paired.items()}
    return found


def _of_new_movies(test: HeldOut, judged: _Judged) -> dict[str, Any]:
    """Return the mean recall of liked new movies, over the users who liked one."""
    new = test.new_movies[test.liked] & judged.known[test.liked_rows]
    users, rows = np.unique(test.liked_rows[new], return_inverse=True)
    if not len(users):
        return {"users": 0}
    lists = judged.lists[users, :LIST_LENGTH]
    hit = offline_metrics.hits(lists, rows, test.liked[new], len(test.new_movies)).sum(axis=1)
    recall = (hit / np.bincount(rows))[:, None]
    found = bootstrap.resample(recall).interval(0)
    return {"recall": found.mean, "intervals": {"recall": [found.low, found.high]}} | {
        "users": found.users
    }


def _files(dataset: Dataset, test: HeldOut, judged: _Judged) -> dict[str, bytes]:
    dtype = artifact.index_type(len(dataset.movie_ids))
    lists = np.where(judged.lists >= 0, judged.lists, np.iinfo(dtype).max).astype(dtype)
    return {
        HELD_OUT_USERS_FILE: dump_npy(dataset.user_ids[test.users]),
        HELD_OUT_TOPK_FILE: dump_npy(lists),
    }
