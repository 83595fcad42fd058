"""Assemble a model from factors: a list for every user, and the popular lists as fallback."""

import numpy as np
import numpy.typing as npt

from functions.train_als import als
from movierec.model import artifact, ranking, segments
from movierec.model.artifact import TOP_K, Model
from movierec.model.dataset import Dataset
from movierec.model.encoding import Array
from movierec.model.segments import GROUPS, MINORS


def assemble(dataset: Dataset, factors: als.Factors, *, threads: int) -> Model:
    """Return the model: each user's TOP_K unseen movies, fewer where there are no more.

    Users without a positive interaction have zero factors; they get their group's popular movies
    that they have not seen.
    """
    groups = segments.groups_of(dataset.user_ids, dataset.user_groups)
    counts = likes_by_group(dataset, groups)
    popular = ranking.popular_lists(counts, adult=dataset.adult, minors=np.asarray(MINORS))
    return Model(
        topk=_lists(dataset, factors, counts, groups, threads),
        user_ids=dataset.user_ids,
        movie_ids=dataset.movie_ids,
        popular=ranking.name_lists(popular, movie_ids=dataset.movie_ids, groups=GROUPS),
        user_groups=dataset.user_groups,
        user_factors=factors.users,
        item_factors=factors.movies,
    )


def likes_by_group(dataset: Dataset, groups: Array) -> npt.NDArray[np.int64]:
    """Return the number of positive interactions, (n_groups, n_movies)."""
    n_movies, positive = len(dataset.movie_ids), dataset.strength > 0
    cells = groups[als.user_rows(dataset)[positive]].astype(np.int64) * n_movies
    cells += dataset.movies[positive]
    return np.bincount(cells, minlength=len(GROUPS) * n_movies).reshape(len(GROUPS), n_movies)


def _lists(
    dataset: Dataset, factors: als.Factors, counts: Array, groups: Array, threads: int
) -> Array:
    seen = als.seen(dataset, np.ones(len(dataset.movies), np.bool_))
    restricted, shut = np.asarray(MINORS)[groups], np.flatnonzero(dataset.adult)
    lists = als.top(
        factors.users,
        factors.movies,
        k=TOP_K,
        seen=seen,
        restricted=restricted,
        not_for_them=shut,
        threads=threads,
    )
    rows = np.flatnonzero(~_likes_something(dataset))
    if len(rows):
        # Popularity by group as a factor model: a factor a group, 1 for its users.
        members = np.eye(len(GROUPS), dtype=np.float32)[groups[rows]]
        popularity = _negative_ranks(ranking.mixed(counts))
        lists[rows] = als.top(
            members,
            popularity,
            k=TOP_K,
            seen=seen[rows],
            restricted=restricted[rows],
            not_for_them=shut,
            threads=threads,
        )
    dtype = artifact.index_type(len(dataset.movie_ids))
    return ranking.compact(lists, lists >= 0, k=TOP_K, dtype=dtype)


def _negative_ranks(scores: Array) -> npt.NDArray[np.float32]:
    """Return minus each movie's rank in each group's order, (n_movies, n_groups).

    Ranks, not scores: ties must keep the order of the popular lists.
    """
    places = np.empty(scores.shape[::-1], np.float32)
    for group, row in enumerate(scores):
        places[ranking.top_k(row, len(row)), group] = -np.arange(len(row))
    return places


def _likes_something(dataset: Dataset) -> npt.NDArray[np.bool_]:
    likes = np.concatenate(([0], np.cumsum(dataset.strength > 0)))[dataset.indptr]
    return np.diff(likes) > 0
