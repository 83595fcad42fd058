"""A redo log: what goes to many files is on the disk after one sync of one file.

    redo    two halves, each: records, and what is left of former ones

A record is a batch of writes: file, offset, bytes. Its sync is quick, since the log has its size
and its blocks from the beginning: nothing of the file system's own has to be written with it. The
files are written and synced when a half is full, or when somebody wishes it, while records go to
the other half. After a crash all writes are to be made again, in order.

Known as write-ahead logging; this one is physical and redo-only. See Mohan et al., "ARIES",
ACM TODS 17 (1992).
"""

import os
import secrets
import struct
import sys
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from localstack_keeper.errors import DamagedError
from localstack_keeper.files import Disk
from localstack_keeper.writes import Files, Write

HALF_BYTES: Final = 8 * 1024 * 1024
# A record begins in a block of its own: writing it must not tear the one before.
_BLOCK_BYTES: Final = 4096
_MARK: Final = b"\xa5rd\x01"
_HEAD: Final = struct.Struct("<4s8sQIII")
_WRITE: Final = struct.Struct("<HQI")


class _Age(NamedTuple):
    """What all records of a half begin with, and no others in that half."""

    run: bytes
    """Random: what a client has put into a body is no record."""
    turn: int
    """How often a half was begun before."""
    former_bytes: int
    """How much there is in the half before. What follows it there has failed, and came again, or
    is of no use any more."""


@dataclass
class _Half:
    """The writes that one half of the log has."""

    age: _Age
    start: int
    size_bytes: int = 0
    paths: set[str] = field(default_factory=set)
    since: int = sys.maxsize
    """How often something had failed before the first of the writes was put off."""


class Redo:
    """The log of one run, for one thread at a time."""

    def __init__(
        self, path: Path, files: Files, disk: Disk, *, half_bytes: int = HALF_BYTES
    ) -> None:
        """Make the log. Raises OSError: then there is none."""
        self._files = files
        self._disk = disk
        self._half_bytes = half_bytes
        self._half = _Half(_Age(secrets.token_bytes(8), 0, 0), 0)
        self._settling: tuple[_Half, Future[None]] | None = None
        """The other half, and what has its files synced."""
        self._pool = ThreadPoolExecutor(1, "keeper-redo")
        # An empty record comes first: whoever finds none knows that one is lost.
        self._fd = _make(path, _head(self._half.age, []), 2 * half_bytes, disk)
        self._half.size_bytes = _record_bytes([])

    def write(self, writes: Sequence[Write], since: int) -> bool:
        """Have writes on the disk, if not yet in their files; return False if they do not fit.

        The caller puts them off before it calls again, or has, `since` being how often something
        had failed before. Raises OSError; then the next record takes this one's place.
        """
        parts = list(_dump(writes))
        size_bytes = _record_bytes(parts)
        if size_bytes > self._half_bytes:
            return False
        if self._half.size_bytes + size_bytes > self._half_bytes:
            self._begin_other_half()
        self._append(parts)
        self._half.paths.update(write.path for write in writes)
        self._half.since = min(self._half.since, since)
        return True

    def _append(self, parts: Sequence[bytes]) -> None:
        half = self._half
        start = half.start + half.size_bytes
        self._disk.write_all(self._fd, start, _head(half.age, parts), *parts)
        self._disk.sync_data(self._fd)
        half.size_bytes += _record_bytes(parts)

    def begin_settling(self) -> None:
        """Have what is in the log brought to its files, not waiting for it.

        Raises OSError if what was begun before has failed, and fails again.
        """
        if self._settling is not None and not self._settling[1].done():
            return
        self._finish_settling()
        if self._half.size_bytes:
            self._begin_other_half()

    def _begin_other_half(self) -> None:
        self._finish_settling()
        half = self._half
        try:
            future = self._pool.submit(self._settle, half)
        except RuntimeError:  # no thread to be had, as at the end of the process
            self._settle(half)
        else:
            self._settling = half, future
        self._half = self._next_half(half.size_bytes)

    def _next_half(self, former_bytes: int) -> _Half:
        run, turn, _ = self._half.age
        turn += 1
        return _Half(_Age(run, turn, former_bytes), turn % 2 * self._half_bytes)

    def _finish_settling(self) -> None:
        if self._settling is not None:
            half, future = self._settling
            try:
                future.result()
            except OSError:
                self._settle(half)
            self._settling = None

    def _settle(self, half: _Half) -> None:
        """Have a half's writes on the disk in their files. Raises OSError."""

        def writes() -> list[Write]:
            return _read_half(os.pread(self._fd, half.size_bytes, half.start)).writes()

        if half.paths:
            self._files.sync(half.paths, half.since, writes)

    def forget(self) -> None:
        """Have all writes on the disk in their files, and nothing in the log. Raises OSError."""
        self._finish_settling()
        self._settle(self._half)
        # A first record says that nothing of the half before counts. It is of this turn, if that
        # has none yet: a turn without any would leave the one before it to be taken for the newest.
        if self._half.size_bytes:
            self._half = self._next_half(former_bytes=0)
        else:
            self._half.age = self._half.age._replace(former_bytes=0)
        self._append([])


