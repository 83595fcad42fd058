"""Texts as sparse features: which phrases each names, and how much each of them counts."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from movierec.model.encoding import Array
from movierec.model.fitted import Float32
from movierec.model.sparse_rows import SparseRows

# Between 0, where all phrases of a text count alike, and 0.5 lists are equally good.
_FADES: Final = 0.25


def value_at(place: Array) -> Float32:
    """Return how much the phrases at these places of a text count, 1 for the first."""
    return np.asarray((1.0 + place) ** -_FADES, np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Readings:
    """One row a text: its distinct phrases, and how much each counts."""

    rows: SparseRows
    values: Float32
    """(n_entries,)."""

    @classmethod
    def of(cls, found: Sequence[Sequence[int]]) -> Self:
        """Return the features of texts by their phrases: what is named first counts most."""
        counts = np.array([len(phrases) for phrases in found], np.int64)
        indptr = np.concatenate(([0], np.cumsum(counts)))
        columns = np.fromiter((p for phrases in found for p in phrases), np.int64, indptr[-1])
        place = np.arange(len(columns)) - np.repeat(indptr[:-1], counts)
        return cls(SparseRows(indptr, columns), value_at(place))

    def __len__(self) -> int:
        """Return the number of texts."""
        return len(self.rows)

    def take(self, rows: Array) -> "Readings":
        """Return some of the texts."""
        entries = self.rows.entries(rows)
        columns = self.rows.columns[entries.columns]
        return Readings(SparseRows(entries.indptr, columns), self.values[entries.columns])

    def total(self, vectors: Float32) -> Float32:
        """Return the sums of the entries' vectors, (n_texts, k) of (n_entries, k)."""
        found = np.zeros((len(self), vectors.shape[1]), np.float32)
        filled = np.flatnonzero(np.diff(self.rows.indptr))
        if len(filled):
            weighted = vectors * self.values[:, None]
            found[filled] = np.add.reduceat(weighted, self.rows.indptr[filled], axis=0)
        return found

    def frequent(self, least: int, most: int) -> npt.NDArray[np.int64]:
        """Return the phrases of at least so many texts, the most frequent, ascending."""
        if not len(self.rows.columns):
            return np.zeros(0, np.int64)
        counts = np.bincount(self.rows.columns)
        order = np.argsort(-counts, kind="stable")[:most]
        return np.sort(order[counts[order] >= least])


def frequent_words(
    texts: Sequence[str], read: Callable[[str], Sequence[str]], least: int, most: int
) -> list[str]:
    """Return the words of at least so many texts, the most frequent of them."""
    counts = Counter(word for text in texts for word in set(read(text)))
    frequent = [(-count, word) for word, count in counts.items() if count >= least]
    return [word for _, word in sorted(frequent)[:most]]


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """A sparse matrix, (n, columns): row i has `values` where `rows` has columns."""

    rows: SparseRows
    values: Float32
    """(n_entries,)."""
    columns: int

    def take(self, rows: Array) -> "Features":
        """Return some of the rows."""
        entries = self.rows.entries(rows)
        kept = SparseRows(entries.indptr, self.rows.columns[entries.columns])
        return Features(kept, self.values[entries.columns], self.columns)

    def times(self, vectors: Array) -> Float32:
        """Return the product with a dense matrix, (n, k) of (columns, k)."""
        return Readings(self.rows, self.values).total(vectors[self.rows.columns])


def side_by_side(parts: Sequence[tuple[Readings, Array]]) -> Features:
    """Return features of several readings of the same texts in columns of their own.

    Each comes with the phrases, ascending, that have a column.
    """
    start, row_parts, column_parts, value_parts = 0, [], [], []
    for readings, phrases in parts:
        column_of = np.full(int(readings.rows.columns.max(initial=0)) + 1, -1)
        column_of[phrases] = np.arange(start, start + len(phrases))
        columns = column_of[readings.rows.columns]
        row_parts.append(readings.rows.row_numbers()[columns >= 0])
        column_parts.append(columns[columns >= 0])
        value_parts.append(readings.values[columns >= 0])
        start += len(phrases)
    of_row = np.concatenate(row_parts)
    order = np.argsort(of_row, kind="stable")
    counts = np.bincount(of_row, minlength=len(parts[0][0]))
    rows = SparseRows(np.concatenate(([0], np.cumsum(counts))), np.concatenate(column_parts)[order])
    return Features(rows, np.concatenate(value_parts)[order], start)
