"""What users did since a data set was built, and their history with it.

`Recent` is evidence as a data set's, one row for each user and movie; it is kept with each overlay,
so that the next refresh reads only newer events. `histories` joins it with the data set.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from movierec.model import dataset as datasets
from movierec.model.dataset import Dataset
from movierec.model.dataset_parameters import Parameters
from movierec.model.encoding import Array, dump_npy, load_npy
from movierec.model.sparse_rows import SparseRows
from movierec.model.user_id import rows_of

_TYPES: Final[Mapping[str, str]] = {
    "users": "int64",
    "movies": "int32",
    "minutes": "int32",
    "ratings": "float32",
    "last_at": "uint32",
}

FILES: Final = tuple(f"recent_{name}.npy" for name in _TYPES)


@dataclass(frozen=True, slots=True, eq=False)
class Recent:
    """One row for each user and movie, each array (n,), ascending by user, then movie."""

    users: Array
    """User ids."""
    movies: Array
    """Index into the data set's movies, then those that came since."""
    minutes: Array
    """The largest minute seen, -1: not watched."""
    ratings: Array
    """The last rating on the scale 1 to 5, 0: none."""
    last_at: Array
    """Seconds since 1970."""

    @classmethod
    def empty(cls) -> Self:
        """Return no evidence."""
        return cls(*(np.zeros(0, dtype) for dtype in _TYPES.values()))

    @classmethod
    def merged(cls, older: Self, newer: Self) -> Self:
        """Return both: the larger minute, the newer rating where there is one."""
        parts = {
            name: np.concatenate((getattr(older, name), getattr(newer, name))).astype(dtype)
            for name, dtype in _TYPES.items()
        }
        # Stable: of one user and movie the older row comes first.
        order = np.lexsort((parts["movies"], parts["users"]))
        users, movies, minutes, ratings, last_at = (parts[name][order] for name in _TYPES)
        if not len(users):
            return cls.empty()
        first = np.ones(len(users), np.bool_)
        first[1:] = (np.diff(users) != 0) | (np.diff(movies) != 0)
        starts = np.flatnonzero(first)
        last = np.append(starts[1:], len(users)) - 1
        rating = np.where(ratings[last] > 0, ratings[last], ratings[starts])
        return cls(
            users[starts],
            movies[starts],
            np.maximum.reduceat(minutes, starts),
            rating,
            np.maximum.reduceat(last_at, starts),
        )

    def of_users(self, users: Array) -> Self:
        """Return the rows of some users; `users` ascend."""
        keep = np.isin(self.users, users, assume_unique=False)
        return type(self)(*(getattr(self, f.name)[keep] for f in dataclasses.fields(self)))


def pack(recent: Recent) -> dict[str, bytes]:
    """Return the files of `FILES`."""
    return {f"recent_{name}.npy": dump_npy(getattr(recent, name)) for name in _TYPES}


def unpack(files: Mapping[str, bytes]) -> Recent:
    """Return what `pack` wrote. Raises ArtifactError."""
    return Recent(*(load_npy(name, files[name]) for name in FILES))


@dataclass(frozen=True, slots=True, eq=False)
class Histories:
    """All that some users have seen, a row a user, and how strongly each shows liking, (n,)."""

    seen: SparseRows
    strength: npt.NDArray[np.float32]

    def liked(self) -> tuple[SparseRows, npt.NDArray[np.float32]]:
        """Return the movies that show liking, and their strengths."""
        keep = self.strength > 0
        return self.seen.where(keep), self.strength[keep]


def histories(
    users: Array,
    recent: Recent,
    dataset: Dataset,
    parameters: Parameters,
    runtimes_minutes: Array,
) -> Histories:
    """Return the histories of users (ids, ascending): data set and `recent` together.

    `runtimes_minutes` is (n_movies + those that came since,), 0: unknown. The result is what a
    data set of all the events would hold but for two things that a data set does not keep: how
    little was watched of a movie that was left early, and how much of one with a negative rating.
    Both matter only where the user rates the movie anew.
    """
    rows, known = rows_of(dataset.user_ids, users)
    before = SparseRows(dataset.indptr, dataset.movies).entries(rows[known])
    places = np.flatnonzero(known)[before.row_numbers()]
    old, new = before.columns, recent.of_users(users)
    both = Recent.merged(
        Recent(
            users[places],
            dataset.movies[old],
            np.full(len(old), -1),
            dataset.ratings[old],
            dataset.last_at[old],
        ),
        new,
    )
    share = datasets.watched_share(both.minutes, both.movies, runtimes_minutes)
    # Both hold each pair once, in the same order.
    at = _positions(both, users[places], dataset.movies[old])
    share[at] = np.maximum(share[at], _watched_before(dataset, old, parameters))
    strength = datasets.strengths(share, both.ratings, parameters)
    counts = np.bincount(np.searchsorted(users, both.users), minlength=len(users))
    indptr = np.concatenate(([0], np.cumsum(counts)))
    return Histories(SparseRows(indptr, both.movies), strength)


def _positions(both: Recent, users: Array, movies: Array) -> Array:
    """Return the row of each pair of user and movie in `both`, which has them all, in order."""
    order = np.lexsort((movies, users))
    keys = np.concatenate((both.users, users)), np.concatenate((both.movies, movies))
    ranked = np.lexsort((np.arange(len(keys[0])), keys[1], keys[0]))
    is_pair = ranked >= len(both.users)
    row = np.cumsum(~is_pair) - 1
    found = np.empty(len(users), np.int64)
    found[order] = row[is_pair]
    return found


def _watched_before(dataset: Dataset, entries: Array, parameters: Parameters) -> Array:
    """Return the watched share that the strength of some entries came from, 0 where it is lost.

    Of a movie that was left early it says no more than that: half the least share then.
    """
    strength, ratings = dataset.strength[entries], dataset.ratings[entries].astype(np.float32)
    liking = datasets.liking(ratings, parameters)
    # Only rated: the strength is the liking itself.
    only_rated = np.isclose(strength, liking, rtol=0, atol=1e-6) | (strength == 0)
    rated = np.where(only_rated, 0, np.clip(2 * strength - liking, 0, 1))
    unrated = np.where(strength > 0, strength, parameters.min_watched_share / 2)
    return np.where(ratings > 0, rated, unrated)
