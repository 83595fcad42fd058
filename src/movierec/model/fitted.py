"""What lists and evaluation need of a fitted model, whichever engine has fitted it.

A model ranks movies for users; both are rows of the data set that it was fitted on. `top_of` makes
lists from dense scores with numpy alone. An engine with a faster way has a `top` of its own.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol, Self

import numpy as np
import numpy.typing as npt

from movierec.model import segments
from movierec.model.dataset import Dataset
from movierec.model.encoding import Array
from movierec.model.segments import MINORS
from movierec.model.sparse_rows import SparseRows

Float32 = npt.NDArray[np.float32]

# Scores of so many users at once: 55 MB for 27,000 movies; larger chunks are no faster.
_USERS_A_CHUNK: Final = 512

# Columns to a block: more of them leave more to search, fewer more maxima to choose from.
_BLOCK: Final = 64
_FEW_BLOCKS: Final = 2


@dataclass(frozen=True, slots=True, eq=False)
class Exclusions:
    """What each user's list must not hold; users are rows of the data set."""

    seen: SparseRows
    """(n_users) rows of movies."""
    restricted: npt.NDArray[np.bool_]
    """(n_users,): gets none of `adult`."""
    adult: Array
    """Indices of movies."""

    @classmethod
    def of(cls, dataset: Dataset, keep: npt.NDArray[np.bool_]) -> Self:
        """Return the rules of serving: nothing seen in the kept interactions (n,), by age."""
        groups = segments.groups_of(dataset.user_ids, dataset.user_groups)
        return cls(
            seen=SparseRows(dataset.indptr, dataset.movies).where(keep),
            restricted=np.asarray(MINORS)[groups],
            adult=np.flatnonzero(dataset.adult).astype(np.int32),
        )

    def shut(self, scores: Float32, users: Array) -> None:
        """Set the scores (len(users), n_movies) of what the users' lists must not hold to -inf."""
        self._fill(scores, users, -np.inf)

    def mask(self, users: Array, n_movies: int) -> npt.NDArray[np.bool_]:
        """Return what the users' lists must not hold, (len(users), n_movies)."""
        mask = np.zeros((len(users), n_movies), np.bool_)
        self._fill(mask, users, True)
        return mask

    def among(self, column_of: Array, users: Array) -> Self:
        """Return the exclusions of some users, one a row, among the movies that have a column.

        `column_of` is (n_movies,), -1 for a movie that has none.
        """
        seen, adult = self.seen.take(users), column_of[self.adult]
        columns = column_of[seen.columns]
        return type(self)(
            SparseRows(seen.indptr, columns).where(columns >= 0),
            self.restricted[users],
            adult[adult >= 0],
        )

    def _fill(self, table: Array, users: Array, value: float) -> None:
        seen = self.seen.take(users)
        table[seen.row_numbers(), seen.columns] = value
        table[np.ix_(self.restricted[users], self.adult)] = value


@dataclass(frozen=True, slots=True, eq=False)
class Factors:
    """(n_users, k) and (n_movies, k), float32; a user's score of a movie is their product."""

    users: Float32
    movies: Float32


class FittedModel(Protocol):
    """A model that was fitted on a data set."""

    def top(self, users: Array, k: int, exclusions: Exclusions) -> npt.NDArray[np.int32]:
        """Return each user's `k` best movies that are not excluded, best first, (len(users), k).

        -1 where there are fewer.
        """
        ...

    def pair_scores(self, users: Array, movies: Array) -> Float32:
        """Return the score of each pair of user and movie, (n,) of (n,) and (n,)."""
        ...


class Reranker(Protocol):
    """Makes lists from more candidates than they hold; see `movierec.model.license_cost`."""

    def depth(self, k: int) -> int:
        """Return how many candidates a list of `k` movies is made from."""
        ...

    def reranked(self, candidates: Array, scores: Array) -> npt.NDArray[np.int32]:
        """Return the candidates (n, m) in another order, by their scores (n, m); -1 is none."""
        ...


def top_of(
    score_rows: Callable[[Array], Float32],
    users: Array,
    k: int,
    exclusions: Exclusions,
    reranker: Reranker | None = None,
) -> npt.NDArray[np.int32]:
    """Return lists as `FittedModel.top`; `score_rows` gives some users' scores, (n, n_movies).

    The scores are overwritten.
    Of equal scores the movie of the lower index comes first, but for those at the list's end.
    """
    lists = np.full((len(users), k), -1, np.int32)
    depth = reranker.depth(k) if reranker else k
    for start in range(0, len(users), _USERS_A_CHUNK):
        chunk = users[start : start + _USERS_A_CHUNK]
        scores = score_rows(chunk)
        exclusions.shut(scores, chunk)
        found = _best(scores, min(depth, scores.shape[1]))
        if reranker:
            found = reranker.reranked(found, np.take_along_axis(scores, found, axis=1))[:, :k]
        lists[start : start + len(chunk), : found.shape[1]] = found
    return lists


def _best(scores: Float32, k: int) -> npt.NDArray[np.int32]:
    """Return the columns of each row's `k` best scores, best first, -1 for those of -inf.

    All of them are in the k blocks of columns with the largest maxima: of many columns only those
    blocks are searched.
    """
    n_blocks = scores.shape[1] // _BLOCK
    if n_blocks <= _FEW_BLOCKS * k:
        return _best_of(scores, k)
    whole = n_blocks * _BLOCK
    # Every n_blocks-th column is one block: maxima of neighbouring columns are found at once.
    maxima = scores[:, :whole].reshape(len(scores), _BLOCK, n_blocks).max(axis=1)
    blocks = np.argpartition(-maxima, k - 1, axis=1)[:, :k]
    columns = (np.arange(_BLOCK)[:, None] * n_blocks + blocks[:, None]).reshape(len(scores), -1)
    rest = np.broadcast_to(
        np.arange(whole, scores.shape[1]), (len(scores), scores.shape[1] - whole)
    )
    columns = np.concatenate((columns, rest), axis=1)
    found = _best_of(np.take_along_axis(scores, columns, axis=1), k)
    return np.where(found < 0, -1, np.take_along_axis(columns, found, axis=1)).astype(np.int32)


def _best_of(scores: Float32, k: int) -> npt.NDArray[np.int32]:
    columns = np.argpartition(-scores, k - 1, axis=1)[:, :k]
    columns.sort(axis=1)  # so that the sort by score, which is stable, keeps equals in this order
    chosen = np.take_along_axis(scores, columns, axis=1)
    order = np.argsort(-chosen, axis=1, kind="stable")
    allowed = ~np.isneginf(np.take_along_axis(chosen, order, axis=1))
    return np.where(allowed, np.take_along_axis(columns, order, axis=1), -1).astype(np.int32)
