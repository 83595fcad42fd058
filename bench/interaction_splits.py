"""Splits of interactions into training and held-out users, from MovieLens 1M or from files."""

import gzip
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix

from bench.benchmark_report import ROOT

Array = npt.NDArray[Any]

DATA: Final = ROOT.parent / "shared" / "data"
"""The public data sets, beside the checkout."""

HELD_OUT_USERS: Final = 1_000
_FOLD_IN_SHARE: Final = 0.8
_LEAST_RATING: Final = 4
_LEAST_INTERACTIONS: Final = 5


@dataclass(frozen=True, slots=True, eq=False)
class HeldOut:
    """Users of whom the model gets `known`, and has to find `hidden`; both (n_users, n_movies)."""

    known: csr_matrix
    hidden: csr_matrix


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """Users to train on, (n_users, n_movies), others to tune on, and others to test on."""

    train: csr_matrix
    validation: HeldOut
    test: HeldOut
    refit: csr_matrix
    """What the tuned model is trained on."""

    @classmethod
    def of_users(cls, pairs: Array, seed: int) -> Self:
        """Return strong generalisation: users held out whole, four in five movies folded in.

        `pairs` is (n, 2), user and movie. Movies are those of the training users.
        """
        users, rows = np.unique(pairs[:, 0], return_inverse=True)
        rng = np.random.default_rng(seed)
        part = np.full(len(users), 2)
        order = rng.permutation(len(users))
        part[order[:HELD_OUT_USERS]] = 0
        part[order[HELD_OUT_USERS : 2 * HELD_OUT_USERS]] = 1
        movies = np.unique(pairs[part[rows] == 2, 1])  # noqa: PLR2004  the training users
        known = np.isin(pairs[:, 1], movies)
        x = _matrix(rows[known], np.searchsorted(movies, pairs[known, 1]), len(users), len(movies))
        train = x[part == 2]  # noqa: PLR2004  likewise
        return cls(train, _folded(x[part == 1], rng), _folded(x[part == 0], rng), train)

    @classmethod
    def of_files(cls, train: Path, test: Path, fold_in: Path | None, seed: int = 1) -> Self:
        """Return a split from files; without `fold_in` the test users are among those of `train`.

        A tenth of the training users, at most HELD_OUT_USERS, are tuned on; the model is then
        trained on all.
        """
        found = {name: _pairs(path) for name, path in (("train", train), ("test", test))}
        found["known"] = found["train"] if fold_in is None else _pairs(fold_in)
        movies = np.unique(found["train"][:, 1])
        x, users = _rows(found["train"], movies, np.unique(found["train"][:, 0]))
        hidden, tested = _rows(found["test"], movies, np.unique(found["test"][:, 0]))
        known, _ = _rows(found["known"], movies, tested)
        rng = np.random.default_rng(seed)
        tuned_on = np.zeros(len(users), bool)
        tuned_on[rng.permutation(len(users))[: min(HELD_OUT_USERS, len(users) // 10)]] = True
        return cls(x[~tuned_on], _folded(x[tuned_on], rng), HeldOut(known, hidden), x)


def movielens_1m(folder: Path) -> Array:
    """Return all ratings, (n, 3): user, movie, rating."""
    with gzip.open(folder / "ml-1m" / "ratings.csv.gz", "rt", encoding="ascii") as file:
        return np.loadtxt(file, dtype=np.int64, delimiter=",", skiprows=1)


def liked(ratings: Array) -> Array:
    """Return user and movie of ratings of 4 and 5, of users with five of them, (n, 2)."""
    pairs = ratings[ratings[:, 2] >= _LEAST_RATING, :2]
    counts = np.bincount(pairs[:, 0])
    return np.asarray(pairs[counts[pairs[:, 0]] >= _LEAST_INTERACTIONS])


def _pairs(path: Path) -> Array:
    """Return the lines of a file, (n, 2) text: user and movie, by space, tab or comma."""
    lines: Sequence[str] = path.read_text(encoding="utf-8").splitlines()
    rows = [line.replace(",", " ").split()[:2] for line in lines if line.strip()]
    return np.array(rows, dtype=str).reshape(-1, 2)


def _rows(pairs: Array, movies: Array, users: Array) -> tuple[csr_matrix, Array]:
    """Return the pairs of these users and movies as a matrix, and the users, row by row."""
    pairs = pairs[np.isin(pairs[:, 1], movies) & np.isin(pairs[:, 0], users)]
    rows, columns = np.searchsorted(users, pairs[:, 0]), np.searchsorted(movies, pairs[:, 1])
    return _matrix(rows, columns, len(users), len(movies)), users


def _matrix(rows: Array, columns: Array, n_rows: int, n_columns: int) -> csr_matrix:
    x = csr_matrix((np.ones(len(rows), np.float32), (rows, columns)), shape=(n_rows, n_columns))
    x.data[:] = 1
    x.sort_indices()
    return x


def _folded(x: csr_matrix, rng: np.random.Generator) -> HeldOut:
    """Return a fifth of each user's movies as hidden, at least one; users of one are left out."""
    x = x[np.diff(x.indptr) > 1]
    counts = np.diff(x.indptr)
    rows = np.repeat(np.arange(len(counts)), counts)
    order = np.lexsort((rng.random(len(rows)), rows))
    rank = np.arange(len(rows)) - np.repeat(x.indptr[:-1], counts)
    hidden = rank < np.maximum(np.rint((1 - _FOLD_IN_SHARE) * counts), 1)[rows]
    columns = x.indices[order]
    return HeldOut(
        _matrix(rows[~hidden], columns[~hidden], *x.shape),
        _matrix(rows[hidden], columns[hidden], *x.shape),
    )
