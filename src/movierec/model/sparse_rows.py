"""Compressed sparse rows without values: which columns each row holds."""

from dataclasses import dataclass
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from movierec.model.encoding import Array

_INT32: Final = np.iinfo(np.int32).max


def row_numbers(indptr: Array) -> npt.NDArray[np.int32]:
    """Return the row of each entry, (n,), of rows that `indptr` (n_rows + 1,) delimits."""
    counts = np.diff(indptr)
    return np.repeat(np.arange(len(counts), dtype=np.int32), counts)


@dataclass(frozen=True, slots=True, eq=False)
class SparseRows:
    """Row i has `columns[indptr[i]:indptr[i + 1]]`; `indptr` is (n_rows + 1,), `columns` (n,)."""

    indptr: Array
    columns: Array

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.indptr) - 1

    def where(self, keep: npt.NDArray[np.bool_]) -> Self:
        """Return the rows with the entries that `keep` (n,) names, themselves if it names all."""
        if keep.all():
            return self
        kept = np.zeros(len(keep) + 1, np.int32 if len(keep) < _INT32 else np.int64)
        np.cumsum(keep, out=kept[1:])
        return type(self)(kept[self.indptr].astype(np.int64), self.columns[keep])

    def take(self, rows: Array) -> Self:
        """Return some of the rows, in the order given."""
        found = self.entries(rows)
        return type(self)(found.indptr, self.columns[found.columns])

    def entries(self, rows: Array) -> Self:
        """Return some of the rows with the places of their entries in place of the columns."""
        starts, lengths = self.indptr[rows], np.diff(self.indptr)[rows]
        indptr = np.concatenate(([0], np.cumsum(lengths)))
        return type(self)(indptr, np.arange(indptr[-1]) + np.repeat(starts - indptr[:-1], lengths))

    def row_numbers(self) -> npt.NDArray[np.int32]:
        """Return the row of each entry, (n,)."""
        return row_numbers(self.indptr)
