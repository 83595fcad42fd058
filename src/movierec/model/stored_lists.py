"""Lists that were made before, as a `FittedModel`: how a model of another data set is compared.

Users and movies are matched by id. A list is filtered by what its user has seen since, as serving
filters it, and may be shorter for that; users whom it does not know have none.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from movierec.model import ranking
from movierec.model.dataset import Dataset
from movierec.model.encoding import Array
from movierec.model.fitted import Exclusions, Float32
from movierec.model.user_id import rows_of

_USERS_A_CHUNK = 512


@dataclass(frozen=True, slots=True, eq=False)
class StoredLists:
    """Lists by users and movies of a data set: a `FittedModel`."""

    rows: npt.NDArray[np.int64]
    """(n_users,): the user's row in `lists`, -1 where there is none."""
    lists: npt.NDArray[np.int32]
    """(n, k), n at least 1; -1 for movies that the data set does not have."""
    n_movies: int
    """Of the data set."""

    @classmethod
    def of(cls, dataset: Dataset, user_ids: Array, lists: Array, movie_ids: Sequence[str]) -> Self:
        """Return lists of other users and movies for a data set's; `user_ids` ascends."""
        at, known = rows_of(user_ids, dataset.user_ids)
        place = {movie: i for i, movie in enumerate(dataset.movie_ids)}
        codes = np.array([*(place.get(movie, -1) for movie in movie_ids), -1], np.int32)
        # Padding, the type's largest value, is no movie either.
        numbers = np.minimum(lists.astype(np.int64), len(movie_ids))
        nobody = np.full((1, lists.shape[1]), len(movie_ids))
        found = codes[numbers if len(lists) else nobody]
        return cls(np.where(known, at, -1), found, len(dataset.movie_ids))

    def knows(self, users: Array) -> npt.NDArray[np.bool_]:
        """Return which users (rows of the data set) have a list."""
        return np.asarray(self.rows[users] >= 0)

    def top(self, users: Array, k: int, exclusions: Exclusions) -> npt.NDArray[np.int32]:
        """See `FittedModel.top`."""
        found = np.full((len(users), k), -1, np.int32)
        for start in range(0, len(users), _USERS_A_CHUNK):
            chunk = users[start : start + _USERS_A_CHUNK]
            lists = np.where(self.knows(chunk)[:, None], self.lists[self.rows[chunk]], -1)
            excluded = np.take_along_axis(exclusions.mask(chunk, self.n_movies), lists, axis=1)
            kept = ranking.compact(lists, (lists >= 0) & ~excluded, k=k, dtype=_INT32)
            found[start : start + len(chunk)] = np.where(kept == np.iinfo(_INT32).max, -1, kept)
        return found

    def pair_scores(self, users: Array, movies: Array) -> Float32:  # noqa: ARG002  no scores
        """Return NaN: lists have no scores."""
        return np.full(len(users), np.nan, np.float32)


_INT32 = np.dtype(np.int32)
