"""Check a running function against its limits of memory and temporary storage."""

import time
from enum import Enum
from pathlib import Path
from typing import Final

from lambda_process_executor import disk_usage, memory_usage

# Reading /proc takes the interpreter 0.1 ms. Short invocations never pay for it, and a function
# that cannot reach its limit before the next check is not checked sooner: fresh pages come at
# about 2 GB/s.
_LONGEST_S: Final = 0.1
_SHORTEST_S: Final = 0.01
_BYTES_PER_S: Final = 2_000_000_000

# Measuring a large folder takes long: at most this share of the time goes into it.
DISK_SHARE: Final = 0.02

MIB: Final = 1024 * 1024


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
        usage = memory_usage.usage_below(subreaper_pid)
        self._held_bytes = usage.held_bytes
        self._peak_bytes = max(self._peak_bytes, usage.peak_bytes)
        if usage.held_bytes > self._memory_bytes:
            self._peak_bytes = max(self._peak_bytes, usage.held_bytes)
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
            self._peak_bytes = max(self._peak_bytes, memory_usage.usage_of(pid).peak_bytes)

    @property
    def used_mb(self) -> int:
        """Most memory used so far, in whole MB of 2^20 bytes.

        What is mapped from files counts into the peak, not against the limit: so it is capped.
        """
        return -(-min(self._peak_bytes, self._memory_bytes) // MIB)

    def _is_disk_full(self, now: float) -> bool:
        if now < self._disk_check_at:
            return False
        used_bytes = disk_usage.used_bytes(self._scratch)
        took_s = time.monotonic() - now
        self._disk_check_at = now + took_s / DISK_SHARE
        return used_bytes > self._disk_bytes
