"""Writes that are put off to their file's next sync, and remembered until they are on the disk.

Whoever puts one off has it on the disk in a log, or waits for the sync. It is in memory until then,
and has its room in the file, or a full disk would be met when it is too late to say so.

A sync that fails tells nobody which bytes are lost. Linux drops them, or not, and says the next
time that nothing is left to do, whoever asks: see Rebello et al., "Can Applications Recover from
fsync Failures?", USENIX ATC 2020. So after a failure all that may not be on the disk is written
again.
"""

import errno
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from localstack_keeper.files import Disk

# Of each file, for writes to come: making room takes half as long as writing 100 kB does.
AHEAD_BYTES: Final = 512 * 1024

# From file systems, and sandboxes, in which no room can be made ahead.
_CANNOT: Final = {errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.ENODEV, errno.EPERM}


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
        self._room_bytes: Counter[str] = Counter()
        self._put_off: dict[tuple[str, int], bytes] = {}
        self._guard = threading.Lock()
        self._making = threading.Lock()

    @property
    def failures(self) -> int:
        """How often something has failed. To be noted before a write, for its sync."""
        return self._failures

    def make_room(self, path: str, upto: int) -> None:
        """Have room for the first bytes of a file of this run. Raises OSError if there is none.

        Where it cannot be made ahead, writes will tell.
        """
        if upto <= self._room_bytes[path]:
            return
        for _, fd in self._open([path]):
            try:
                self._allocate(path, fd, upto + AHEAD_BYTES)
            except OSError:  # the disk is nearly full
                self._allocate(path, fd, upto)
                os.ftruncate(fd, upto)  # ext4 keeps what it got of a request that it refuses

    def _allocate(self, path: str, fd: int, upto: int) -> None:
        room_bytes = self._room_bytes[path]
        try:
            self._disk.allocate(fd, room_bytes, upto - room_bytes)
        except OSError as exc:
            if exc.errno not in _CANNOT:
                raise
        self._room_bytes[path] = upto

    def trim(self, path: str, size_bytes: int) -> None:
        """Give back what a file has room for behind its first bytes, all that is written ever."""
        for _, fd in self._open([path]):
            os.ftruncate(fd, size_bytes)
        self._room_bytes[path] = size_bytes

    def put_off(self, write: Write) -> None:
        """Leave a write to the next sync of its file, which has room for it."""
        self._put_off[write.path, write.offset] = write.data

    def unwritten(self, path: str, offset: int) -> bytes | None:
        """Return what was put off and is in no file yet. What is None now is in its file now."""
        return self._put_off.get((path, offset))

    def call_off(self, path: str, offset: int) -> None:
        """Have nothing written here that was put off."""
        with self._making:
            self._put_off.pop((path, offset), None)

    def sync(self, paths: Iterable[str], since: int, writes: Callable[[], Sequence[Write]]) -> None:
        """Have files on the disk, with what was put off. Raises OSError.

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
                self._make_put_off(path, fd)
                for write in writes:
                    if write.path == path:
                        self._disk.write_all(fd, write.offset, write.data)
                self._disk.sync_data(fd)
        except OSError:
            self._fail()
            raise

    def _make_put_off(self, path: str, fd: int) -> None:
        for place in self._put_off_of(path):
            with self._making:
                data = self._put_off.get(place)
                if data is not None:
                    self._disk.write_all(fd, place[1], data)
                    del self._put_off[place]

    def _put_off_of(self, path: str) -> list[tuple[str, int]]:
        return [place for place in list(self._put_off) if place[0] == path]

    def _fail(self) -> None:
        with self._guard:
            self._failures += 1

    def _open(self, paths: Sequence[str]) -> Iterator[tuple[str, int]]:
        for path in dict.fromkeys(paths):
            try:
                # To read too: the C library does so to make room where the kernel cannot.
                fd = os.open(self._folder / path, os.O_RDWR | os.O_CLOEXEC)
            except FileNotFoundError:
                for place in self._put_off_of(path):
                    self.call_off(*place)
                continue
            try:
                yield path, fd
            finally:
                os.close(fd)
