"""Evaluate predicted ratings on the held-out ones, compared with biases and with the mean alone.

In the answer `rmse` and `mae` are over the ratings of TEST, on the scale 1 to 5. `gain` is how much
smaller the model's mean squared error is than the biases', `calibration` the mean predicted and
given rating by predicted rating, `groups` both models' errors by subpopulation, `lists` the ratings
predicted for the movies of a model's lists and of the popular ones.
"""

import itertools
import math
from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from movierec.model import offline_metrics
from movierec.model.dataset import TEST, TRAIN, Dataset
from movierec.model.encoding import Array
from movierec.model.fitted import Exclusions, FittedModel
from movierec.model.held_out import by_name, demographics
from movierec.model.popularity import Popularity
from movierec.model.ranking import LIST_LENGTH
from movierec.model.rating_scale import HIGHEST, LOWEST
from movierec.model.ratings import Biases, Float64, RatingPredictor, Ratings

_BUCKETS: Final = np.linspace(LOWEST, HIGHEST, 9)
"""Limits of predicted ratings, by halves."""

# Users whose lists get predicted ratings: their mean has a standard error below 0.01.
_MOST_LISTS: Final = 10_000

_ACTIVITY_LIMITS: Final = (1, 10, 50)
_ACTIVITIES: Final = ("none rated", "1-9 rated", "10-49 rated", "50+ rated")


def nothing_rated() -> dict[str, Any]:
    """Return the answer for a data set without ratings to learn from."""
    return {"train_ratings": 0, "test_ratings": 0}


def evaluate(
    dataset: Dataset, model: RatingPredictor, biases: Biases, lists_of: FittedModel
) -> dict[str, Any]:
    """Return what the module's docstring names; plain values. All models know TRAIN alone."""
    train = Ratings.of(dataset, dataset.part == TRAIN)
    test = Ratings.of(dataset, dataset.part == TEST)
    found = {
        "train_ratings": len(train),
        "test_ratings": len(test),
        "lists": _lists(dataset, model, lists_of),
    }
    if not len(test):
        return found
    ours = model.predict(test.users, test.movies)
    theirs = biases.predict(test.users, test.movies)
    gains = (theirs - test.values) ** 2 - (ours - test.values) ** 2
    return {
        **found,
        "model": errors(ours, test.values),
        "baseline": errors(theirs, test.values),
        "mean": errors(np.full(len(test), biases.mean), test.values),
        "gain": {"mean": float(gains.mean()), "stderr": offline_metrics.stderr(gains)},
        "calibration": calibration(ours, test.values),
        "groups": {
            kind: {
                name: {
                    "ratings": int(where.sum()),
                    "model": errors(ours[where], test.values[where]),
                    "baseline": errors(theirs[where], test.values[where]),
                }
                for name, where in masks.items()
                if where.any()
            }
            for kind, masks in _masks(dataset, train, test)
        },
    }


def errors(predicted: Float64, given: Float64) -> dict[str, float]:
    """Return the root of the mean squared error, and the mean absolute one."""
    wrong = predicted - given
    return {"rmse": math.sqrt((wrong**2).mean()), "mae": float(np.abs(wrong).mean())}


def calibration(predicted: Float64, given: Float64) -> list[dict[str, float | int]]:
    """Return the means of predicted and given ratings in each bucket of predicted ones."""
    buckets = _buckets(predicted)
    return [
        {
            "from": float(_BUCKETS[bucket]),
            "to": float(_BUCKETS[bucket + 1]),
            "ratings": int((buckets == bucket).sum()),
            "predicted": float(predicted[buckets == bucket].mean()),
            "given": float(given[buckets == bucket].mean()),
        }
        for bucket in np.unique(buckets).tolist()
    ]


def _buckets(predicted: Float64) -> npt.NDArray[np.int64]:
    found = np.searchsorted(_BUCKETS, predicted, side="right") - 1
    return np.minimum(found, len(_BUCKETS) - 2)


def _lists(dataset: Dataset, model: RatingPredictor, lists_of: FittedModel) -> dict[str, Any]:
    n_users, train = len(dataset.user_ids), dataset.part == TRAIN
    users = np.arange(0, n_users, math.ceil(n_users / _MOST_LISTS))
    exclusions = Exclusions.of(dataset, train)
    return {
        "users": len(users),
        "model": _of_lists(model, users, lists_of.top(users, LIST_LENGTH, exclusions)),
        "popularity": _of_lists(
            model, users, Popularity.overall(dataset, train).top(users, LIST_LENGTH, exclusions)
        ),
    }


def _of_lists(model: RatingPredictor, users: Array, lists: Array) -> dict[str, Any]:
    rows, places = np.nonzero(lists >= 0)
    if not len(rows):
        return {"mean": None, "distribution": {}}
    predicted = model.predict(users[rows], lists[rows, places])
    shares = np.bincount(_buckets(predicted), minlength=len(_BUCKETS) - 1) / len(predicted)
    names = [f"{low:g}-{high:g}" for low, high in itertools.pairwise(_BUCKETS)]
    return {
        "mean": float(predicted.mean()),
        "distribution": dict(zip(names, shares.tolist(), strict=True)),
    }


def _masks(
    dataset: Dataset, train: Ratings, test: Ratings
) -> Iterator[tuple[str, Mapping[str, npt.NDArray[np.bool_]]]]:
    counts = np.bincount(train.users, minlength=train.n_users)[test.users]
    kinds = {
        **demographics(dataset, test.users),
        "activity": np.array(_ACTIVITIES)[np.searchsorted(_ACTIVITY_LIMITS, counts, side="right")],
    }
    for kind, names in kinds.items():
        yield kind, by_name(names)
