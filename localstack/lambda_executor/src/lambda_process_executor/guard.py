"""What a function may hold: memory and temporary storage, looked at while it runs."""

import time
from enum import Enum
from pathlib import Path
from typing import Final

from lambda_process_executor import disk, memory

# A look at /proc takes the interpreter 0.1 ms. Short invocations never pay for one, and a function
# that cannot reach its limit before the next look is not looked at sooner: fresh pages come at
# about 2 GB/s.
_LONGEST_S: Final = 0.1
_SHORTEST_S: Final = 0.01
_BYTES_PER_S: Final = 2_000_000_000

# A look at a large folder takes its time: at most this share of it goes into looking.
DISK_SHARE: Final = 0.02

MIB: Final = 1024 * 1024


class Excess(Enum):
    """What a function has had too much of."""

    MEMORY = "memory"
    DISK = "disk"


class Guard:
    """Watches one process tree and one folder against a function's limits."""

    def __init__(self, memory_mb: int, disk_mb: int, scratch: Path) -> None:
        self._memory_bytes = memory_mb * MIB
        self._disk_bytes = disk_mb * MIB
        self._scratch = scratch
        self._disk_check_at = 0.0
        self.begin()

    def begin(self) -> None:
        """Forget the last process: there is a new one."""
        self._peak_bytes = 0
        self._held_bytes = 0
        self.excess: Excess | None = None

    def look(self, warden_pid: int, now: float) -> Excess | None:
        """Return what the processes below the warden have too much of, None if nothing.

        `now` is monotonic. Once there is an excess, it stays.
        """
        usage = memory.usage_below(warden_pid)
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
        """How long the next look can wait."""
        left_bytes = self._memory_bytes - self._held_bytes
        return min(max(left_bytes / _BYTES_PER_S, _SHORTEST_S), _LONGEST_S)

    def note(self, pid: int | None) -> None:
        """Note the peak of one process, however short it was."""
        if pid is not None:
            self._peak_bytes = max(self._peak_bytes, memory.usage_of(pid).peak_bytes)

    @property
    def used_mb(self) -> int:
        """Most memory used so far, in whole MB of 2^20 bytes.

        What is mapped from files counts into the peak, not against the limit: so it is capped.
        """
        return -(-min(self._peak_bytes, self._memory_bytes) // MIB)

    def _is_disk_full(self, now: float) -> bool:
        if now < self._disk_check_at:
            return False
        used_bytes = disk.used_bytes(self._scratch)
        looked_s = time.monotonic() - now
        self._disk_check_at = now + looked_s / DISK_SHARE
        return used_bytes > self._disk_bytes
