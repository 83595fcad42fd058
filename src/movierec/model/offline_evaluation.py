"""Evaluate a model on held-out interactions, compared with the popular list.

Both are fitted on TRAIN alone and recommend LIST_LENGTH movies to users who liked a movie in TEST,
all or an even sample, under the rules of serving: no movie seen in TRAIN, no adult movie for minors
and unknown ages.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from movierec.model import offline_metrics, segments
from movierec.model.dataset import TEST, TRAIN, Dataset
from movierec.model.encoding import Array
from movierec.model.fitted import Exclusions, FittedModel
from movierec.model.offline_metrics import PerUser
from movierec.model.popularity import Popularity
from movierec.model.ranking import LIST_LENGTH
from movierec.model.segments import GROUPS
from movierec.model.sparse_rows import row_numbers

# NDCG of so many has a standard error below 0.001; a million more users would take minutes.
_MOST_TEST_USERS: Final = 100_000

# On MovieLens the popular list is hard to beat up to about 10 interactions.
_ACTIVITY_LIMITS: Final = (10, 50)
_ACTIVITIES: Final = ("1-9 seen", "10-49 seen", "50+ seen")


@dataclass(frozen=True, slots=True, eq=False)
class _Test:
    """The users who liked a movie in TEST, and their interactions there."""

    users: Array
    """Rows in the data set."""
    liked_rows: Array
    """Index into `users`, as are `rated_rows`."""
    liked: Array
    rated_rows: Array
    rated: Array
    ratings: Array
    train_counts: Array
    """Interactions in TRAIN of each of `users`."""
    exclusions: Exclusions
    groups: Array

    @classmethod
    def of(cls, dataset: Dataset, most_users: int) -> Self:
        rows, test = row_numbers(dataset.indptr), dataset.part == TEST
        likes = test & (dataset.strength > 0)
        users = np.unique(rows[likes])
        # Every second, third, ... by id: the same ones each time.
        users = users[:: math.ceil(len(users) / most_users)]
        place = np.full(len(dataset.user_ids), -1)
        place[users] = np.arange(len(users))
        tested = place[rows] >= 0
        likes, rates = likes & tested, test & tested & (dataset.ratings > 0)
        train = dataset.part == TRAIN
        return cls(
            users=users,
            liked_rows=place[rows[likes]],
            liked=dataset.movies[likes],
            rated_rows=place[rows[rates]],
            rated=dataset.movies[rates],
            ratings=dataset.ratings[rates],
            train_counts=np.bincount(rows[train], minlength=len(dataset.user_ids))[users],
            exclusions=Exclusions.of(dataset, train),
            groups=segments.groups_of(dataset.user_ids, dataset.user_groups)[users],
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Judged:
    per_user: PerUser
    overall: dict[str, Any]


def evaluate(
    dataset: Dataset, fitted: FittedModel, *, most_users: int = _MOST_TEST_USERS
) -> dict[str, Any]:
    """Return the metrics of model and popular list, overall and by group; plain values.

    `fitted` knows TRAIN alone. Names are those of `movierec.model.offline_metrics`. More than
    `most_users` test users are sampled evenly.
    """
    test = _Test.of(dataset, most_users)
    ours = _judge(dataset, test, fitted)
    theirs = _judge(dataset, test, Popularity.overall(dataset, dataset.part == TRAIN))
    return {
        "k": LIST_LENGTH,
        "test_users": len(test.users),
        "test_interactions": len(test.liked),
        "model": ours.overall,
        "popularity": theirs.overall,
        "gain": {
            name: offline_metrics.difference(ours.per_user, theirs.per_user, name)
            for name in ("recall", "ndcg", "map")
        },
        "groups": _by_group(test, ours.per_user, theirs.per_user),
    }


def _judge(dataset: Dataset, test: _Test, fitted: FittedModel) -> _Judged:
    n_movies = len(dataset.movie_ids)
    lists = fitted.top(test.users, LIST_LENGTH, test.exclusions)
    trained = dataset.movies[dataset.part == TRAIN]
    bits = offline_metrics.surprise(np.bincount(trained, minlength=n_movies), len(dataset.user_ids))
    found = offline_metrics.per_user(lists, test.liked_rows, test.liked, bits)
    scores = fitted.pair_scores(test.users[test.rated_rows], test.rated)
    overall = {
        **offline_metrics.summarise(found),
        "coverage": offline_metrics.coverage(lists, n_movies),
        "mean_hit_rating": offline_metrics.mean_hit_rating(
            lists, test.rated_rows, test.rated, test.ratings, n_movies
        ),
        "rating_concordance": offline_metrics.rating_concordance(
            test.rated_rows, scores, test.ratings
        ),
    }
    return _Judged(found, overall)


def _by_group(test: _Test, ours: PerUser, theirs: PerUser) -> dict[str, Any]:
    return {
        kind: {
            name: {"model": model, "popularity": popularity}
            for (name, model), popularity in zip(
                offline_metrics.by_group(ours, masks).items(),
                offline_metrics.by_group(theirs, masks).values(),
                strict=True,
            )
            if model["users"]
        }
        for kind, masks in _masks(test).items()
    }


def _masks(test: _Test) -> Mapping[str, Mapping[str, npt.NDArray[np.bool_]]]:
    genders = np.array([name.partition(":")[0] for name in GROUPS])[test.groups]
    ages = np.array([name.partition(":")[2] or name for name in GROUPS])[test.groups]
    activity = np.array(_ACTIVITIES)[
        np.searchsorted(_ACTIVITY_LIMITS, test.train_counts, side="right")
    ]
    return {
        "gender": {name: genders == name for name in np.unique(genders).tolist()},
        "age": {name: ages == name for name in np.unique(ages).tolist()},
        "activity": {name: activity == name for name in _ACTIVITIES},
    }
