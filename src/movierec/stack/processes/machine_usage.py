"""What a run used of its machine: peak memory of each child, and CPU time lost to others."""

import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Self

import psutil

from movierec.stack.processes.spec import Process


def resident_mb(children: Iterable[Process]) -> Mapping[str, float]:
    """Return the resident memory of each child and its descendants, in MiB.

    A sum over processes: pages that they share count once for each.
    """
    return {child.name: _resident_bytes(child.pid) / 2**20 for child in children}


def _resident_bytes(pid: int) -> int:
    total = 0
    with suppress(psutil.Error):
        leader = psutil.Process(pid)
        for process in (leader, *leader.children(recursive=True)):
            with suppress(psutil.Error):
                total += process.memory_info().rss
    return total


class PeakMemory:
    """The highest reading of each child while the block runs, in MiB, by the child's name.

    `read` returns them, as `resident_mb`. A sample costs about 10 ms; a peak shorter than the
    interval can be missed.
    """

    def __init__(self, read: Callable[[], Mapping[str, float]], *, every_s: float = 1.0) -> None:
        self.peak_rss_mb: dict[str, float] = {}
        self._read = read
        self._every_s = every_s
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._work, name="peak-memory", daemon=True)

    def sample(self) -> None:
        """Take one reading."""
        for name, rss_mb in self._read().items():
            self.peak_rss_mb[name] = max(rss_mb, self.peak_rss_mb.get(name, 0.0))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Take a last reading and stop."""
        self._stopped.set()
        self._thread.join()
        self.sample()

    def _work(self) -> None:
        while not self._stopped.wait(self._every_s):
            self.sample()


class Processors:
    """CPU steal since this was made: other machines of the host take their share."""

    def __init__(self) -> None:
        self._began = psutil.cpu_times()

    def stolen_percent(self) -> float:
        """Return the share of processor time that went to other machines (proc(5), "steal")."""
        now = psutil.cpu_times()
        return float(100 * (now.steal - self._began.steal) / (sum(now) - sum(self._began)))