def read(path: Path) -> list[Write]:
    """Return the writes that a run has left in its log, in order. Raises DamagedError."""
    try:
        log = path.read_bytes()
    except FileNotFoundError:
        return []
    halves = log[: len(log) // 2], log[len(log) // 2 :]
    if not any(half[:_BLOCK_BYTES].strip(b"\0") for half in halves):
        return []  # as versions that forgot by zeros have left it
    older, newer = sorted(map(_read_half, halves), key=_turn)
    if any(_follows_whole(half, newer) for half in halves):
        raise DamagedError(
            f"{path} has lost a record and none of those after it, which no crash does: restore it "
            "from a copy, or delete it to go on without what was acknowledged last"
        )
    return [*_followed(older, newer), *newer.writes()]


def _follows_whole(half: bytes, newest: "_Found") -> bool:
    """Return whether a half has a record that came after the newest one that was found.

    In the older half none can be missed: what is torn there may be the next turn's beginning.
    """
    for offset in range(0, len(half), _BLOCK_BYTES):
        record = _record(half, offset) if half.startswith(_MARK, offset) else None
        if record and newest.is_before(record[0], offset):
            return True
    return False


def _make(path: Path, begin: bytes, size_bytes: int, disk: Disk) -> int:
    fd = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        disk.write_all(fd, 0, begin, bytes(size_bytes - len(begin)))
        disk.sync(fd)
        disk.sync_folder(path.parent)
    except OSError:
        os.close(fd)
        path.unlink()
        raise
    return fd


def _dump(writes: Sequence[Write]) -> Iterator[bytes]:
    for path, offset, data in writes:
        name = path.encode()
        yield from (_WRITE.pack(len(name), offset, len(data)), name, data)


def _load(payload: bytes) -> Iterator[Write]:
    at = 0
    while at < len(payload):
        name_bytes, offset, size_bytes = _WRITE.unpack_from(payload, at)
        name_at = at + _WRITE.size
        data_at = name_at + name_bytes
        at = data_at + size_bytes
        yield Write(payload[name_at:data_at].decode(), offset, payload[data_at:at])


def _head(age: _Age, payload: Sequence[bytes]) -> bytes:
    fields = _MARK, *age, sum(map(len, payload))
    checksum = zlib.crc32(_HEAD.pack(*fields, 0))
    for part in payload:
        checksum = zlib.crc32(part, checksum)
    return _HEAD.pack(*fields, checksum)


def _record_bytes(payload: Sequence[bytes]) -> int:
    size_bytes = _HEAD.size + sum(map(len, payload))
    return -(-size_bytes // _BLOCK_BYTES) * _BLOCK_BYTES


class _Found(NamedTuple):
    """What a half was found to have: each record's place and payload."""

    age: _Age | None
    records: list[tuple[int, bytes]]
    size_bytes: int
    """Where the next one would be."""

    def is_before(self, age: _Age, offset: int) -> bool:
        """Return whether a record is of a later turn, or stands behind what was found of this."""
        if self.age is None:
            return True
        is_behind = age.turn == self.age.turn and offset >= self.size_bytes
        return age.run == self.age.run and (age.turn > self.age.turn or is_behind)

    def writes(self, upto_bytes: int = sys.maxsize) -> list[Write]:
        """Return the writes of the records before a place."""
        return [
            write
            for offset, payload in self.records
            if offset < upto_bytes
            for write in _load(payload)
        ]


def _turn(found: _Found) -> int:
    return found.age.turn if found.age else -1


def _followed(older: _Found, newer: _Found) -> list[Write]:
    """Return the writes of a half that came before those of another, directly."""
    if older.age is None or newer.age is None:
        return []
    is_former = older.age.run == newer.age.run and older.age.turn + 1 == newer.age.turn
    return older.writes(newer.age.former_bytes) if is_former else []


def _read_half(half: bytes) -> _Found:
    first: _Age | None = None
    records: list[tuple[int, bytes]] = []
    offset = 0
    while (record := _record(half, offset)) is not None and first in (None, record[0]):
        first, payload = record
        records.append((offset, payload))
        offset += _record_bytes([payload])
    return _Found(first, records, offset)


def _record(half: bytes, offset: int) -> tuple[_Age, bytes] | None:
    """Return the age and the payload of the whole record at an offset."""
    if offset + _HEAD.size > len(half):
        return None
    _, run, turn, former_bytes, length, _ = _HEAD.unpack_from(half, offset)
    start = offset + _HEAD.size
    age, payload = _Age(run, turn, former_bytes), half[start : start + length]
    return (age, payload) if half[offset:start] == _head(age, [payload]) else None
