"""A disk whose power can go: what was not synced is there then, or in part, or not at all."""

import errno
import os
import random
import threading
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from localstack_keeper.disk import Disk

_BLOCK_BYTES = 4096


class PowerCutError(Exception):
    """The power is gone."""


class Power:
    """Power that goes when somebody says so, or at the n-th operation from then."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._failures = 0.0
        self._guard = threading.Lock()
        self._before: dict[Path, list[tuple[int, bytes]]] = defaultdict(list)
        """Of each file: where it was written since its last sync, and what was there before."""
        self._dropped: dict[Path, list[tuple[int, bytes]]] = defaultdict(list)
        """The same of writes that no sync will ever bring to the disk, since one has failed."""
        self._sizes: dict[Path, int] = {}
        """Of each file that was written to since its last sync: its size then."""
        self._left: int | None = None
        self._is_off = False

    def disk(self) -> Disk:
        """Return the disk."""
        return Disk(self._write, self._sync)

    def fail_sometimes(self, share: float) -> None:
        """Have so large a part of all writes and syncs fail from now, while there is power."""
        self._failures = share

    def go_after(self, operations: int) -> None:
        """Have the power go at the n-th write or sync from now."""
        self._left = operations

    def _operation(self) -> None:
        if self._left is not None:
            self._left -= 1
            self._is_off |= self._left < 0
        if self._is_off:
            raise PowerCutError
        if self._random.random() < self._failures:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    def _write(self, fd: int, parts: Sequence[memoryview], offset: int) -> int:
        data = b"".join(parts)
        with self._guard:
            path = _path(fd)
            with path.open("rb") as file:
                file.seek(offset)
                before = file.read(len(data)).ljust(len(data), b"\0")
            self._before[path].append((offset, before))
            self._sizes.setdefault(path, os.fstat(fd).st_size)
            self._operation()
            self._dropped[path] = [
                part
                for change in self._dropped[path]
                for part in _without(change, offset, offset + len(data))
            ]
            return os.pwrite(fd, data, offset)

    def _sync(self, fd: int) -> None:
        with self._guard:
            path = _path(fd)
            unsynced = self._before.pop(path, [])
            try:
                self._operation()
            except OSError:
                self._dropped[path] += unsynced
                raise
            except PowerCutError:
                self._before[path] = unsynced
                raise
            self._sizes.pop(path, None)

    def cut(self) -> None:
        """Have the power go, and each block that was not synced be as it was at some time."""
        with self._guard:
            self._is_off = True
            for path in self._before.keys() | self._dropped.keys():
                if path.is_file():
                    self._lose(path, [*self._dropped[path], *self._before[path]])
            for path, size_bytes in self._sizes.items():
                if path.is_file() and self._random.random() < 0.5:
                    os.truncate(path, size_bytes)

    def _lose(self, path: Path, changes: list[tuple[int, bytes]]) -> None:
        touched = {
            number
            for offset, before in changes
            for number in range(offset // _BLOCK_BYTES, (offset + len(before)) // _BLOCK_BYTES + 1)
        }
        with path.open("r+b") as file:
            for number in touched:
                start, end = number * _BLOCK_BYTES, (number + 1) * _BLOCK_BYTES
                lost = self._random.randint(0, len(changes))
                for offset, before in reversed(changes[len(changes) - lost :]):
                    first, last = max(start, offset), min(end, offset + len(before))
                    if first < last:
                        file.seek(first)
                        file.write(before[first - offset : last - offset])


def _without(change: tuple[int, bytes], start: int, end: int) -> list[tuple[int, bytes]]:
    """Return what is left of a change when a range of the file has been written again."""
    offset, before = change
    parts = [(offset, before[: max(0, start - offset)])]
    parts.append((max(offset, end), before[max(0, end - offset) :]))
    return [part for part in parts if part[1]]


def _path(fd: int) -> Path:
    return Path(f"/proc/self/fd/{fd}").readlink()
