"""From the journal to the lake: each record once, whatever dies in between.

One commit carries a run of records and, as its app transaction, the sequence number of the last;
the files go afterwards. A crash between the two leaves files that the next look at the
transaction shows to be in the lake already. An append that fails may have been committed, so
after every failure the shipper looks again before it goes on.
"""

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from movierec.errors import ConflictError, LakeError
from movierec.lake.ports import Lake
from movierec.lake.schema import SERVED
from movierec.lake.served import Served
from proxy.journal import Segment, read_segment
from proxy.journal_record import to_columns

_log = logging.getLogger(__name__)

# Records of one commit at most, to the next whole segment: some 10 MB of Python objects, and a
# day's backlog in 170 commits.
BATCH_RECORDS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Written:
    """What one call of `ship` settled: these segments' files are gone."""

    segments: tuple[Segment, ...]
    records: int
    unreadable: int


class LakeWriter:
    """Appends sealed segments to the lake's table `served` and removes them.

    `open_lake` is called when the lake is first needed, and again if it raised; `remove` deletes
    a file.
    """

    def __init__(
        self,
        open_lake: Callable[[], Lake],
        *,
        proxy_id: str,
        remove: Callable[[Path], None] = Path.unlink,
        batch_records: int = BATCH_RECORDS,
    ) -> None:
        self._open_lake = open_lake
        self._name = f"proxy-{proxy_id}"
        self._remove = remove
        self._batch_records = batch_records
        self._lake: Lake | None = None
        self._at: int | None = None
        self._looked = False
        self._possible: frozenset[int | None] | None = None

    def ship(self, segments: Sequence[Segment]) -> Written:
        """Ship the first of these segments, oldest first, as many as fit one commit.

        Raises UnavailableError or LakeError when the lake refuses (call again later), and
        ConflictError when another proxy ships under the same name: never call again.
        """
        gone = tuple(segment for segment in segments if not segment.path.exists())
        if gone:
            # Somebody removed them; waiting for them would hold up all that came after.
            lost = {"files": [str(segment.path) for segment in gone]}
            _log.error("journal_files_gone", extra=lost)
            return Written(gone, 0, 0)
        lake = self._lake = self._lake or self._open_lake()
        if not self._looked:
            self._look(lake, segments)
        chosen = self._choose(segments)
        records, unreadable = _read(chosen)
        at = -1 if self._at is None else self._at
        new = [(sequence, record) for sequence, record in records if sequence > at]
        if new:
            self._append(lake, chosen, new)
        for segment, spoilt in zip(chosen, unreadable, strict=True):
            self._dispose(segment, spoilt)
        return Written(chosen, len(new), sum(unreadable))

    def _look(self, lake: Lake, segments: Sequence[Segment]) -> None:
        at = lake.transaction(SERVED.name, self._name)
        unexpected = self._possible is not None and at not in self._possible
        if unexpected or (at is not None and segments and at > segments[-1].last):
            raise ConflictError(
                f"the lake's table {SERVED.name} stands at {at} for {self._name}, which is not "
                "from this journal: another proxy ships under this name. Stop the other one, or "
                "restart this one with another --proxy-id; its records stay in its folder"
            )
        self._at, self._looked = at, True

    def _choose(self, segments: Sequence[Segment]) -> tuple[Segment, ...]:
        chosen: list[Segment] = []
        for segment in segments:
            if sum(one.records for one in chosen) >= self._batch_records:
                break
            chosen.append(segment)
        return tuple(chosen)

    def _append(
        self, lake: Lake, chosen: Sequence[Segment], new: Sequence[tuple[int, Served]]
    ) -> None:
        last = new[-1][0]
        _sync(chosen)
        # Unless the append returns, nobody knows which of the two the lake is at.
        self._looked, self._possible = False, frozenset({self._at, last})
        try:
            batch = to_columns([record for _, record in new])
            lake.append(SERVED.name, [batch], transactions={self._name: last})
        except ConflictError as exc:
            # Ours or a rival's commit: the next look tells.
            raise LakeError(str(exc)) from exc
        self._looked, self._at, self._possible = True, last, frozenset({last})

    def _dispose(self, segment: Segment, unreadable: int) -> None:
        try:
            if unreadable:
                aside = segment.path.rename(segment.path.with_suffix(".unreadable"))
                kept = {"kept": str(aside), "lines": unreadable}
                _log.error("journal_lines_unreadable", extra=kept)
            else:
                self._remove(segment.path)
        except OSError as exc:
            # Its records are in the lake: the next start finds that, and tries again.
            _log.error("journal_file_stays", extra={"why": str(exc)})


def _read(segments: Sequence[Segment]) -> tuple[list[tuple[int, Served]], list[int]]:
    """Return the segments' records, and for each segment how many lines are unreadable."""
    records: list[tuple[int, Served]] = []
    unreadable: list[int] = []
    for segment in segments:
        read, spoilt = read_segment(segment.path)
        records += read
        unreadable.append(spoilt)
    return records, unreadable


def _sync(segments: Sequence[Segment]) -> None:
    """Force segments, and the name of the one that follows, to the disk."""
    for path in [*(segment.path for segment in segments), segments[0].path.parent]:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
