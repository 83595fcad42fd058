"""Small bodies, many to a file.

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
from localstack_keeper.writes import Files, Write

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
        self.files = Files(root.parent, disk)
        """What packs and others in the same folder have to sync."""
        self._root = root
        self._disk = disk
        self._pack_bytes = pack_bytes
        self._number = max(self._numbers(), default=0)
        self._is_open = False
        """Whether the newest one is of this run."""
        self._end = 0
        self._live: Counter[int] = Counter()
        self._unsynced: list[Write] = []
        self._since = 0
        """How often something had failed before the first of these."""
        self._guard = threading.Lock()
        self._syncing = threading.Lock()

    def _numbers(self) -> list[int]:
        return [int(path.name) for path in self._root.iterdir()] if self._root.exists() else []

    def path(self, number: int) -> Path:
        """Return a pack's file."""
        return self._root.parent / self._path_of(number)

    def _path_of(self, number: int) -> str:
        return f"{self._root.name}/{number:08d}"

    def add(self, *chunks: bytes) -> str:
        """Take a body and return its name; it is on the disk after `sync`. Raises OSError."""
        size_bytes = sum(map(len, chunks))
        with self._guard:
            self._have_pack(size_bytes)
            place = Place(self._number, self._end, size_bytes, secrets.token_hex(4))
            path = self._path_of(place.pack)
            try:
                self.files.make_room(path, place.end)
            except OSError:
                self._trim()  # what there was is taken now
                raise
            self._end = place.end
            self._live[place.pack] += 1
            if not self._unsynced:
                self._since = self.files.failures
            write = Write(path, place.offset, b"".join((place.head, *chunks)))
            self.files.put_off(write)
            self._unsynced.append(write)
        return str(place)

    def _have_pack(self, size_bytes: int) -> None:
        if self._is_open and (not self._end or self._end + size_bytes <= self._pack_bytes):
            return
        if self._is_open:
            self._leave()
        self._disk.make_folder(self._root)
        path = self.path(self._number + 1)
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
        try:
            self._disk.sync_folder(self._root)
        except OSError:
            path.unlink()
            raise
        self._number, self._end, self._is_open = self._number + 1, 0, True

    def _leave(self) -> None:
        if self._live[self._number] > 0:
            self._trim()
        else:
            self.path(self._number).unlink(missing_ok=True)
        self._is_open = False

    def _trim(self) -> None:
        with suppress(OSError):
            self.files.trim(self._path_of(self._number), self._end)

    def unsynced(self) -> tuple[list[Write], int]:
        """Return what was added and need not be on the disk, and what `Files.sync` is to know."""
        with self._guard:
            return list(self._unsynced), self._since if self._unsynced else self.files.failures

    def forget_unsynced(self, count: int) -> None:
        """Leave the first so many of `unsynced` to the caller, who has them on the disk."""
        with self._guard:
            del self._unsynced[:count]

    def sync(self) -> None:
        """Have all bodies on the disk that were added. Raises OSError."""
        with self._syncing:
            batch, since = self.unsynced()
            self.files.sync((write.path for write in batch), since, lambda: batch)
            self.forget_unsynced(len(batch))

    def read(self, place: Place) -> bytes:
        """Return a body. Raises FileNotFoundError if it is gone."""
        unwritten = self.files.unwritten(self._path_of(place.pack), place.offset)
        if unwritten is not None:
            return unwritten[_HEAD.size :]
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
        self.files.call_off(self._path_of(place.pack), place.offset)
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

    def places(self, names: Iterable[str]) -> set[tuple[str, int]]:
        """Return where bodies are, as the path and offset of a `Write`."""
        found = filter(None, map(Place.of, names))
        return {(self._path_of(place.pack), place.offset) for place in found}

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
