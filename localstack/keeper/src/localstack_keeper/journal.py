"""An append-only journal in segments, and checkpoints that replace all segments before one.

    journal-00000003.log      records, in the order in which they were appended
    checkpoint-00000003       records that say the same as all segments before 3

Each record is framed: MARK, length, CRC-32 and payload. What is written at once is one record of
the file: a crash may tear the last, then all of it is gone, and what stands before it is durable.
Appending never fails and touches no disk; `commit` does. So the
order of records is the order of appends, whoever commits first, and a record that a full disk
refused is written before all later ones, or never.
"""

import itertools
import logging
import os
import struct
import threading
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from localstack_keeper.disk import Disk, opened
from localstack_keeper.errors import DamagedError
from localstack_keeper.state_folder import StateFolder

LOG = logging.getLogger(__name__)

MARK: Final = b"\xa5kp\x01"
"""Which no text has in it."""
_HEAD: Final = struct.Struct("<4sII")
_LENGTH: Final = struct.Struct("<I")

KEPT: Final = 2
_BATCH: Final = 1000
"""Records of a checkpoint that are written at once."""


def _segment(root: Path, number: int) -> Path:
    return root / f"journal-{number:08d}.log"


def _checkpoint(root: Path, number: int) -> Path:
    return root / f"checkpoint-{number:08d}"


def _numbers(root: Path, pattern: str) -> list[int]:
    return sorted(
        int(path.name.rpartition("-")[2].partition(".")[0]) for path in root.glob(pattern)
    )


class Journal:
    """The segment that is being written."""

    def __init__(
        self, root: Path, number: int, disk: Disk, *, before: Callable[[], None] = lambda: None
    ) -> None:
        self.root = root
        self.number = number
        self._before = before
        """Syncs what records are about; raises OSError."""
        self._disk = disk
        self._fd = disk.create_file(_segment(root, number))
        self.size_bytes = 0
        """How much of the segment is durable."""
        self.appended = 0
        """How many records this object was given."""
        self.durable = 0
        """How many of them are durable."""
        self._pending: list[bytes] = []
        self._guard = threading.Lock()
        self._writing = threading.Lock()

    def append(self, payload: bytes) -> int:
        """Take a record and return its number, for `commit`."""
        with self._guard:
            self._pending.append(payload)
            self.appended += 1
            return self.appended

    def commit(self, number: int | None = None) -> None:
        """Wait until a record and all before it are on the disk; by default all.

        One caller writes what all have appended meanwhile. Raises OSError; the records stay, and
        the next commit writes them.
        """
        upto = self.appended if number is None else number
        with self._writing:
            if self.durable < upto:
                self._flush()

    def rotate(self) -> int:
        """Commit all, go on in a new segment, and return its number. Raises OSError."""
        with self._writing:
            self._flush()
            fd = self._disk.create_file(_segment(self.root, self.number + 1))
            os.close(self._fd)
            self._fd, self.size_bytes, self.number = fd, 0, self.number + 1
            return self.number

    def _flush(self) -> None:
        with self._guard:
            batch, upto = list(self._pending), self.appended
        if not batch:
            return
        data = frame(join(batch))
        self._before()
        # After a failure the same bytes go to the same place: what a first try left behind is a
        # part of them, or beyond the end that a reader sees.
        self._disk.write_all(self._fd, self.size_bytes, data)
        self._disk.sync_data(self._fd)
        with self._guard:
            del self._pending[: len(batch)]
        self.size_bytes += len(data)
        self.durable = upto


@dataclass(frozen=True)
class History:
    """All records of a journal."""

    payloads: list[bytes]
    next_segment: int
    journal_bytes: int
    """How much of it is in segments and not in the checkpoint."""


def recover(root: Path, folder: StateFolder, disk: Disk) -> History:
    """Read what there is, from the newest checkpoint that is whole.

    A torn tail is cut, logged and set aside. Raises DamagedError for what no crash explains:
    records missing, or broken in the middle. Nothing is changed then.
    """
    for part in root.glob("*.part"):
        part.unlink()
    segments = _numbers(root, "journal-*.log")
    start, payloads, damaged = _newest_checkpoint(root, segments)
    later = [number for number in segments if number >= start]
    _check_gaps(root, later, start)
    journal_bytes = intact_bytes = 0
    for number in later:
        path = _segment(root, number)
        found, intact_bytes = _read_segment(path, is_last=number == later[-1])
        payloads.extend(found)
        journal_bytes += intact_bytes
    for path in damaged:
        LOG.error(
            "keeper: %s is not what was written: set aside as %s, the one before is used",
            path, folder.set_aside(path),
        )  # fmt: skip
    if later:
        _cut(_segment(root, later[-1]), intact_bytes, folder, disk)
    following = max([start - 1, *segments]) + 1
    return History(payloads, max(1, following), journal_bytes)


def _newest_checkpoint(root: Path, segments: list[int]) -> tuple[int, list[bytes], list[Path]]:
    """Return its segment, its records, and the newer checkpoints that are damaged."""
    damaged: list[Path] = []
    for number in reversed(_numbers(root, "checkpoint-*")):
        data = _checkpoint(root, number).read_bytes()
        reading = read(data)
        if reading.intact_bytes == len(data) and reading.payloads:
            return number, reading.payloads[:-1], damaged
        damaged.append(_checkpoint(root, number))
    if (segments or damaged) and segments[:1] != [1]:
        raise DamagedError(
            f"{root}: no checkpoint loads, and the journal begins at "
            f"{f'segment {segments[0]}' if segments else 'none'}: restore the folder from a copy, "
            "or move it away to start without S3's objects"
        )
    return 1, [], damaged


