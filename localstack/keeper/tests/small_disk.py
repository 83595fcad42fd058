"""A disk that can be full."""

import errno
import os
from collections.abc import Sequence

from localstack_keeper.disk import Disk


class SmallDisk:
    """A disk with room for so many bytes; a write that does not fit is made in part.

    What is in a file already can be written over.
    """

    def __init__(self, room_bytes: int = 1 << 30) -> None:
        self.room_bytes = room_bytes
        self.syncs = 0

    def disk(self) -> Disk:
        """Return it as the code under test takes it."""
        return Disk(self._write, self._sync)

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
