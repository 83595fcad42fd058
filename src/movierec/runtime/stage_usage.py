"""CPU time, duration and peak memory of a process's stages, for manifests and benchmarks."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

_STATUS: Final = Path("/proc/self/status")
_PEAK: Final = "VmHWM:"
_CLEAR: Final = Path("/proc/self/clear_refs")
_CLEAR_PEAK: Final = "5"  # proc_pid_clear_refs(5): reset the peak to the present memory


def peak_memory_bytes() -> int:
    """Return this process's peak resident memory since its start, or since `reset_peak`."""
    lines = _STATUS.read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(_PEAK)) * 1024


def reset_peak() -> None:
    """Let `peak_memory_bytes` count from now on, where the system allows it."""
    with suppress(OSError):
        _CLEAR.write_text(_CLEAR_PEAK, encoding="ascii")


@dataclass(frozen=True, slots=True)
class StageUsage:
    """Stages that have ended, by name: `seconds`, `cpu_s` and `peak_memory_bytes`."""

    peak: Callable[[], int] = peak_memory_bytes
    reset: Callable[[], None] = reset_peak
    stages: dict[str, dict[str, float]] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Measure a block; a stage that is measured twice adds up."""
        self.reset()
        started, cpu = time.perf_counter(), time.process_time()
        try:
            yield
        finally:
            before = self.stages.get(name, {})
            self.stages[name] = {
                "seconds": before.get("seconds", 0.0) + time.perf_counter() - started,
                "cpu_s": before.get("cpu_s", 0.0) + time.process_time() - cpu,
                "peak_memory_bytes": max(before.get("peak_memory_bytes", 0), self.peak()),
            }

    @property
    def peak_memory_bytes(self) -> int:
        """The peak of all stages."""
        peaks = (int(stage["peak_memory_bytes"]) for stage in self.stages.values())
        return max(peaks, default=self.peak())
