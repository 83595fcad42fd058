"""Journal of served recommendations, on disk until the lake has them.

A segmented append-only log: a folder of JSON-lines files, each named by the lowest sequence number
that it may hold (`0001763633700000000.jsonl`). One segment is active, the others are sealed and
wait for the lake; the active one, even empty, keeps the position when everything is shipped.

A record is in the page cache before its answer is sent, so kill -9 loses none. It is synced before
it goes to the lake, so even after a power cut no sequence number is given twice; a power cut may
lose what was not shipped yet. Why not SQLite: docs/adr/0009-proxy-journal.md.
"""

import fcntl
import logging
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from movierec.errors import UsageError
from movierec.lake.served import Served
from proxy.journal_record import from_line, to_line

_log = logging.getLogger(__name__)

# About 10,000 records: small enough to read into memory whole, large enough that a day without a
# lake, at the site's 20 requests/s, is 150 files.
SEGMENT_BYTES: Final = 8 * 2**20

# About 1.3 million records: 18 hours without a lake at 20 requests/s.
LIMIT_BYTES: Final = 2**30

_NAME: Final = re.compile(r"(\d{19})\.jsonl")


@dataclass(frozen=True, slots=True)
class Segment:
    """A sealed file of at least one line; `since_us` is when its first record was served."""

    path: Path
    last: int
    records: int
    size_bytes: int
    since_us: int


@contextmanager
def locked(folder: Path, *, owner: str) -> Iterator[None]:
    """Lock a folder for this process; the kernel releases the lock when the process ends.

    Raises UsageError when another process holds it, naming that one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            raise UsageError(
                f"{folder} is in use by {path.read_text().strip() or 'another proxy'}: stop that "
                "one, or give this one its own --proxy-id"
            ) from exc
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{owner}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def read_segment(path: Path) -> tuple[list[tuple[int, Served]], int]:
    """Return a segment's records with their sequence numbers, and its number of damaged lines."""
    lines = path.read_bytes().splitlines()
    parsed = [from_line(line) for line in lines]
    records = [item for item in parsed if item is not None]
    return records, len(parsed) - len(records)


