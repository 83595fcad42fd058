"""Writes that survive a power cut: fsync of files and folders, and disk space kept in reserve."""

import errno
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

LOG = logging.getLogger(__name__)

_IOV_MAX: Final = os.sysconf("SC_IOV_MAX")


@contextmanager
def opened(path: Path, flags: int) -> Iterator[int]:
    """Open a file, readable by its owner alone if it is created. Raises OSError."""
    fd = os.open(path, flags | os.O_CLOEXEC, 0o600)
    try:
        yield fd
    finally:
        os.close(fd)


@dataclass(frozen=True)
class Disk:
    """How bytes get to the disk; tests pass one that fails."""

    write: Callable[[int, Sequence[memoryview], int], int] = os.pwritev
    sync: Callable[[int], None] = os.fsync

    def sync_data(self, fd: int) -> None:
        """Sync a file's bytes, and its size if that has changed."""
        (os.fdatasync if self.sync is os.fsync else self.sync)(fd)

    def write_all(self, fd: int, offset: int, *parts: bytes) -> None:
        """Write parts one behind the other. Raises OSError; what is there then is undefined."""
        views = [memoryview(part) for part in parts if part]
        while views:
            written = self.write(fd, views[:_IOV_MAX], offset)
            offset += written
            while views and written >= len(views[0]):
                written -= len(views.pop(0))
            if views:
                views[0] = views[0][written:]

    def sync_path(self, path: Path) -> None:
        """Sync a file, or the names in a folder."""
        with opened(path, os.O_RDONLY) as fd:
            self.sync(fd)

    def create_file(self, path: Path) -> int:
        """Create a file and return its descriptor. Raises OSError; then there is none."""
        fd = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        try:
            self.sync_path(path.parent)
        except OSError:
            os.close(fd)
            path.unlink()
            raise
        return fd

    def write_file(self, path: Path, data: bytes) -> None:
        """Write and sync a file; the caller syncs or renames its name."""
        with opened(path, os.O_CREAT | os.O_TRUNC | os.O_WRONLY) as fd:
            self.write_all(fd, 0, data)
            self.sync(fd)

    def truncate(self, path: Path, size_bytes: int) -> None:
        """Truncate a file for good: its next reader must not find the tail again."""
        with opened(path, os.O_WRONLY) as fd:
            os.ftruncate(fd, size_bytes)
            self.sync(fd)

    def make_folder(self, path: Path) -> None:
        """Make a folder and its missing parents, accessible to the owner alone."""
        if not path.is_dir():
            self.make_folder(path.parent)
            path.mkdir(mode=0o700, exist_ok=True)
            self.sync_path(path.parent)

    def sync_tree(self, folder: Path) -> None:
        """Sync all files and folders below a folder."""
        for base, _, names in os.walk(folder):
            for name in (*names, ""):
                self.sync_path(Path(base, name))


class Reserve:
    """Disk space for what must go on when the disk is full: records of deletions."""

    def __init__(self, path: Path, size_bytes: int, disk: Disk) -> None:
        self.is_held = path.exists()
        """Asked at each write, so not of the file system."""
        self._path = path
        self._size_bytes = size_bytes
        self._disk = disk

    def acquire(self) -> None:
        """Allocate the space, if the disk has it."""
        part = self._path.with_suffix(".part")
        try:
            self._disk.write_file(part, bytes(self._size_bytes))
        except OSError:
            part.unlink(missing_ok=True)
        else:
            part.replace(self._path)
            self.is_held = True

    def release(self) -> bool:
        """Free the space; return whether there was any."""
        had, self.is_held = self.is_held, False
        self._path.unlink(missing_ok=True)
        return had

    def spend_on(self, write: Callable[[], None]) -> None:
        """Write; if the disk is full, release the reserve and write again. Raises OSError."""
        try:
            write()
        except OSError as exc:
            if exc.errno != errno.ENOSPC or not self.release():
                raise
            LOG.warning("keeper: the disk is full: S3 takes no objects until there is room")
            write()
