"""Ridge regression of many targets on sparse features, by its normal equations.

    B = argmin sum over rows of w |t - B'f|^2 + penalty |B|^2

(Hoerl & Kennard 1970). The sums are made once, and solved for as many penalties as are tried.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Self

import numpy as np

from movierec.model.encoding import Array
from movierec.model.sparse_rows import SparseRows
from movierec.taste.readings import Features

_PAIRS_A_CHUNK: Final = 4_000_000
_CELLS_A_CHUNK: Final = 8_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Sums:
    """What the normal equations are made of: F'WF, (p, p), and F'WT, (p, k)."""

    gram: Array
    cross: Array

    @classmethod
    def of(cls, features: Features, weights: Array, targets: Array) -> Self:
        """Return the sums over n rows with `weights` (n,) and `targets` (n, k)."""
        columns = features.columns
        gram = np.zeros((columns, columns))
        cross = np.zeros((columns, targets.shape[1]))
        for chunk in _chunks(features.rows, columns):
            part, weight = features.take(chunk), weights[chunk]
            _add_gram(gram, part.rows, part.values, weight)
            dense = np.zeros((len(chunk), columns), np.float32)
            dense[part.rows.row_numbers(), part.rows.columns] = part.values
            cross += dense.T @ (targets[chunk] * weight[:, None]).astype(np.float32)
        return cls(gram, cross)

    def __add__(self, other: "Sums") -> "Sums":
        """Return the sums over both parts' rows."""
        return Sums(self.gram + other.gram, self.cross + other.cross)

    def solved(self, penalty: float) -> Array:
        """Return B, (p, k), for a penalty more than 0."""
        found: Array = np.linalg.solve(self.gram + penalty * np.eye(len(self.gram)), self.cross)
        return found


def _add_gram(gram: Array, rows: SparseRows, values: Array, weights: Array) -> None:
    of_row, n = rows.row_numbers(), len(gram)
    pairs = rows.entries(of_row)
    left = np.repeat(np.arange(len(of_row)), np.diff(rows.indptr)[of_row])
    cells = rows.columns[left].astype(np.int64) * n + rows.columns[pairs.columns]
    weighted = values[left] * values[pairs.columns] * weights[of_row[left]]
    gram += np.bincount(cells, weighted, n * n).reshape(n, n)


def _chunks(rows: SparseRows, columns: int) -> Iterator[Array]:
    """Yield row numbers, so many at once that a chunk's pairs and dense rows fit in memory."""
    lengths = np.diff(rows.indptr).astype(np.int64)
    cost = np.cumsum(np.maximum(lengths**2 / _PAIRS_A_CHUNK, columns / _CELLS_A_CHUNK))
    chunk = np.floor(cost).astype(np.int64)
    edges = np.flatnonzero(np.diff(chunk)) + 1
    for begin, end in zip([0, *edges], [*edges, len(lengths)], strict=True):
        yield np.arange(begin, end)