class Journal:
    """Append-only log of one process, used by one thread.

    `append` buffers a record; `write` writes all buffered records in one system call. The lake
    writer reads sealed segments and removes them. `first_sequence` is where an empty folder
    begins: microseconds since 1970 keep the numbers rising if a folder is lost and made anew.
    """

    def __init__(
        self,
        folder: Path,
        *,
        first_sequence: int,
        limit_bytes: int = LIMIT_BYTES,
        segment_bytes: int = SEGMENT_BYTES,
    ) -> None:
        self.torn_tails = 0
        self.dropped = 0
        self.sealed: tuple[Segment, ...] = ()
        self._folder = folder
        self._limit_bytes = limit_bytes
        self._segment_bytes = segment_bytes
        self._next = first_sequence
        self._buffer: list[bytes] = []
        self._buffered_since_us = 0
        self._dropping = False
        self._active: _ActiveSegment | None = None
        folder.mkdir(parents=True, exist_ok=True)
        empty = self._recover()
        self._active = _ActiveSegment(folder, self._next)
        for path in empty:
            if path != self._active.path:
                path.unlink()

    @property
    def backlog_records(self) -> int:
        """Number of records that are written and not known to be in the lake."""
        active = self._active.records if self._active else 0
        return active + sum(segment.records for segment in self.sealed)

    @property
    def backlog_bytes(self) -> int:
        """Size on disk of the backlog."""
        active = self._active.size_bytes if self._active else 0
        return active + sum(segment.size_bytes for segment in self.sealed)

    @property
    def since_us(self) -> int | None:
        """When the oldest record of the backlog was served; None without a backlog."""
        if self.sealed:
            return self.sealed[0].since_us
        return self._active.since_us if self._active and self._active.records else None

    def append(self, record: Served) -> bool:
        """Buffer a record for the next `write`. Returns whether it is the first one buffered."""
        if not self._buffer:
            self._buffered_since_us = record.served_at_us
        self._buffer.append(to_line(self._next, record))
        self._next += 1
        return len(self._buffer) == 1

    def write(self) -> None:
        """Write the buffered records. What does not fit is dropped, counted and logged."""
        buffered, self._buffer = self._buffer, []
        if not buffered:
            return
        size_bytes = sum(map(len, buffered))
        if self.backlog_bytes + size_bytes > self._limit_bytes:
            self._drop(
                len(buffered), f"the journal's limit of {self._limit_bytes} bytes is reached"
            )
            return
        try:
            written = self._write_lines(buffered)
        except OSError as exc:
            self._drop(len(buffered), f"{self._folder}: {exc}")
            return
        self._count_lost(len(buffered) - written)

    def seal(self) -> None:
        """Write the buffer, seal the active segment unless it is empty, and begin the next one."""
        self.write()
        self._seal_active()
        if self._active is None:
            with suppress(OSError):  # the next write tries again, and says so
                self._active = _ActiveSegment(self._folder, self._next)

    def forget(self, segments: Sequence[Segment]) -> None:
        """Take shipped segments, whose files are gone, out of the backlog."""
        self.sealed = tuple(segment for segment in self.sealed if segment not in segments)

    def close(self) -> None:
        """Write the buffer and close the active segment, which keeps the position."""
        self.write()
        if self._active is not None:
            self._active.close()
            self._active = None

    def _write_lines(self, lines: list[bytes]) -> int:
        """Return how many whole lines are on disk. Raises OSError if none is."""
        first = self._next - len(lines)
        if self._active is not None and self._active.size_bytes >= self._segment_bytes:
            self._seal_active()
        self._active = self._active or _ActiveSegment(self._folder, first)
        written = self._active.write(lines, first, self._buffered_since_us)
        if written < len(lines):
            # Half a line may stand at the end of this file: nothing may follow it.
            self._seal_active()
        return written

    def _seal_active(self) -> None:
        if self._active is not None and self._active.records:
            self.sealed += (self._active.close(),)
            self._active = None

    def _count_lost(self, lost: int) -> None:
        if lost:
            self._drop(lost, f"{self._folder}: the disk took only a part")
        elif self._dropping:
            self._dropping = False
            _log.warning("journal_writes_again", extra={"dropped_in_all": self.dropped})

    def _drop(self, records: int, why: str) -> None:
        self.dropped += records
        if not self._dropping:
            _log.error("journal_drops_records", extra={"why": why, "records": records})
        self._dropping = True

    def _recover(self) -> list[Path]:
        """Take up the segments of the folder; return the empty files."""
        empty: list[Path] = []
        for path in sorted(path for path in self._folder.iterdir() if _NAME.fullmatch(path.name)):
            lines = self._whole_lines(path)
            if lines:
                self.sealed += (_describe(path, lines),)
                self._next = self.sealed[-1].last + 1
            else:
                empty.append(path)
                self._next = int(path.stem)
        if self.sealed:
            backlog = {"records": self.backlog_records, "segments": len(self.sealed)}
            _log.info("journal_resumed", extra=backlog)
        return empty

    def _whole_lines(self, path: Path) -> list[bytes]:
        """Return a file's lines, its torn tail cut off."""
        body = path.read_bytes()
        size_bytes = body.rfind(b"\n") + 1
        if size_bytes < len(body):
            self.torn_tails += 1
            torn = {"segment": path.name, "bytes": len(body) - size_bytes}
            _log.warning("journal_tail_cut", extra=torn)
            os.truncate(path, size_bytes)
        return body[:size_bytes].splitlines()


class _ActiveSegment:
    """The segment that is appended to."""

    def __init__(self, folder: Path, first: int) -> None:
        self.path = folder / f"{first:019d}.jsonl"
        self.records = 0
        self.size_bytes = 0
        self.since_us = 0
        self._last = first - 1
        self._descriptor = os.open(
            self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644
        )

    def write(self, lines: Sequence[bytes], first: int, since_us: int) -> int:
        """Append lines and return how many are whole. Raises OSError if none was written."""
        body = b"".join(lines)
        size_bytes = os.write(self._descriptor, body)
        written = len(lines) if size_bytes == len(body) else body[:size_bytes].count(b"\n")
        self.size_bytes += sum(map(len, lines[:written]))
        if written < len(lines):
            with suppress(OSError):  # else the next start cuts the tail
                os.ftruncate(self._descriptor, self.size_bytes)
        if written:
            self.since_us = self.since_us or since_us
            self.records += written
            self._last = first + written - 1
        return written

    def close(self) -> Segment:
        os.close(self._descriptor)
        return Segment(self.path, self._last, self.records, self.size_bytes, self.since_us)


def _describe(path: Path, lines: Sequence[bytes]) -> Segment:
    """Return a file's segment; parses no more than its first and last readable lines."""
    first = next(filter(None, map(from_line, lines)), None)
    if first is None:
        last, damaged = int(path.stem) - 1, len(lines)
    else:
        from_end = enumerate(map(from_line, reversed(lines)))
        damaged, last = next((place, found[0]) for place, found in from_end if found)
    since_us = first[1].served_at_us if first else 0
    return Segment(path, last + damaged, len(lines), path.stat().st_size, since_us)
