"""A disk that can be full."""

import errno
import os
from collections.abc import Sequence

from localstack_keeper.files import Disk


class SmallDisk:
    """A disk with room for so many bytes; a write that does not fit is made in part.

    What is in a file already can be written over.
    """

    def __init__(self, room_bytes: int = 1 << 30) -> None:
        self.room_bytes = room_bytes
        self.syncs = 0

    def disk(self) -> Disk:
        """Return it as the code under test takes it."""
        return Disk(self._write, self._sync, self._allocate)

    def _allocate(self, fd: int, offset: int, size_bytes: int) -> None:
        there = os.fstat(fd).st_size
        more = min(max(0, offset + size_bytes - there), self.room_bytes)
        os.posix_fallocate(fd, 0, there + more or 1)
        self.room_bytes -= more
        if there + more < offset + size_bytes:  # as ext4 does, which keeps what it got
            raise OSError(errno.ENOSPC, "No space left on device")

    def _write(self, fd: int, parts: Sequence[memoryview], offset: int) -> int:
        data = b"".join(parts)
        there = max(0, min(len(data), os.fstat(fd).st_size - offset))
        fitting = data[: there + self.room_bytes]
        if not fitting:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = os.pwrite(fd, fitting, offset)
        self.room_bytes -= max(0, written - there)
        return written

    def _sync(self, _fd: int) -> None:
        self.syncs += 1
