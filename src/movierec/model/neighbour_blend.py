"""The blend of factors and item-to-item weights for users who were folded in, on numpy alone.

As `functions.train_als.blend`, whose lists a model publishes, but with the neighbours that the
artifact keeps in place of all weights: on MovieLens 1M they hold three quarters of all that pulls.

The weights' share grows with what a user likes: of n movies it is n / (n + _HALF_AT_LIKES) of what
it is in the model. What two or three movies pull is mostly noise, which standardising would make as
loud as the factors, and these know a prior (`fold_in`).
"""

from dataclasses import dataclass
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from movierec.model import standard_scores
from movierec.model.encoding import Array
from movierec.model.fitted import Exclusions, Float32, top_of
from movierec.model.item_neighbours import ItemNeighbours
from movierec.model.license_cost import Penalty
from movierec.model.sparse_rows import SparseRows

# On the simulator's worlds the best of 0, 1, 2, 4 and 8, or as good, after 1 to 20 events.
_HALF_AT_LIKES: Final = 4.0


@dataclass(frozen=True, slots=True, eq=False)
class NeighbourBlend:
    """How a model's lists are blended; N movies, ascending, have neighbours and are ranked."""

    movies: npt.NDArray[np.int32]
    """(N,), indices into the model's."""
    pulls: SparseRows
    """For each of the model's movies, the places among the N that liking it speaks for."""
    weights: Float32
    """(n,), of each entry of `pulls`."""
    discount: Float32
    """(N,), see `standard_scores`."""
    als_share: float
    strength_share: float
    """An item-to-item entry of a movie liked with strength s is 1 - share + share x s."""

    @classmethod
    def of(
        cls,
        neighbours: ItemNeighbours,
        likes: Array,
        *,
        als_share: float,
        popularity_exponent: float,
        strength_share: float,
    ) -> Self:
        """Return the blend of a model; `likes` (n_movies,) is how many users like each movie."""
        n_movies, kept = neighbours.weights.shape
        movies = np.flatnonzero(neighbours.weights[:, 0] > 0).astype(np.int32)
        towards = np.repeat(np.arange(len(movies)), kept)
        weights = neighbours.weights[movies].ravel()
        sources = neighbours.sources[movies].ravel()[weights > 0].astype(np.int64)
        order = np.argsort(sources, kind="stable")
        counts = np.bincount(sources, minlength=n_movies)
        return cls(
            movies,
            SparseRows(np.concatenate(([0], np.cumsum(counts))), towards[weights > 0][order]),
            weights[weights > 0][order],
            standard_scores.discount_of(likes[movies], popularity_exponent),
            als_share,
            strength_share,
        )

    def top(
        self,
        factors: tuple[Float32, Float32],
        liked: SparseRows,
        strength: Array,
        k: int,
        exclusions: Exclusions,
        *,
        penalty: Penalty | None = None,
    ) -> npt.NDArray[np.int32]:
        """Return lists as `FittedModel.top`, of the users of `liked`, one a row.

        `factors` are those of the users (n, k) and of the model's movies (n_movies, k); `strength`
        is (n_entries,) of `liked`; `exclusions` has a row a user.
        """
        users, movies = factors
        column_of = np.full(len(movies), -1, np.int32)
        column_of[self.movies] = np.arange(len(self.movies))
        ranked = np.ascontiguousarray(movies[self.movies])

        def score_rows(rows: Array) -> Float32:
            own = liked.take(rows)
            known = column_of[own.columns]
            among = SparseRows(own.indptr, known).where(known >= 0)
            share = self.items_share(np.diff(own.indptr))
            by_factors = users[rows] @ ranked.T
            blended = standard_scores.standardised(by_factors, self.discount, among, 1 - share)
            by_items = self._item_scores(own, strength[liked.entries(rows).columns])
            blended += standard_scores.standardised(by_items, self.discount, among, share)
            return blended

        everybody = np.arange(len(liked))
        narrow = exclusions.among(column_of, everybody)
        among = penalty.among(self.movies) if penalty else None
        found = top_of(score_rows, everybody, k, narrow, among)
        return np.where(found >= 0, self.movies[found], -1).astype(np.int32)

    def items_share(self, likes: Array) -> Float32:
        """Return the item-to-item weights' share for users who like so many movies, (n,)."""
        return np.asarray((1 - self.als_share) * share_at(likes), np.float32)

    def _item_scores(self, own: SparseRows, strength: Array) -> Float32:
        """Return the item-to-item scores of the N movies, (len(own), N)."""
        pulled = self.pulls.entries(own.columns)
        row = np.repeat(own.row_numbers(), np.diff(pulled.indptr)).astype(np.int64)
        share = self.strength_share
        entry = np.repeat(1 - share + share * strength, np.diff(pulled.indptr))
        values = self.weights[pulled.columns] * entry
        cells = row * len(self.movies) + self.pulls.columns[pulled.columns]
        found = np.bincount(cells, values, len(own) * len(self.movies))
        return found.reshape(len(own), len(self.movies)).astype(np.float32)


def share_at(likes: Array) -> Array:
    """Return how much of their share in the model the weights have after so many likes, (n,)."""
    found: Array = likes / (likes + _HALF_AT_LIKES)
    return found
