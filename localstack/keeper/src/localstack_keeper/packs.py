"""Small bodies, many to a file, so that one sync of that file is for all that wait.

    packs/00000003    a head, a body, room up to the next 4 kB, and so on

A body's name says where it is: `00000003.8192.100000.1f2e3d4c`, which is pack, offset, size, and
what its head must say. Deleted bodies become holes: their room is the disk's again at once. A pack
that is all holes is deleted.
"""

import ctypes
import functools
import os
import secrets
import struct
import threading
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from localstack_keeper.files import Disk

PACK_BYTES: Final = 64 * 1024 * 1024
_BLOCK_BYTES: Final = 4096
_HEAD: Final = struct.Struct("<4s4sQ")
_MARK: Final = b"\xa5bd\x01"
_PUNCH_HOLE: Final = 0x02 | 0x01  # FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None)


@dataclass(frozen=True, order=True)
class Place:
    """Where a body is."""

    pack: int
    offset: int
    size_bytes: int
    tag: str

    @property
    def end(self) -> int:
        """Where the next one may begin."""
        end = self.offset + _HEAD.size + self.size_bytes
        return -(-end // _BLOCK_BYTES) * _BLOCK_BYTES

    @property
    def head(self) -> bytes:
        """What is written ahead of the body."""
        return _HEAD.pack(_MARK, bytes.fromhex(self.tag), self.size_bytes)

    def __str__(self) -> str:
        """Return the body's name."""
        return f"{self.pack:08d}.{self.offset}.{self.size_bytes}.{self.tag}"

    @classmethod
    def of(cls, name: str) -> "Place | None":
        """Return where the body of a name is; None if it is in no pack."""
        fields = name.split(".")
        if len(fields) != 4:  # noqa: PLR2004 - as in __str__
            return None
        return cls(int(fields[0]), int(fields[1]), int(fields[2]), fields[3])


class Packs:
    """All packs of a folder. Nothing is written to those of former runs."""

    def __init__(self, root: Path, disk: Disk, *, pack_bytes: int = PACK_BYTES) -> None:
        self._root = root
        self._disk = disk
        self._pack_bytes = pack_bytes
        self._number = max(self._numbers(), default=0)
        self._fd: int | None = None
        self._end = 0
        self._live: Counter[int] = Counter()
        self._unsynced: list[tuple[int, int, bytes]] = []
        """File, offset and bytes of what is written since the last sync."""
        self._is_doubtful = False
        """Whether the kernel may believe that all of that is on the disk, and it is not."""
        self._writers: Counter[int] = Counter()
        self._full: list[int] = []
        """Files that get no more bodies, and have some that are not synced."""
        self._guard = threading.Lock()
        self._syncing = threading.Lock()

    def _numbers(self) -> list[int]:
        return [int(path.name) for path in self._root.iterdir()] if self._root.exists() else []

    def path(self, number: int) -> Path:
        """Return a pack's file."""
        return self._root / f"{number:08d}"

    def add(self, data: bytes) -> str:
        """Write a body and return its name; it is on the disk after `sync`. Raises OSError."""
        with self._guard:
            fd = self._open_pack(len(data))
            place = Place(self._number, self._end, len(data), secrets.token_hex(4))
            self._end = place.end
            self._live[place.pack] += 1
            self._writers[fd] += 1
        whole = place.head + data
        try:
            self._disk.write_all(fd, whole, place.offset)
        except OSError:
            self._written(fd)
            self.remove(place)
            raise
        self._written(fd, (fd, place.offset, whole))
        return str(place)

    def _written(self, fd: int, *what: tuple[int, int, bytes]) -> None:
        with self._guard:
            self._writers[fd] -= 1
            self._unsynced.extend(what)

    def _open_pack(self, size_bytes: int) -> int:
        is_full = self._end > 0 and self._end + size_bytes > self._pack_bytes
        if self._fd is None or is_full:
            self._disk.make_folder(self._root)
            number = self._number + 1
            flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC
            fd = os.open(self.path(number), flags, 0o600)
            try:
                self._disk.sync_folder(self._root)
            except OSError:
                os.close(fd)
                self.path(number).unlink()
                raise
            if self._fd is not None:
                self._full.append(self._fd)
            self._fd, self._number, self._end = fd, number, 0
        return self._fd

    def sync(self) -> None:
        """Have all bodies on the disk that were added. Raises OSError.

        A sync that fails may leave the kernel believing that all is written: so the next one writes
        the same again.
        """
        with self._syncing:
            with self._guard:
                batch = list(self._unsynced)
            if not batch:
                return
            if self._is_doubtful:
                for fd, offset, whole in batch:
                    self._disk.write_all(fd, whole, offset)
            self._is_doubtful = True
            for fd in dict.fromkeys(fd for fd, _, _ in batch):
                self._disk.sync_data(fd)
            self._is_doubtful = False
            with self._guard:
                del self._unsynced[: len(batch)]
                self._close_full()

    def _close_full(self) -> None:
        needed = {fd for fd, _, _ in self._unsynced} | {
            fd for fd in self._full if self._writers[fd]
        }
        for fd in set(self._full) - needed:
            os.close(fd)
            self._full.remove(fd)
            del self._writers[fd]

    def read(self, place: Place) -> bytes:
        """Return a body. Raises FileNotFoundError if it is gone."""
        fd = os.open(self.path(place.pack), os.O_RDONLY | os.O_CLOEXEC)
        try:
            whole = os.pread(fd, _HEAD.size + place.size_bytes, place.offset)
            # The head goes first: what was read while it still stood is the body.
            head = os.pread(fd, _HEAD.size, place.offset)
        finally:
            os.close(fd)
        if len(whole) != _HEAD.size + place.size_bytes or head != place.head:
            raise FileNotFoundError(f"{self.path(place.pack)} does not have {place}")
        return whole[_HEAD.size :]

    def remove(self, place: Place) -> None:
        """Give a body's room back."""
        with self._guard:
            self._live[place.pack] -= 1
            is_empty = self._live[place.pack] <= 0 and place.pack != self._number
        if is_empty:
            self.path(place.pack).unlink(missing_ok=True)
        else:
            self._punch(place.pack, place.offset, place.end)

    def _punch(self, number: int, start: int, end: int) -> None:
        try:
            fd = os.open(self.path(number), os.O_WRONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return
        try:
            with suppress(OSError):
                os.pwrite(fd, bytes(_HEAD.size), start)
            # Where it cannot be done the room comes back with the pack's last body.
            length = ctypes.c_int64(end - start)
            _libc().fallocate(fd, _PUNCH_HOLE, ctypes.c_int64(start), length)
        finally:
            os.close(fd)

    def settle(self, used: Iterable[str]) -> tuple[int, set[str]]:
        """Give back the room of what nothing uses; return how many packs went, and what is missing.

        Called before anything is added.
        """
        places = sorted(place for name in used if (place := Place.of(name)))
        by_pack: dict[int, list[Place]] = {}
        for place in places:
            by_pack.setdefault(place.pack, []).append(place)
        unused = [number for number in self._numbers() if number not in by_pack]
        for number in unused:
            self.path(number).unlink()
        missing: set[str] = set()
        for number, found in by_pack.items():
            self._live[number] = len(found)
            missing |= self._settle_pack(number, found)
        return len(unused), missing

    def _settle_pack(self, number: int, places: list[Place]) -> set[str]:
        missing = set()
        try:
            fd = os.open(self.path(number), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return {str(place) for place in places}
        try:
            size_bytes = os.fstat(fd).st_size
            start = 0
            for place in places:
                whole_bytes = place.offset + _HEAD.size + place.size_bytes
                is_there = os.pread(fd, _HEAD.size, place.offset) == place.head
                if not is_there or whole_bytes > size_bytes:
                    missing.add(str(place))
                if start < place.offset:
                    self._punch(number, start, place.offset)
                start = place.end
            if start < size_bytes:
                self._punch(number, start, size_bytes + _BLOCK_BYTES)
        finally:
            os.close(fd)
        return missing

    def is_empty(self) -> bool:
        """Return whether there is no pack at all."""
        return not self._numbers()
