"""Check a running function against its limits of memory and temporary storage."""

import os
import time
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Final, NamedTuple

# Reading /proc takes the interpreter 0.1 ms. Short invocations never pay for it, and a function
# that cannot reach its limit before the next check is not checked sooner: fresh pages come at
# about 2 GB/s.
_LONGEST_S: Final = 0.1
_SHORTEST_S: Final = 0.01
_BYTES_PER_S: Final = 2_000_000_000

# Measuring a large folder takes long: at most this share of the time goes into it.
DISK_SHARE: Final = 0.02

KIB: Final = 1024
MIB: Final = 1024 * 1024


class Usage(NamedTuple):
    """Memory of one or several processes, in bytes.

    `held_bytes` is what only they can give back (anonymous and shared memory); a mapped file is
    not in it, because the kernel drops its pages when memory is short. `peak_bytes` is the most
    that was ever resident, mapped files included.
    """

    held_bytes: int
    peak_bytes: int


class Excess(Enum):
    """The limit that a function has exceeded."""

    MEMORY = "memory"
    DISK = "disk"


class LimitMonitor:
    """Measures one process tree and one folder, and compares them with a function's limits."""

    def __init__(self, memory_mb: int, disk_mb: int, scratch: Path) -> None:
        self._memory_bytes = memory_mb * MIB
        self._disk_bytes = disk_mb * MIB
        self._scratch = scratch
        self._disk_check_at = 0.0
        self.reset()

    def reset(self) -> None:
        """Start again for a new process."""
        self._peak_bytes = 0
        self._held_bytes = 0
        self.excess: Excess | None = None

    def check(self, subreaper_pid: int, now: float) -> Excess | None:
        """Return the limit that the processes below the subreaper exceed, None if they exceed none.

        `now` is monotonic. Once there is an excess, it stays.
        """
        usages = [usage_of(pid) for pid in descendants(subreaper_pid)]
        self._held_bytes = sum(usage.held_bytes for usage in usages)
        self._peak_bytes = max(self._peak_bytes, sum(usage.peak_bytes for usage in usages))
        if self._held_bytes > self._memory_bytes:
            self._peak_bytes = max(self._peak_bytes, self._held_bytes)
            self.excess = Excess.MEMORY
        elif self._is_disk_full(now):
            self.excess = Excess.DISK
        return self.excess

    @property
    def pause_s(self) -> float:
        """How long the next check can wait."""
        left_bytes = self._memory_bytes - self._held_bytes
        return min(max(left_bytes / _BYTES_PER_S, _SHORTEST_S), _LONGEST_S)

    def record_peak(self, pid: int | None) -> None:
        """Take one process's peak into account, however short it was."""
        if pid is not None:
            self._peak_bytes = max(self._peak_bytes, usage_of(pid).peak_bytes)

    @property
    def used_mb(self) -> int:
        """Most memory used so far, in whole MB of 2^20 bytes.

        What is mapped from files counts into the peak, not against the limit: so it is capped.
        """
        return -(-min(self._peak_bytes, self._memory_bytes) // MIB)

    def _is_disk_full(self, now: float) -> bool:
        if now < self._disk_check_at:
            return False
        is_full = used_bytes(self._scratch) > self._disk_bytes
        self._disk_check_at = now + (time.monotonic() - now) / DISK_SHARE
        return is_full


def parse_status(text: str) -> Usage:
    """Read `/proc/<pid>/status` (proc_pid_status(5)); a zombie has no memory lines."""
    kib = {
        name: int(value.split()[0])
        for name, _, value in (line.partition(":") for line in text.splitlines())
        if name in {"RssAnon", "RssShmem", "VmHWM"}
    }
    held = kib.get("RssAnon", 0) + kib.get("RssShmem", 0)
    return Usage(held * KIB, kib.get("VmHWM", 0) * KIB)


def usage_of(pid: int) -> Usage:
    """Return one process's usage; nothing when it has ended."""
    try:
        return parse_status(Path(f"/proc/{pid}/status").read_text())
    except (FileNotFoundError, ProcessLookupError):
        return Usage(0, 0)


def descendants(pid: int) -> Iterator[int]:
    """Yield every process below `pid`, without it."""
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        children = [int(c) for task in tasks for c in (task / "children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return
    for child in children:
        yield child
        yield from descendants(child)


def used_bytes(folder: Path) -> int:
    """Return the space that everything below a folder takes; links are not followed.

    What vanishes meanwhile takes none. Sparse files count what they take, not what they say.
    """
    return sum(_entry_bytes(Path(top, name)) for top, _, names in os.walk(folder) for name in names)


def _entry_bytes(path: Path) -> int:
    try:
        # st_blocks counts 512 bytes, whatever the file system's blocks are (stat(2)).
        return path.lstat().st_blocks * 512
    except FileNotFoundError:
        return 0
