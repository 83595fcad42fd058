"""Intra-list diversity: how seldom the movies of a list are watched by the same people.

    diversity of a list = 1 - mean over its pairs of movies i, j of |U_i & U_j| / sqrt(|U_i| |U_j|)

U_i are the users who have seen movie i in TRAIN: the cosine of the movies' columns of the
interaction matrix (Ziegler et al. 2005 with this similarity). It needs neither genres nor factors,
so it is defined for every data set and every model. A movie that nobody of U has seen is like no
other. Lists of fewer than two movies have no diversity and are left out.

To keep it cheap, U is an even sample of at most USERS users, and an even sample of at most LISTS
lists is measured: each movie is a bit set over U.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from movierec.model.encoding import Array

USERS: Final = 16_384
"""2 KB a movie: 55 MB of bits for 27,000 movies."""

LISTS: Final = 1_000
"""A list's diversity varies by about 0.1 between users: the mean has an error of 0.003."""

_USERS_AT_ONCE: Final = 1_024
_PAIRS_AT_ONCE: Final = 100


@dataclass(frozen=True, slots=True, eq=False)
class Viewers:
    """Who has seen each movie."""

    bits: npt.NDArray[np.uint64]
    """(n_movies, words): a bit a sampled user."""
    counts: npt.NDArray[np.int64]
    """(n_movies,): how many of them."""
    all_counts: npt.NDArray[np.int64]
    """(n_movies,): how many of all users."""

    @classmethod
    def of(cls, indptr: Array, movies: Array, keep: Array, n_movies: int) -> Self:
        """Return the viewers by the kept interactions; `indptr` and `movies` as in a data set."""
        n_users = len(indptr) - 1
        sample = np.arange(0, n_users, max(1, math.ceil(n_users / USERS)))
        words = [_packed(part, indptr, movies, keep, n_movies) for part in _chunks(sample)]
        bits = np.concatenate(words or [np.zeros((n_movies, 1), np.uint64)], axis=1)
        counts = np.bitwise_count(bits).sum(axis=1, dtype=np.int64)
        return cls(bits, counts, np.bincount(movies[keep], minlength=n_movies))

    def diversities(self, lists: Array) -> npt.NDArray[np.float64]:
        """Return the diversity of each sampled list of two movies or more, in order."""
        lists = lists[:: max(1, math.ceil(len(lists) / LISTS))]
        first, second = np.triu_indices(lists.shape[1], 1)
        one, other = lists[:, first], lists[:, second]
        paired = (one >= 0) & (other >= 0)
        norms = np.sqrt(self.counts[one] * self.counts[other].astype(np.float64))
        common = self._common(np.where(paired, one, 0), np.where(paired, other, 0))
        cosines = np.where(paired, common / np.maximum(norms, 1), 0)
        pairs = paired.sum(axis=1)
        return np.asarray(1 - cosines.sum(axis=1)[pairs > 0] / pairs[pairs > 0])

    def _common(self, one: Array, other: Array) -> Array:
        """Return how many of the sampled users have seen both movies of each pair.

        Lists have many pairs in common: each is counted once.
        """
        n_movies = len(self.counts)
        keys = np.minimum(one, other).astype(np.int64) * n_movies + np.maximum(one, other)
        pairs, places = np.unique(keys, return_inverse=True)
        low, high = np.divmod(pairs, n_movies)
        parts = [
            np.bitwise_count(self.bits[low[at]] & self.bits[high[at]]).sum(axis=1, dtype=np.int64)
            for at in _slices(len(pairs))
        ]
        return np.concatenate(parts or [np.zeros(0, np.int64)])[places].reshape(one.shape)


def _slices(pairs: int) -> Iterator[slice]:
    """Yield slices of few pairs: the bits of all at once would be 400 MB."""
    return (slice(start, start + _PAIRS_AT_ONCE) for start in range(0, pairs, _PAIRS_AT_ONCE))


def _chunks(users: Array) -> Iterator[Array]:
    for start in range(0, len(users), _USERS_AT_ONCE):
        yield users[start : start + _USERS_AT_ONCE]


def _packed(
    users: Array, indptr: Array, movies: Array, keep: Array, n_movies: int
) -> npt.NDArray[np.uint64]:
    """Return the bits of some users, (n_movies, words)."""
    seen = np.zeros((n_movies, math.ceil(len(users) / 64) * 64), np.bool_)
    for column, user in enumerate(users.tolist()):
        row = slice(indptr[user], indptr[user + 1])
        seen[movies[row][keep[row]], column] = True
    return np.packbits(seen, axis=1).view(np.uint64)
