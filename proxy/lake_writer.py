"""Append the journal to the lake exactly once, whatever fails in between.

One commit carries a batch of records and, as its app transaction, the sequence number of the last
(the lake's position); the files are removed afterwards. After a crash between the two, the position
shows that the files are in the lake already. An append that fails may have been committed, so after
every failure the position is read again.
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

# Records of one commit, rounded up to whole segments: some 10 MB of Python objects, and a day's
# backlog in 170 commits.
BATCH_RECORDS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Written:
    """Outcome of one `ship`: these segments are in the lake and their files are gone."""

    segments: tuple[Segment, ...]
    records: int
    unreadable: int


class LakeWriter:
    """Appends sealed segments to the lake's table `served` and removes them.

    `open_lake` is called at the first shipment, and again if it raised; `remove` deletes a file.
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
        self._position: int | None = None
        self._position_known = False
        self._possible: frozenset[int | None] | None = None

    def ship(self, segments: Sequence[Segment]) -> Written:
        """Ship the first of these segments, oldest first, as many as fit one commit.

        Raises UnavailableError or LakeError when the lake refuses (call again later), and
        ConflictError when another proxy ships under the same name: never call again.
        """
        gone = tuple(segment for segment in segments if not segment.path.exists())
        if gone:
            # Removed by somebody else; waiting for them would block all later segments.
            lost = {"files": [str(segment.path) for segment in gone]}
            _log.error("journal_files_gone", extra=lost)
            return Written(gone, 0, 0)
        lake = self._lake = self._lake or self._open_lake()
        if not self._position_known:
            self._read_position(lake, segments)
        chosen = self._next_batch(segments)
        records, unreadable = _read(chosen)
        position = -1 if self._position is None else self._position
        new = [(sequence, record) for sequence, record in records if sequence > position]
        if new:
            self._append(lake, chosen, new)
        for segment, spoilt in zip(chosen, unreadable, strict=True):
            self._dispose(segment, spoilt)
        return Written(chosen, len(new), sum(unreadable))

    def _read_position(self, lake: Lake, segments: Sequence[Segment]) -> None:
        position = lake.transaction(SERVED.name, self._name)
        unexpected = self._possible is not None and position not in self._possible
        if unexpected or (position is not None and segments and position > segments[-1].last):
            raise ConflictError(
                f"the lake's table {SERVED.name} is at position {position} for {self._name}, which "
                "is not from this journal: another proxy ships under this name. Stop the other, "
                "or restart this one with another --proxy-id; its records stay in its folder"
            )
        self._position, self._position_known = position, True

    def _next_batch(self, segments: Sequence[Segment]) -> tuple[Segment, ...]:
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
        # Until the append returns, the lake may be at either position.
        self._position_known, self._possible = False, frozenset({self._position, last})
        try:
            batch = to_columns([record for _, record in new])
            lake.append(SERVED.name, [batch], transactions={self._name: last})
        except ConflictError as exc:
            # Our own commit or another writer's: the position shows which, at the next attempt.
            raise LakeError(str(exc)) from exc
        self._position_known, self._position, self._possible = True, last, frozenset({last})

    def _dispose(self, segment: Segment, unreadable: int) -> None:
        try:
            if unreadable:
                aside = segment.path.rename(segment.path.with_suffix(".unreadable"))
                kept = {"kept": str(aside), "lines": unreadable}
                _log.error("journal_lines_unreadable", extra=kept)
            else:
                self._remove(segment.path)
        except OSError as exc:
            # Its records are in the lake: the next start sees that, and removes it.
            _log.error("journal_file_stays", extra={"why": str(exc)})


def _read(segments: Sequence[Segment]) -> tuple[list[tuple[int, Served]], list[int]]:
    """Return the segments' records, and each segment's number of unreadable lines."""
    records: list[tuple[int, Served]] = []
    unreadable: list[int] = []
    for segment in segments:
        read, spoilt = read_segment(segment.path)
        records += read
        unreadable.append(spoilt)
    return records, unreadable


def _sync(segments: Sequence[Segment]) -> None:
    """Sync segments and their folder, which names the next one."""
    for path in [*(segment.path for segment in segments), segments[0].path.parent]:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
