"""Pack files: small objects' bodies, many to a file, so that concurrent puts share an fsync.

    packs/00000003    a header, a body, padding up to the next 4 kB, and so on

A body's name is its extent: `00000003.8192.100000.1f2e3d4c` is pack, offset, size, and the tag that
its header must have. A deleted body becomes a hole, whose space the file system has at once, so
nothing needs compaction. A pack that is all holes is deleted.
"""

import ctypes
import os
import secrets
import struct
import threading
from collections import Counter, defaultdict
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from localstack_keeper.disk import Disk, opened

PACK_BYTES: Final = 64 * 1024 * 1024
_BLOCK_BYTES: Final = 4096
_HEADER: Final = struct.Struct("<4s4sQ")
_MARK: Final = b"\xa5bd\x01"
_LIBC: Final = ctypes.CDLL(None)
_PUNCH_HOLE: Final = 0x02 | 0x01  # FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE


@dataclass(frozen=True, order=True)
class Extent:
    """Where a body is."""

    pack: int
    offset: int
    size_bytes: int
    tag: str

    @property
    def end(self) -> int:
        """Where the next one may begin."""
        end = self.offset + _HEADER.size + self.size_bytes
        return -(-end // _BLOCK_BYTES) * _BLOCK_BYTES

    @property
    def header(self) -> bytes:
        """What is written ahead of the body."""
        return _HEADER.pack(_MARK, bytes.fromhex(self.tag), self.size_bytes)

    def __str__(self) -> str:
        """Return the body's name."""
        return f"{self.pack:08d}.{self.offset}.{self.size_bytes}.{self.tag}"

    @classmethod
    def parse(cls, name: str) -> "Extent | None":
        """Return the extent of a body's name; None if it is in no pack."""
        fields = name.split(".")
        if len(fields) != 4:  # noqa: PLR2004 - as in __str__
            return None
        return cls(int(fields[0]), int(fields[1]), int(fields[2]), fields[3])


class PackFiles:
    """All packs of a folder. Those of former runs are not written to."""

    def __init__(self, root: Path, disk: Disk, *, pack_bytes: int = PACK_BYTES) -> None:
        self._root = root
        self._disk = disk
        self._pack_bytes = pack_bytes
        self._number = max(self._numbers(), default=0)
        self._is_open = False
        """Whether the newest one is of this run."""
        self._end = 0
        self._live: Counter[int] = Counter()
        self._unsynced: dict[Extent, tuple[bytes, ...]] = {}
        self._has_failed = False
        """Whether the last fsync failed: the kernel may have dropped any of the unsynced pages."""
        self._guard = threading.Lock()
        self._syncing = threading.Lock()

    def _numbers(self) -> list[int]:
        return [int(path.name) for path in self._root.iterdir()] if self._root.exists() else []

    def path(self, number: int) -> Path:
        """Return a pack's file."""
        return self._root / f"{number:08d}"

    def add(self, *chunks: bytes) -> str:
        """Write a body and return its name; it is durable after `sync`. Raises OSError."""
        size_bytes = sum(map(len, chunks))
        with self._guard:
            self._ensure_pack(size_bytes)
            extent = Extent(self._number, self._end, size_bytes, secrets.token_hex(4))
            parts = extent.header, *chunks
            with opened(self.path(extent.pack), os.O_WRONLY) as fd:
                try:
                    self._disk.write_all(fd, extent.offset, *parts)
                except OSError:
                    with suppress(OSError):
                        os.ftruncate(fd, extent.offset)
                    raise
            self._end = extent.end
            self._live[extent.pack] += 1
            self._unsynced[extent] = parts
        return str(extent)

    def _ensure_pack(self, size_bytes: int) -> None:
        if self._is_open and (not self._end or self._end + size_bytes <= self._pack_bytes):
            return
        self._disk.make_folder(self._root)
        os.close(self._disk.create_file(self.path(self._number + 1)))
        if self._is_open and self._live[self._number] <= 0:
            self.path(self._number).unlink(missing_ok=True)
        self._number, self._end, self._is_open = self._number + 1, 0, True

    def sync(self) -> None:
        """Sync all bodies that were added. Raises OSError.

        After a failure Linux may have dropped pages and report success to the next fsync, so all
        unsynced bodies are written again: Rebello et al., "Can Applications Recover from fsync
        Failures?", USENIX ATC 2020.
        """
        with self._syncing:
            with self._guard:
                batch = dict(self._unsynced)
            must_rewrite, self._has_failed = self._has_failed, True
            for number in dict.fromkeys(extent.pack for extent in batch):
                with suppress(FileNotFoundError), opened(self.path(number), os.O_WRONLY) as fd:
                    for extent, parts in batch.items() if must_rewrite else ():
                        if extent.pack == number:
                            self._disk.write_all(fd, extent.offset, *parts)
                    self._disk.sync_data(fd)
            self._has_failed = False
            with self._guard:
                for extent in batch:
                    self._unsynced.pop(extent, None)

    def read(self, extent: Extent) -> bytes:
        """Return a body. Raises FileNotFoundError if it is gone."""
        with opened(self.path(extent.pack), os.O_RDONLY) as fd:
            whole = os.pread(fd, _HEADER.size + extent.size_bytes, extent.offset)
            # The header is erased first: what was read while it still stood is the body.
            header = os.pread(fd, _HEADER.size, extent.offset)
        if len(whole) != _HEADER.size + extent.size_bytes or header != extent.header:
            raise FileNotFoundError(f"{self.path(extent.pack)} does not have {extent}")
        return whole[_HEADER.size :]

    def remove(self, extent: Extent) -> None:
        """Free a body's space."""
        with self._guard:
            self._unsynced.pop(extent, None)
            self._live[extent.pack] -= 1
            is_empty = self._live[extent.pack] <= 0 and extent.pack != self._number
        if is_empty:
            self.path(extent.pack).unlink(missing_ok=True)
            return
        with suppress(FileNotFoundError), opened(self.path(extent.pack), os.O_WRONLY) as fd:
            _punch_hole(fd, extent.offset, extent.end)

    def remove_orphans(self, used: Iterable[str]) -> tuple[int, set[str]]:
        """Free unused bodies at a start; return how many packs went, and which used are missing."""
        by_pack: dict[int, list[Extent]] = defaultdict(list)
        for extent in sorted(filter(None, map(Extent.parse, used))):
            by_pack[extent.pack].append(extent)
        unused = [number for number in self._numbers() if number not in by_pack]
        for number in unused:
            self.path(number).unlink()
        missing: set[str] = set()
        for number, extents in by_pack.items():
            self._live[number] = len(extents)
            try:
                with opened(self.path(number), os.O_RDWR) as fd:
                    missing |= _punch_between(fd, extents)
            except FileNotFoundError:
                missing |= set(map(str, extents))
        return len(unused), missing

    def is_empty(self) -> bool:
        """Return whether there is no pack at all."""
        return not self._numbers()


def _punch_between(fd: int, extents: list[Extent]) -> set[str]:
    """Punch holes between a pack's used extents; return those that it does not have."""
    missing = set()
    size_bytes = os.fstat(fd).st_size
    start = 0
    for extent in extents:
        is_there = os.pread(fd, _HEADER.size, extent.offset) == extent.header
        if not is_there or extent.offset + _HEADER.size + extent.size_bytes > size_bytes:
            missing.add(str(extent))
        if start < extent.offset:
            _punch_hole(fd, start, extent.offset)
        start = extent.end
    if start < size_bytes:
        _punch_hole(fd, start, size_bytes + _BLOCK_BYTES)
    return missing


def _punch_hole(fd: int, start: int, end: int) -> None:
    with suppress(OSError):
        os.pwrite(fd, bytes(_HEADER.size), start)
    # Where holes are not supported, the space is freed with the pack's last body.
    _LIBC.fallocate(fd, _PUNCH_HOLE, ctypes.c_int64(start), ctypes.c_int64(end - start))
