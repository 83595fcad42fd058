"""Writes that are remembered until they are on the disk, since they may have to be made again.

A sync that fails tells nobody which bytes are lost. Linux drops them, or not, and says the next
time that nothing is left to do, whoever asks: see Rebello et al., "Can Applications Recover from
fsync Failures?", USENIX ATC 2020. So after a failure all that may not be on the disk is written
again.
"""

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from localstack_keeper.files import Disk


class Write(NamedTuple):
    """Bytes that belong at a place in a file, and no others while this is remembered."""

    path: str
    """Relative to the folder of `Files`."""
    offset: int
    data: bytes


class Files:
    """The files of a folder, whoever writes to them."""

    def __init__(self, folder: Path, disk: Disk) -> None:
        self._folder = folder
        self._disk = disk
        self._failures = 0
        self._guard = threading.Lock()

    @property
    def failures(self) -> int:
        """How often something has failed. To be noted before a write, for its sync."""
        return self._failures

    def write(self, write: Write) -> None:
        """Make a write, to be synced later. Raises OSError; then the sync makes it."""
        try:
            for _, fd in self._open([write.path]):
                self._disk.write_all(fd, write.data, write.offset)
        except OSError:
            self._fail()
            raise

    def sync(self, paths: Iterable[str], since: int, writes: Callable[[], Sequence[Write]]) -> None:
        """Have files on the disk. Raises OSError.

        `writes` returns what was written to them and not synced; it is made again if anything has
        failed `since`. A file that is gone is not made again: nothing that was in it is of use.
        """
        paths = list(paths)
        while True:
            failures = self._failures
            self._sync(paths, () if failures == since else writes())
            if self._failures == failures:  # nor has anything of others, of the same files
                return

    def make(self, writes: Sequence[Write]) -> None:
        """Make writes, and have them on the disk. Raises OSError."""
        self._sync([write.path for write in writes], writes)

    def _sync(self, paths: Sequence[str], writes: Sequence[Write]) -> None:
        try:
            for path, fd in self._open(paths):
                for write in writes:
                    if write.path == path:
                        self._disk.write_all(fd, write.data, write.offset)
                self._disk.sync_data(fd)
        except OSError:
            self._fail()
            raise

    def _fail(self) -> None:
        with self._guard:
            self._failures += 1

    def _open(self, paths: Sequence[str]) -> Iterator[tuple[str, int]]:
        for path in dict.fromkeys(paths):
            try:
                fd = os.open(self._folder / path, os.O_WRONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                continue
            try:
                yield path, fd
            finally:
                os.close(fd)
