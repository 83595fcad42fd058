"""Assemble an artifact: a list for every user, and the popular lists as fallback."""

from typing import Final

import numpy as np
import numpy.typing as npt

from movierec.model import artifact, ranking, segments
from movierec.model.artifact import TOP_K, Model
from movierec.model.dataset import Dataset
from movierec.model.encoding import Array
from movierec.model.fitted import Exclusions, Factors, FittedModel
from movierec.model.popularity import Popularity, likes_by_group
from movierec.model.segments import GROUPS, MINORS

# All lists at once are int32, 200 MB for a million users, and what made them is as large.
_USERS_A_CHUNK: Final = 50_000


def assemble(dataset: Dataset, fitted: FittedModel, factors: Factors) -> Model:
    """Return the model: each user's TOP_K unseen movies, fewer where there are no more.

    Users without a positive interaction, of whom the model knows nothing, get their group's popular
    movies that they have not seen.
    """
    groups = segments.groups_of(dataset.user_ids, dataset.user_groups)
    counts = likes_by_group(dataset, groups)
    popular = ranking.popular_lists(counts, adult=dataset.adult, minors=np.asarray(MINORS))
    return Model(
        topk=_lists(dataset, fitted),
        user_ids=dataset.user_ids,
        movie_ids=dataset.movie_ids,
        popular=ranking.name_lists(popular, movie_ids=dataset.movie_ids, groups=GROUPS),
        user_groups=dataset.user_groups,
        user_factors=factors.users,
        item_factors=factors.movies,
    )


def _lists(dataset: Dataset, fitted: FittedModel) -> Array:
    exclusions = Exclusions.of(dataset, np.ones(len(dataset.movies), np.bool_))
    likes = _likes_something(dataset)
    dtype = artifact.index_type(len(dataset.movie_ids))
    lists = np.empty((len(likes), TOP_K), dtype)
    for model, rows in (
        (fitted, np.flatnonzero(likes)),
        (Popularity.by_group(dataset), np.flatnonzero(~likes)),
    ):
        for start in range(0, len(rows), _USERS_A_CHUNK):
            chunk = rows[start : start + _USERS_A_CHUNK]
            # -1 wraps around to the type's largest value, which is the padding.
            lists[chunk] = model.top(chunk, TOP_K, exclusions).astype(dtype)
    return lists


def _likes_something(dataset: Dataset) -> npt.NDArray[np.bool_]:
    likes = np.concatenate(([0], np.cumsum(dataset.strength > 0)))[dataset.indptr]
    return np.diff(likes) > 0
