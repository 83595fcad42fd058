"""What a run used of its machine: peak memory of each child, and CPU time lost to others."""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress

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


@contextmanager
def peak_memory(
    read: Callable[[], Mapping[str, float]], *, every_s: float = 1.0
) -> Iterator[Mapping[str, float]]:
    """Yield the highest reading of each child in the block, by its name, up to date at the end.

    `read` returns readings, as `resident_mb`. One costs about 10 ms; a peak shorter than the
    interval can be missed.
    """
    peaks: dict[str, float] = {}
    over = threading.Event()

    def work() -> None:
        is_last = False
        while not is_last:
            is_last = over.wait(every_s)
            for name, rss_mb in read().items():
                peaks[name] = max(rss_mb, peaks.get(name, 0.0))

    thread = threading.Thread(target=work, name="peak-memory", daemon=True)
    thread.start()
    try:
        yield peaks
    finally:
        over.set()
        thread.join()


class Processors:
    """CPU steal since this was made: other machines of the host take their share."""

    def __init__(self) -> None:
        self._began = psutil.cpu_times()

    def stolen_percent(self) -> float:
        """Return the share of processor time that went to other machines (proc(5), "steal")."""
        now = psutil.cpu_times()
        return float(100 * (now.steal - self._began.steal) / (sum(now) - sum(self._began)))