def _check_gaps(root: Path, segments: list[int], start: int) -> None:
    for number, expected in zip(segments, itertools.count(start), strict=False):
        if number != expected:
            raise DamagedError(
                f"{_segment(root, expected)} is missing: restore it, or move all later segments "
                "away to go on with what was before"
            )


def _read_segment(path: Path, *, is_last: bool) -> tuple[list[bytes], int]:
    """Return a segment's records, and how much of it is intact."""
    data = path.read_bytes()
    reading = read(data)
    is_torn = bool(data[reading.intact_bytes :].rstrip(b"\0"))
    if reading.is_damaged or (is_torn and not is_last):
        raise DamagedError(
            f"{path} is damaged at byte {reading.intact_bytes} of {len(data)}: restore it from a "
            "copy, or move it and all later segments away to go on with what was before"
        )
    try:
        payloads = [payload for batch in reading.payloads for payload in split(batch)]
    except ValueError as exc:
        raise DamagedError(f"{path}: {exc}: restore it from a copy") from exc
    return payloads, reading.intact_bytes


def _cut(path: Path, whole_bytes: int, folder: StateFolder, disk: Disk) -> None:
    """Cut a segment's end: without a sync it could be there again when others follow."""
    tail = path.read_bytes()[whole_bytes:]
    torn = tail.rstrip(b"\0")
    if torn:
        copy = path.with_name(f"{path.name}.tail")
        try:
            copy.write_bytes(torn)
            folder.set_aside(copy)
        except OSError as exc:  # a full disk: the tail is worth less than a start
            copy.unlink(missing_ok=True)
            LOG.warning("keeper: what is cut from %s is not kept: %s", path, exc)
        LOG.warning(
            "keeper: %d bytes of a write that was not finished are cut from %s", len(torn), path
        )
    if tail:
        disk.truncate(path, whole_bytes)


def write_checkpoint(root: Path, number: int, payloads: Iterable[bytes], disk: Disk) -> int:
    """Write a checkpoint for all before a segment, delete what it replaces, return its size.

    A crash before the rename leaves the one before and all segments since. The last record says
    that it is whole. Raises OSError.
    """
    part = _checkpoint(root, number).with_suffix(".part")
    try:
        size_bytes = 0
        with opened(part, os.O_CREAT | os.O_TRUNC | os.O_WRONLY) as fd:
            whole = itertools.chain(payloads, [b"end"])
            for batch in itertools.batched(whole, _BATCH, strict=False):
                data = b"".join(map(frame, batch))
                disk.write_all(fd, size_bytes, data)
                size_bytes += len(data)
            disk.sync(fd)
        part.replace(_checkpoint(root, number))
    except OSError:
        part.unlink(missing_ok=True)
        raise
    disk.sync_path(root)
    checkpoints = _numbers(root, "checkpoint-*")
    for old in checkpoints[:-KEPT]:
        _checkpoint(root, old).unlink()
    needed = checkpoints[-KEPT] if len(checkpoints) >= KEPT else 1
    for old in _numbers(root, "journal-*.log"):
        if old < needed:
            _segment(root, old).unlink()
    return size_bytes


def frame(payload: bytes) -> bytes:
    """Return a record."""
    return _HEAD.pack(MARK, len(payload), zlib.crc32(payload)) + payload


def join(payloads: Iterable[bytes]) -> bytes:
    """Return many payloads as one, so that all of them are in a file or none."""
    return b"".join(
        itertools.chain.from_iterable((_LENGTH.pack(len(one)), one) for one in payloads)
    )


def split(joined: bytes) -> list[bytes]:
    """Return the payloads of which one was joined. Raises ValueError if that one was not."""
    payloads, offset = [], 0
    while offset < len(joined):
        start = offset + _LENGTH.size
        if start > len(joined):
            raise ValueError("a joined payload ends in the middle of a length")
        offset = start + _LENGTH.unpack_from(joined, offset)[0]
        payloads.append(joined[start:offset])
    if offset != len(joined):
        raise ValueError("a joined payload is shorter than what is in it")
    return payloads


@dataclass(frozen=True)
class Reading:
    """What a file's bytes are."""

    payloads: list[bytes]
    intact_bytes: int
    """How much of the file is whole records; what follows is torn, or damaged."""
    is_damaged: bool
    """Whether a whole record follows one that is not: no crash does that."""


def read(data: bytes) -> Reading:
    """Return the records up to the first that is not whole."""
    payloads, offset = [], 0
    while (payload := _at(data, offset)) is not None:
        payloads.append(payload)
        offset += _HEAD.size + len(payload)
    return Reading(payloads, offset, _follows_intact(data, offset))


def _at(data: bytes, offset: int) -> bytes | None:
    """Return the payload of the whole record at an offset; None if there is none."""
    if offset + _HEAD.size > len(data):
        return None
    mark, length, checksum = _HEAD.unpack_from(data, offset)
    start = offset + _HEAD.size
    payload = data[start : start + length] if mark == MARK else b""
    return payload if len(payload) == length > 0 and zlib.crc32(payload) == checksum else None


def _follows_intact(data: bytes, offset: int) -> bool:
    """Return whether a whole record is anywhere after an offset where there is none.

    Not only where the broken one ends: its length may be what is broken.
    """
    while (offset := data.find(MARK, offset + 1)) != -1:
        if _at(data, offset) is not None:
            return True
    return False
