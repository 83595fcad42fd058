"""What cheaper lists cost in taste: metrics and dollars by `cost_weight`.

On test users, whose lists a model of TRAIN makes at each weight. All are means over users:

    ndcg, hit_rate    as in `offline_metrics`, lists of LIST_LENGTH
    hit_rating        mean held-out rating of movies that were in their user's list
    predicted_rating  mean rating that the rating model predicts for the lists' movies
    usd_a_play        cost of a list's movies, weighted by 1 / log2(rank + 1): a play is mostly of a
                      movie at the top; ndcg counts what is liked by the same weights
    usd_a_list        mean cost of a list's movies, each as likely
    usd_watched       mean cost of the liked movies that were in their user's list

`at_saving` says which weight saves SAVED of the dollars of a play, and of a list, and how much each
measure changes with it. It is interpolated between the weights that were tried, then tried.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np

from movierec.model import license_cost, offline_metrics
from movierec.model.dataset import Dataset
from movierec.model.encoding import Array
from movierec.model.fitted import FittedModel
from movierec.model.held_out import HeldOut
from movierec.model.license_cost import Costs, Penalty
from movierec.model.offline_metrics import PerUser
from movierec.model.ranking import LIST_LENGTH
from movierec.model.ratings import RatingPredictor

WEIGHTS: Final = (0.0, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.4, 2.0, 3.0, 5.0)

SAVED: Final = 0.2
"""Of the cost without a weight."""

# Half of them at least, of more: relative changes of NDCG then have a standard error of 0.2%. Some
# seconds of one core.
_MOST_USERS: Final = 4_000

_DOLLARS: Final = ("usd_a_play", "usd_a_list")
_LOST: Final = ("ndcg", "hit_rate", "hit_rating", "predicted_rating", *_DOLLARS, "usd_watched")


def skipped(reason: str) -> dict[str, Any]:
    """Return the answer where there is no curve."""
    return {"skipped": reason}


def of(
    dataset: Dataset,
    inner: FittedModel,
    costs: Costs,
    ratings: RatingPredictor | None,
    weight: float,
    *,
    most_users: int = _MOST_USERS,
) -> dict[str, Any]:
    """Return what the module's docstring names; plain values.

    `inner` knows TRAIN alone and no costs; `weight` is the published lists' own.
    """
    sample = _Sample.of(HeldOut.of(dataset, most_users), inner, costs, ratings)
    weights = sorted({*WEIGHTS, weight})
    tried = [sample.at(each) for each in weights]
    points = [
        {
            "cost_weight": each,
            **found,
            "ndcg_difference": offline_metrics.difference(per_user, tried[0][0], "ndcg"),
        }
        for each, (per_user, found) in zip(weights, tried, strict=True)
    ]
    return {
        "users": len(sample.test.users),
        "cost_weight": weight,
        "costs": costs.facts(),
        "points": points,
        "at_saving": {name: _at_saving(sample, points, name) for name in _DOLLARS},
    }


@dataclass(frozen=True, slots=True, eq=False)
class _Sample:
    """Test users with their candidates, the same at every weight; all are (n, CANDIDATES)."""

    test: HeldOut
    costs: Costs
    candidates: Array
    scores: Array
    predicted: Array | None

    @classmethod
    def of(
        cls, test: HeldOut, inner: FittedModel, costs: Costs, ratings: RatingPredictor | None
    ) -> Self:
        candidates = inner.top(test.users, license_cost.CANDIDATES, test.exclusions)
        scores = license_cost.scores_of(inner, test.users, candidates)
        predicted = None if ratings is None else _predicted(ratings, test.users, candidates)
        return cls(test, costs, candidates, scores, predicted)

    def at(self, weight: float) -> tuple[PerUser, dict[str, float | None]]:
        """Return the metrics of each user's list at a weight, and their means."""
        test, usd = self.test, self.costs.usd
        order = Penalty(self.costs.relative, weight).order(self.candidates, self.scores)
        order = order[:, :LIST_LENGTH]
        lists = np.take_along_axis(self.candidates, order, axis=1)
        found = offline_metrics.per_user(lists, test.liked_rows, test.liked, np.zeros(len(usd)))
        hit = offline_metrics.hits(lists, test.liked_rows, test.liked, len(usd))
        rated = test.rated_rows, test.rated, test.ratings
        listed = lists >= 0
        predicted = (
            None if self.predicted is None else np.take_along_axis(self.predicted, order, axis=1)
        )
        return found, {
            "ndcg": float(found.ndcg.mean()),
            "hit_rate": float(found.hit_rate.mean()),
            "hit_rating": offline_metrics.mean_hit_rating(lists, *rated, len(usd)),
            "predicted_rating": None if predicted is None else _mean(predicted[listed]),
            "usd_a_play": _mean(_weighted(usd[lists], listed * _DISCOUNTS[: lists.shape[1]])),
            "usd_a_list": _mean(_weighted(usd[lists], listed.astype(np.float64))),
            "usd_watched": _mean(usd[lists][hit]),
        }


_DISCOUNTS: Final = 1 / np.log2(np.arange(LIST_LENGTH) + 2)


def _at_saving(
    sample: _Sample, points: Sequence[Mapping[str, Any]], dollars: str
) -> dict[str, float] | None:
    """Return the weight that saves SAVED, and relative changes; None if none saves so much."""
    weight = weight_saving(points, dollars)
    if weight is None:
        return None
    first, (_, found) = points[0], sample.at(weight)
    changes = {name: _change(first[name], found[name]) for name in _LOST}
    known = {name: change for name, change in changes.items() if change is not None}
    return {"cost_weight": weight, **known}


def _change(before: float | None, after: float | None) -> float | None:
    return None if not before or after is None else after / before - 1


def weight_saving(points: Sequence[Mapping[str, Any]], dollars: str) -> float | None:
    """Return the weight that saves SAVED of some dollars, None if none of the points' does.

    `points` ascend by weight from 0.
    """
    wanted = (1 - SAVED) * (points[0][dollars] or 0)
    for before, after in itertools.pairwise(points):
        if before[dollars] and after[dollars] <= wanted:
            share = (before[dollars] - wanted) / (before[dollars] - after[dollars])
            step = after["cost_weight"] - before["cost_weight"]
            return float(before["cost_weight"] + share * step)
    return None


def _predicted(ratings: RatingPredictor, users: Array, lists: Array) -> Array:
    rows, places = np.nonzero(lists >= 0)
    found = np.zeros(lists.shape)
    found[rows, places] = ratings.predict(users[rows], lists[rows, places])
    return found


def _weighted(values: Array, weights: Array) -> Array:
    """Return the weighted mean of each row that has a weight."""
    total = weights.sum(axis=1)
    found: Array = (values * weights).sum(axis=1)[total > 0] / total[total > 0]
    return found


def _mean(values: Array) -> float | None:
    return float(values.mean(dtype=np.float64)) if len(values) else None
