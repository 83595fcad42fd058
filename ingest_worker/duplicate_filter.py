"""Detect lines that the site sent twice."""

import numpy as np

from ingest_worker.line_fields import Ints, Mask
from ingest_worker.line_parser import Lines, binary

# At a busy site's 500 lines a second over two partitions this is more than a minute, longer than
# any producer retry; 20,000 hashes and offsets are 320 kB a partition.
WINDOW_OFFSETS = 20_000


class RecentLines:
    """Hashes of the last lines of one Kafka partition.

    A line is a duplicate if the same bytes are in the partition at most `window_offsets` before
    it. That depends on the partition's log alone: a worker that starts in the middle feeds the
    preceding offsets first and decides as its predecessor would have. Two different lines collide
    with probability 2**-64 for each pair.
    """

    def __init__(self, window_offsets: int = WINDOW_OFFSETS) -> None:
        self._window = window_offsets
        self._hashes = np.empty(0, np.int64)
        self._offsets = np.empty(0, np.int64)

    def mark(self, offsets: Ints, lines: Lines) -> Mask:
        """Return which of the lines, shape (n,), are duplicates, and add all to the window.

        `offsets` (n,) ascend, and follow those of the previous call.
        """
        known = len(self._hashes)
        new = binary(lines).hash().to_numpy().view(np.int64)
        self._hashes = np.concatenate([self._hashes, new])
        self._offsets = np.concatenate([self._offsets, offsets])
        marked = self._repeated()[known:]
        self._forget()
        return marked

    def _repeated(self) -> Mask:
        repeated = np.zeros(len(self._hashes), np.bool_)
        # Sorting values takes a fifth of sorting places, and mostly there is nothing to find.
        every = np.sort(self._hashes)
        several = np.unique(every[1:][every[1:] == every[:-1]])
        rows = np.flatnonzero(np.isin(self._hashes, several)) if len(several) else several
        # A stable sort keeps equal hashes in the order of their offsets: neighbours are nearest.
        order = rows[np.argsort(self._hashes[rows], kind="stable")]
        hashes, offsets = self._hashes[order], self._offsets[order]
        near = (hashes[1:] == hashes[:-1]) & (offsets[1:] - offsets[:-1] <= self._window)
        repeated[order[1:]] = near
        return repeated

    def _forget(self) -> None:
        if len(self._offsets):
            recent = self._offsets > self._offsets[-1] - self._window
            self._hashes, self._offsets = self._hashes[recent], self._offsets[recent]
