"""Places for new movies in users' lists, before anyone has watched them.

A new movie has factors predicted from what the catalog says of it. Predicted factors are smaller
than learned ones, so its score is compared with scores by the same prediction of the model's own
movies: it may enter the list of a user for whom it is among the best tenth of those. Of the
_CANDIDATES best ones each user's are drawn at random, the better the likelier, so that all of them
find somebody; the draw depends on the user and the movie alone, so that a refresh can be repeated.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from movierec.model.encoding import Array
from movierec.model.fitted import Float32
from movierec.model.ranking import LIST_LENGTH
from movierec.model.sparse_rows import SparseRows

_BEST_SHARE: Final = 0.1
_CANDIDATES: Final = 20
_USERS_A_CHUNK: Final = 512

# splitmix64 (Steele, Lea & Flood 2014): its increment and its two multipliers.
_INCREMENT: Final = np.uint64(0x9E3779B97F4A7C15)
_FIRST: Final = np.uint64(0xBF58476D1CE4E5B9)
_SECOND: Final = np.uint64(0x94D049BB133111EB)


@dataclass(frozen=True, slots=True, eq=False)
class NewMovies:
    """m movies that came after the model, and how many of them a list may hold."""

    movies: npt.NDArray[np.int32]
    """(m,), indices as in the overlay's lists."""
    factors: Float32
    """(m, k), predicted."""
    known: Float32
    """(n, k), predicted in the same way for movies of the model."""
    adult: npt.NDArray[np.bool_]
    """(m,), not to be shown to minors."""
    places: int
    """Of each LIST_LENGTH first movies of a list; at 0 nothing is placed."""


@dataclass(frozen=True, slots=True, eq=False)
class Readers:
    """Users whose lists are made: ids and flags (n,), factors (n, k), a row of what each saw."""

    user_ids: Array
    factors: Float32
    restricted: npt.NDArray[np.bool_]
    seen: SparseRows
    """Movies by their indices in lists; may hold any others."""


def placed(lists: npt.NDArray[np.int32], new: NewMovies, users: Readers) -> npt.NDArray[np.int32]:
    """Return lists (n, TOP_K), -1 for none, with new movies put in between; what follows moves on.

    Nobody is shown what he has seen, and no minor an adult movie.
    """
    if not len(new.movies) or new.places <= 0:
        return lists
    found = lists.copy()
    for start in range(0, len(lists), _USERS_A_CHUNK):
        chunk = np.arange(start, min(start + _USERS_A_CHUNK, len(lists)))
        found[chunk] = _with(lists[chunk], _chosen(new, users, chunk))
    return found


def _chosen(new: NewMovies, users: Readers, rows: Array) -> npt.NDArray[np.int32]:
    """Return the movies for some users, (n, places), -1 for none, the best first."""
    factors, most = users.factors[rows], min(_CANDIDATES, len(new.movies))
    scores = factors @ new.factors.T
    deviation = scores.std(axis=1)
    kth = min(len(new.known) - 1, int((1 - _BEST_SHARE) * len(new.known)))
    least = np.partition(factors @ new.known.T, kth, axis=1)[:, kth]
    allowed = (scores >= least[:, None]) & (scores > 0) & ~_excluded(new, users, rows)
    scores = np.where(allowed, scores, -np.inf)
    best = np.argpartition(-scores, most - 1, axis=1)[:, :most]
    best.sort(axis=1)
    values = np.take_along_axis(scores, best, axis=1)
    fit = np.isfinite(values)
    # Gumbel noise on log-weights draws in proportion to the weights: e per standard deviation.
    keys = values / np.where(deviation > 0, deviation, 1)[:, None]
    keys = np.where(fit, keys + _gumbel(users.user_ids[rows][:, None], new.movies[best]), -np.inf)
    order = np.argsort(-keys, axis=1, kind="stable")[:, : new.places]
    movies = np.where(fit, new.movies[best], -1)
    return np.take_along_axis(movies, order, axis=1).astype(np.int32)


def _excluded(new: NewMovies, users: Readers, rows: Array) -> npt.NDArray[np.bool_]:
    """Return what these users must not be shown, (n, m)."""
    mask = users.restricted[rows][:, None] & new.adult
    seen = users.seen.take(rows)
    column_of = np.full(max(int(new.movies.max()), int(seen.columns.max(initial=0))) + 1, -1)
    column_of[new.movies] = np.arange(len(new.movies))
    columns = column_of[seen.columns]
    mask[seen.row_numbers()[columns >= 0], columns[columns >= 0]] = True
    return np.asarray(mask)


def _gumbel(user_ids: Array, movies: Array) -> npt.NDArray[np.float64]:
    """Return Gumbel noise that depends on user and movie alone."""
    with np.errstate(over="ignore"):
        state = user_ids.astype(np.uint64) * _INCREMENT + movies.astype(np.uint64)
        state = (state + _INCREMENT) * _INCREMENT
        state = (state ^ (state >> np.uint64(30))) * _FIRST
        state = (state ^ (state >> np.uint64(27))) * _SECOND
        state ^= state >> np.uint64(31)
    uniform = ((state >> np.uint64(11)).astype(np.float64) + 0.5) / 2.0**53
    return np.asarray(-np.log(-np.log(uniform)))


def _with(lists: npt.NDArray[np.int32], movies: Array) -> npt.NDArray[np.int32]:
    """Return lists with movies (n, places) at the ends of equal parts of the first LIST_LENGTH."""
    found, places = lists, movies.shape[1]
    for place in range(places):
        # A shorter list gets them at its end.
        at = np.minimum((place + 1) * LIST_LENGTH // places - 1, (found >= 0).sum(axis=1))
        column = np.arange(found.shape[1])
        moved = np.concatenate((found[:, :1], found[:, :-1]), axis=1)
        put = np.where(column < at[:, None], found, moved)
        put[np.arange(len(found)), np.minimum(at, found.shape[1] - 1)] = movies[:, place]
        found = np.where((movies[:, place] >= 0)[:, None], put, found)
    return found
