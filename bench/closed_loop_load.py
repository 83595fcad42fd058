"""A closed-loop load: n callers, each calling again as soon as it has its answer."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Call = Callable[[int], None]
"""Makes one call for a user id; raises if it fails."""


@dataclass(frozen=True, slots=True)
class Load:
    """What a load measured: latencies in milliseconds, shape (n,), and how long it took."""

    latencies_ms: np.ndarray[tuple[int], np.dtype[np.float64]]
    duration_s: float

    @property
    def calls_per_s(self) -> float:
        """How many calls were answered each second."""
        return len(self.latencies_ms) / self.duration_s

    def percentile_ms(self, percent: float) -> float:
        """Return a percentile of the latencies."""
        return float(np.percentile(self.latencies_ms, percent))


def run(connect: Callable[[], Call], *, callers: int, calls: int, users: int) -> Load:
    """Share `calls` among `callers`, each on a connection of its own, and time each call.

    `connect` returns a caller's own call. Raises the first error that a caller meets.
    """
    found: list[list[float]] = [[] for _ in range(callers)]
    errors: list[Exception] = []
    ready = threading.Barrier(callers + 1)

    def work(caller: int) -> None:
        random = np.random.default_rng(caller)
        ids = random.integers(1, users + 1, calls // callers).tolist()
        call = connect()
        ready.wait()
        try:
            for user_id in ids:
                begin_s = time.perf_counter()
                call(user_id)
                found[caller].append((time.perf_counter() - begin_s) * 1000)
        except Exception as exc:  # noqa: BLE001  raised by the main thread
            errors.append(exc)

    threads = [threading.Thread(target=work, args=(caller,)) for caller in range(callers)]
    for thread in threads:
        thread.start()
    ready.wait()
    begin_s = time.perf_counter()
    for thread in threads:
        thread.join()
    duration_s = time.perf_counter() - begin_s
    if errors:
        raise errors[0]
    return Load(np.array([each for one in found for each in one]), duration_s)
