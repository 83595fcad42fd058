"""Files that are on the disk when a function here returns."""

import errno
import logging
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

LOG = logging.getLogger(__name__)

_MOST_PARTS: Final = os.sysconf("SC_IOV_MAX")


@dataclass(frozen=True)
class Disk:
    """How bytes get to the disk; tests pass one that fails."""

    write: Callable[[int, Sequence[memoryview], int], int] = os.pwritev
    sync: Callable[[int], None] = os.fsync
    allocate: Callable[[int, int, int], None] = os.posix_fallocate

    @property
    def waits(self) -> bool:
        """Whether what is synced survives a power cut."""
        return self.sync is not unsynced

    def sync_data(self, fd: int) -> None:
        """Have a file's bytes on the disk, and its size if that has changed."""
        (os.fdatasync if self.sync is os.fsync else self.sync)(fd)

    def write_all(self, fd: int, offset: int, *parts: bytes) -> None:
        """Write parts one behind the other. Raises OSError; what is there then is undefined."""
        views = [memoryview(part) for part in parts if part]
        while views:
            written = self.write(fd, views[:_MOST_PARTS], offset)
            offset += written
            while views and written >= len(views[0]):
                written -= len(views.pop(0))
            if views:
                views[0] = views[0][written:]

    def sync_folder(self, folder: Path) -> None:
        """Make names in a folder last."""
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            self.sync(fd)
        finally:
            os.close(fd)

    def write_file(self, path: Path, data: bytes) -> None:
        """Write a new file that is whole or, after a crash, no file that anybody looks at."""
        fd = os.open(path, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
        try:
            self.write_all(fd, 0, data)
            self.sync(fd)
        finally:
            os.close(fd)

    def cut(self, path: Path, size_bytes: int) -> None:
        """Make a file end earlier, for good: its next reader must not find the tail again."""
        fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.ftruncate(fd, size_bytes)
            self.sync(fd)
        finally:
            os.close(fd)

    def make_folder(self, path: Path) -> None:
        """Make a folder, and all above it that are missing, for nobody else to look into."""
        if path.is_dir():
            return
        self.make_folder(path.parent)
        path.mkdir(mode=0o700, exist_ok=True)
        self.sync_folder(path.parent)

    def sync_tree(self, folder: Path) -> None:
        """Make all that is in a folder last."""
        for base, _, names in os.walk(folder):
            for name in names:
                fd = os.open(Path(base, name), os.O_RDONLY)
                try:
                    self.sync(fd)
                finally:
                    os.close(fd)
            self.sync_folder(Path(base))


class Reserve:
    """Room on the disk for what must go on when it is full: records that objects are deleted."""

    def __init__(self, path: Path, size_bytes: int, disk: Disk) -> None:
        self.is_held = path.exists()
        """Whether the room is there; asked at each write, so not of the disk."""
        self._path = path
        self._size_bytes = size_bytes
        self._disk = disk

    def take(self) -> None:
        """Take the room if there is some, not if there is none."""
        part = self._path.with_suffix(".part")
        try:
            self._disk.write_file(part, bytes(self._size_bytes))
        except OSError:
            part.unlink(missing_ok=True)
        else:
            part.replace(self._path)
            self.is_held = True

    def give(self) -> bool:
        """Give the room to others; return whether there was any."""
        had, self.is_held = self.is_held, False
        self._path.unlink(missing_ok=True)
        return had

    def spend_on(self, do: Callable[[], None]) -> None:
        """Do something, and if the disk is full, again with the room given up. Raises OSError."""
        try:
            do()
        except OSError as exc:
            if exc.errno != errno.ENOSPC or not self.give():
                raise
            LOG.warning("keeper: the disk is full: S3 takes no objects until there is room")
            do()


def unsynced(_fd: int) -> None:
    """Leave it to the kernel: what is written survives this process, not a power cut."""


def disk(*, sync: bool) -> Disk:
    """Return the machine's disk."""
    return Disk() if sync else Disk(sync=unsynced)


def remove_tree(folder: Path) -> None:
    """Delete a folder and what is in it, if it is there."""
    shutil.rmtree(folder, ignore_errors=True)
