"""The popular lists as a model: the baseline that every other one has to beat."""

from dataclasses import dataclass
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from movierec.model import ranking, segments
from movierec.model.dataset import Dataset
from movierec.model.encoding import Array
from movierec.model.fitted import Exclusions, Float32
from movierec.model.segments import GROUPS
from movierec.model.sparse_rows import row_numbers

_USERS_A_CHUNK: Final = 512

_NEAR: Final = 3
"""Lists' lengths of an order in which most users' lists end."""


@dataclass(frozen=True, slots=True, eq=False)
class Popularity:
    """Ranks movies by scores that a group of users shares: a `FittedModel`."""

    scores: npt.NDArray[np.float64]
    """(n_groups, n_movies)."""
    groups: Array
    """(n_users,), index into `scores`."""

    @classmethod
    def overall(cls, dataset: Dataset, keep: npt.NDArray[np.bool_]) -> Self:
        """Return one list for all, by the number of positive interactions among those kept (n,)."""
        liked = dataset.movies[keep & (dataset.strength > 0)]
        counts = np.bincount(liked, minlength=len(dataset.movie_ids)).astype(np.float64)
        return cls(counts[None, :], np.zeros(len(dataset.user_ids), np.uint8))

    @classmethod
    def by_group(cls, dataset: Dataset) -> Self:
        """Return a list for each group of GROUPS, as in the artifact's popular lists."""
        groups = segments.groups_of(dataset.user_ids, dataset.user_groups)
        return cls(ranking.mixed(likes_by_group(dataset, groups)), groups)

    def top(self, users: Array, k: int, exclusions: Exclusions) -> npt.NDArray[np.int32]:
        """See `FittedModel.top`; of equals the lower index first."""
        lists = np.full((len(users), k), -1, np.int32)
        n_movies = self.scores.shape[1]
        for group in np.unique(self.groups[users]).tolist():
            order = ranking.top_k(self.scores[group], n_movies)
            places = np.flatnonzero(self.groups[users] == group)
            for start in range(0, len(places), _USERS_A_CHUNK):
                chunk = places[start : start + _USERS_A_CHUNK]
                lists[chunk] = _first_allowed(order, users[chunk], k, exclusions)
        return lists

    def pair_scores(self, users: Array, movies: Array) -> Float32:
        """See `FittedModel.pair_scores`."""
        return self.scores[self.groups[users], movies].astype(np.float32)


def likes_by_group(dataset: Dataset, groups: Array) -> npt.NDArray[np.int64]:
    """Return the number of positive interactions, (n_groups, n_movies); `groups` is (n_users,)."""
    n_movies, positive = len(dataset.movie_ids), dataset.strength > 0
    cells = groups[row_numbers(dataset.indptr)[positive]].astype(np.int64) * n_movies
    cells += dataset.movies[positive]
    return np.bincount(cells, minlength=len(GROUPS) * n_movies).reshape(len(GROUPS), n_movies)


def _first_allowed(
    order: npt.NDArray[np.int64], users: Array, k: int, exclusions: Exclusions
) -> npt.NDArray[np.int32]:
    """Return the first `k` of an order that each user may be shown, (len(users), k)."""
    excluded = exclusions.mask(users, len(order))
    found = _first(order[: _NEAR * k], excluded, k)
    short = found[:, -1] < 0
    if short.any():
        excluded = excluded[short]
        # Nobody's list goes past so many places, however much is excluded.
        most = k + int(excluded.sum(axis=1).max())
        found[short] = _first(order[:most], excluded, k)
    return found


def _first(
    order: npt.NDArray[np.int64], excluded: npt.NDArray[np.bool_], k: int
) -> npt.NDArray[np.int32]:
    keep = ~excluded[:, order]
    candidates = np.broadcast_to(order.astype(np.int32), keep.shape)
    found = ranking.compact(candidates, keep, k=k, dtype=np.dtype(np.int32))
    return np.where(found == np.iinfo(np.int32).max, -1, found)
