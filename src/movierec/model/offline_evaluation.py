"""Evaluate models on held-out interactions, all on the same users.

Each is fitted on TRAIN alone and recommends LIST_LENGTH movies to users who liked a movie in TEST,
all or an even sample (`movierec.model.held_out`), under the rules of serving: no movie seen in
TRAIN, no adult movie for minors and unknown ages. The model in production is compared on those of
them whom it knows (`movierec.model.production`).

Intervals are of 95%, by bootstrap over users (`movierec.model.bootstrap`); differences are paired:
user by user.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from movierec.model import artifact, bootstrap, evaluation_flags, offline_metrics
from movierec.model.artifact import HELD_OUT_TOPK_FILE, HELD_OUT_USERS_FILE, TOP_K
from movierec.model.bootstrap import Resampled
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

# Of the other models: enough for a difference of 0.002.
_MOST_COMPARED_USERS: Final = 20_000

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

    All but `production` know TRAIN alone; `others` are judged on an even sample of test users.
    Metrics are plain values; their names are those of `movierec.model.offline_metrics`. More than
    `most_users` test users are sampled evenly.
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
    everybody = np.ones(len(test.users), np.bool_)
    asked = {name: _sample(len(test.users)) for name in others or {}}
    judged = {
        name: _judge(dataset, test, model, viewers, asked.get(name, everybody))
        for name, model in models.items()
    }
    judged = {name: found for name, found in judged.items() if found.known.any()}
    differences = _compare(judged)
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
        "groups": _by_group(test, judged),
        "new_movies": {name: _of_new_movies(test, found) for name, found in judged.items()},
    }
    flags = evaluation_flags.of_dataset(dataset) + evaluation_flags.of_metrics(metrics)
    return Evaluated({**metrics, "flags": flags}, _files(dataset, test, judged[PRODUCT]))


_OF_THEIR_OWN: Final = (PRODUCT, POPULARITY)


def _sample(users: int) -> npt.NDArray[np.bool_]:
    """Return an even sample of at most _MOST_COMPARED_USERS, (users,)."""
    step = max(1, math.ceil(users / _MOST_COMPARED_USERS))
    return np.asarray(np.arange(users) % step == 0)


def _judge(
    dataset: Dataset, test: HeldOut, fitted: FittedModel, viewers: Viewers, asked: Array
) -> _Judged:
    """Return what a model's lists are worth, of those of the `asked` users whom it knows."""
    n_movies = len(dataset.movie_ids)
    knows = getattr(fitted, "knows", None)
    known = asked & knows(test.users) if knows else asked
    longer = np.full((len(test.users), TOP_K), -1, np.int32)
    longer[known] = fitted.top(test.users[known], TOP_K, test.exclusions)
    lists = longer[:, :LIST_LENGTH]
    bits = offline_metrics.surprise(viewers.all_counts, len(dataset.user_ids))
    found = offline_metrics.per_user(lists, test.liked_rows, test.liked, bits)
    rated = known[test.rated_rows]
    rated_rows, rated_movies = test.rated_rows[rated], test.rated[rated]
    ratings = test.ratings[rated]
    scores = fitted.pair_scores(test.users[rated_rows], rated_movies)
    overall = {
        **offline_metrics.summarise(found, known),
        "coverage": offline_metrics.coverage(lists, n_movies),
        "gini": offline_metrics.gini(lists, n_movies),
        "diversity": _mean(viewers.diversities(lists[known])),
        "mean_hit_rating": offline_metrics.mean_hit_rating(
            lists, rated_rows, rated_movies, ratings, n_movies
        ),
        "rating_concordance": offline_metrics.rating_concordance(rated_rows, scores, ratings)
        if np.isfinite(scores).all()
        else None,
    }
    return _Judged(found, overall, longer, known)


def _mean(values: Array) -> float | None:
    return float(values.mean()) if len(values) else None


@dataclass(frozen=True, slots=True, eq=False)
class _Samples:
    """Resampled means of all ranking metrics of several models, on the same users."""

    models: tuple[str, ...]
    resampled: Resampled

    @classmethod
    def of(cls, judged: Mapping[str, _Judged], where: Array) -> Self:
        columns = [
            getattr(found.per_user, name)[where]
            for found in judged.values()
            for name in RANKING_METRICS
        ]
        values = np.column_stack(columns).astype(np.float64)
        return cls(tuple(judged), bootstrap.resample(values))

    def _column(self, model: str, metric: str) -> int:
        return self.models.index(model) * len(RANKING_METRICS) + RANKING_METRICS.index(metric)

    def intervals(self, model: str) -> dict[str, list[float]]:
        found = {m: self.resampled.interval(self._column(model, m)) for m in RANKING_METRICS}
        return {metric: [each.low, each.high] for metric, each in found.items()}

    def differences(self, other: str, metrics: tuple[str, ...]) -> dict[str, Any]:
        """Return the product's metrics minus another model's."""
        found = {
            m: self.resampled.difference(self._column(PRODUCT, m), self._column(other, m))
            for m in metrics
        }
        return {metric: each.to_json() for metric, each in found.items()}


def _on_same_users(
    judged: Mapping[str, _Judged], where: Array
) -> Iterator[tuple[Array, Mapping[str, _Judged]]]:
    """Yield the models that know all of the users, then each other with the product on its own."""
    all_of_them = {n: found for n, found in judged.items() if found.known[where].all()}
    yield where, all_of_them
    for name, found in judged.items():
        both = where & found.known
        if name not in all_of_them and both.any():
            yield both, {PRODUCT: judged[PRODUCT], name: found}


def _compare(judged: Mapping[str, _Judged]) -> dict[str, Any]:
    """Put intervals into each model's `overall`; return the differences with the product's."""
    differences: dict[str, Any] = {}
    everybody = np.ones(len(judged[PRODUCT].known), np.bool_)
    for where, models in _on_same_users(judged, everybody):
        samples = _Samples.of(models, where)
        for name, found in models.items():
            found.overall.setdefault("intervals", samples.intervals(name))
            if name != PRODUCT:
                differences[name] = samples.differences(name, COMPARED)
    return differences


def _by_group(test: HeldOut, judged: Mapping[str, _Judged]) -> dict[str, Any]:
    return {
        kind: {name: _of_group(judged, where) for name, where in masks.items() if bool(where.any())}
        for kind, masks in test.subpopulations.items()
    }


def _of_group(judged: Mapping[str, _Judged], where: Array) -> dict[str, Any]:
    """Return a subpopulation's metrics of the product, the popular list and production."""
    wanted = {n: judged[n] for n in (PRODUCT, POPULARITY, PRODUCTION) if n in judged}
    found: dict[str, Any] = {"differences": {}}
    for both, models in _on_same_users(wanted, where):
        samples = _Samples.of(models, both)
        for name, model in models.items():
            found.setdefault(name, offline_metrics.summarise(model.per_user, both))
            if name != PRODUCT:
                found["differences"][name] = samples.differences(name, _COMPARED_BY_GROUP)
            else:
                found[name].setdefault("intervals", samples.intervals(name))
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
