"""Objects' bodies, immutable: small ones in pack files, large ones a file each.

    bodies/3f/3f9c...   named at random
    packs/00000003      a header, a body, padding up to the next 4 kB, and so on

An object's metadata names its body. So no write can spoil what a reader reads, or what is still the
newest acknowledged version.

Many bodies are in a pack so that concurrent puts share an fsync. The name of one is its extent:
`00000003.8192.100000.1f2e3d4c` is pack, offset, size, and the tag that its header must have. A
deleted body becomes a hole, whose space the file system has at once, so nothing needs compaction. A
pack that is all holes is deleted.
"""

import ctypes
import errno
import io
import os
import secrets
import struct
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from localstack_keeper.disk import Disk, Reserve, opened

# Between looking up an object and opening its body another request may delete it.
GRACE_S: Final = 5.0

# A file of its own costs two fsyncs and an inode: little for a megabyte, for 100 kB as much as all
# else that LocalStack does for a put. Whoever reads a packed body has it in memory whole.
PACKED_BYTES: Final = 1024 * 1024

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
        self._number = max(self.numbers(), default=0)
        self._is_open = False
        """Whether the newest one is of this run."""
        self._end = 0
        self._live: Counter[int] = Counter()
        self._unsynced: dict[Extent, tuple[bytes, ...]] = {}
        self._has_failed = False
        """Whether the last fsync failed: the kernel may have dropped any of the unsynced pages."""
        self._guard = threading.Lock()
        self._syncing = threading.Lock()

    def numbers(self) -> list[int]:
        """Return the packs that there are."""
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
        unused = [number for number in self.numbers() if number not in by_pack]
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


class Draft:
    """A body that is being written: in memory while it is small, then a file of its own."""

    def __init__(self, bodies: "Bodies", disk: Disk) -> None:
        self.name = ""
        """Known when it is finished."""
        self.size_bytes = 0
        self._bodies = bodies
        self._disk = disk
        self._chunks: list[bytes] = []
        self._fd: int | None = None

    def write(self, data: bytes) -> None:
        """Append to the body. Raises OSError."""
        self._chunks.append(data)
        self.size_bytes += len(data)
        if self._fd is None and self.size_bytes > PACKED_BYTES:
            self.name = secrets.token_hex(16)
            flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC
            self._fd = os.open(self._bodies.path(self.name), flags, 0o600)
        if self._fd is not None:
            written_bytes = self.size_bytes - sum(map(len, self._chunks))
            self._disk.write_all(self._fd, written_bytes, *self._chunks)
            self._chunks.clear()

    def finish(self) -> None:
        """Complete the body; a packed one is synced with its record. Raises OSError."""
        if self._fd is None:
            self.name = self._bodies.packs.add(*self._chunks)
            return
        path = self._bodies.path(self.name)
        try:
            self._disk.sync(self._fd)
            self._disk.sync_path(path.parent)
        except OSError:
            path.unlink()
            raise
        finally:
            os.close(self._fd)

    def drop(self) -> None:
        """Delete what was written."""
        if self._fd is not None:
            os.close(self._fd)
            self._bodies.path(self.name).unlink()


class Bodies:
    """All bodies."""

    def __init__(
        self, root: Path, disk: Disk, *, reserve: Reserve, clock: Callable[[], float]
    ) -> None:
        self.packs = PackFiles(root.with_name("packs"), disk)
        self._root = root
        self._reserve = reserve
        self._disk = disk
        self._clock = clock
        self._marked: dict[str, tuple[int, float]] = {}
        self._guard = threading.Lock()
        disk.make_folder(root)
        for number in range(256):
            (root / f"{number:02x}").mkdir(exist_ok=True)
        disk.sync_path(root)

    def path(self, name: str) -> Path:
        """Return the file that a body is in."""
        extent = Extent.parse(name)
        return self.packs.path(extent.pack) if extent else self._root / name[:2] / name

    def draft(self) -> Draft:
        """Return a new body to write. Raises OSError if the rest of the disk is reserved."""
        if not self._reserve.is_held:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return Draft(self, self._disk)

    def open(self, name: str) -> BinaryIO:
        """Return a body to read. Raises FileNotFoundError if it is gone."""
        extent = Extent.parse(name)
        if extent:
            return io.BytesIO(self.packs.read(extent))
        return self.path(name).open("rb", buffering=0)

    def is_empty(self) -> bool:
        """Return whether there is no body at all."""
        has_files = any(any(folder.iterdir()) for folder in self._root.iterdir())
        return not has_files and not self.packs.numbers()

    def mark_for_deletion(self, name: str, record: int) -> None:
        """Have a body deleted once the journal record that makes it garbage is durable."""
        with self._guard:
            self._marked.setdefault(name, (record, self._clock()))

    def collect_garbage(self, durable: int, *, grace_s: float = GRACE_S) -> int:
        """Delete marked bodies whose record is durable; return how many."""
        before = self._clock() - grace_s
        with self._guard:
            due = [
                name for name, (record, at) in self._marked.items()
                if record <= durable and at <= before
            ]  # fmt: skip
            for name in due:
                del self._marked[name]
        for name in due:
            extent = Extent.parse(name)
            if extent:
                self.packs.remove(extent)
            else:
                self.path(name).unlink(missing_ok=True)
        return len(due)

    def remove_orphans(self, used: Iterable[str]) -> tuple[int, set[str]]:
        """Delete unused bodies; return how many files, and which used bodies are missing."""
        names = list(used)
        unused, missing = self.packs.remove_orphans(names)
        missing |= {name for name in names if not Extent.parse(name)}
        for folder in self._root.iterdir():
            for name in os.listdir(folder):  # noqa: PTH208 - a million names, no paths of them
                if name in missing:
                    missing.discard(name)
                else:
                    (folder / name).unlink()
                    unused += 1
        return unused, missing
