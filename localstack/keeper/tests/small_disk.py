"""A disk that can be full."""

import errno
import os

from localstack_keeper.files import Disk


class SmallDisk:
    """A disk with room for so many bytes; a write that does not fit is made in part."""

    def __init__(self, room_bytes: int = 1 << 30) -> None:
        self.room_bytes = room_bytes
        self.syncs = 0

    def disk(self) -> Disk:
        """Return it as the code under test takes it."""
        return Disk(self._write, self._sync, self._fill)

    def _write(self, fd: int, data: bytes, offset: int) -> int:
        written = os.pwrite(fd, data[: self.room_bytes], offset) if self.room_bytes else 0
        if not written:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.room_bytes -= written
        return written

    def _fill(self, _fd: int, _start: int, _end: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    def _sync(self, _fd: int) -> None:
        self.syncs += 1
