"""Reads in threads, each once at a time, and keeps what was found for some seconds.

However many browsers show a page, the system is asked once; a read that lasts blocks nobody who
asks for something else.
"""

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any, Final

from movierec.errors import MovierecError

_log = logging.getLogger(__name__)

_MOST_KEPT: Final = 512

# A part that is down is asked again soon, but not by every panel of every browser.
_FAILURE_FRESH_S: Final = 2.0


FAULT: Final = "a fault of the console itself: its log has the traceback"


@dataclass(frozen=True, slots=True)
class Found:
    """What was read; or `failure`, why not and what to do."""

    value: Any = None
    failure: str = ""


@dataclass(slots=True)
class _Kept:
    task: asyncio.Task[Found]
    until_s: float = float("inf")


class Readings:
    """Readings by key. For one event loop."""

    def __init__(
        self, executor: Executor, *, clock_s: Callable[[], float] = time.monotonic
    ) -> None:
        self.executor = executor
        self._clock_s = clock_s
        self._kept: OrderedDict[Hashable, _Kept] = OrderedDict()

    async def read(
        self,
        key: Hashable,
        read: Callable[[], Any],
        *,
        fresh_s: float,
        within_s: float | None = None,
    ) -> Found | None:
        """Return what `read` returns or why it failed, kept or new; None if not `within_s`.

        What was not ready in time goes on, and is there for the next who asks.
        """
        task = self._task(key, read, fresh_s)
        done, _ = await asyncio.wait({task}, timeout=within_s)
        return task.result() if done else None

    def forget(self) -> None:
        """Have everything read anew, after a change."""
        self._kept.clear()

    def _task(self, key: Hashable, read: Callable[[], Any], fresh_s: float) -> asyncio.Task[Found]:
        kept = self._kept.get(key)
        if kept is None or self._clock_s() >= kept.until_s:
            kept = _Kept(asyncio.create_task(self._found(read)))
            kept.task.add_done_callback(lambda task: self._keep(kept, task, fresh_s))
            self._kept[key] = kept
            while len(self._kept) > _MOST_KEPT:
                self._kept.popitem(last=False)
        return kept.task

    def _keep(self, kept: _Kept, task: asyncio.Task[Found], fresh_s: float) -> None:
        failed = task.cancelled() or bool(task.result().failure)
        kept.until_s = self._clock_s() + (min(fresh_s, _FAILURE_FRESH_S) if failed else fresh_s)

    async def _found(self, read: Callable[[], Any]) -> Found:
        loop = asyncio.get_running_loop()
        try:
            return Found(await loop.run_in_executor(self.executor, read))
        except MovierecError as exc:
            return Found(failure=str(exc))
        except Exception:  # noqa: BLE001  the edge of a reading
            _log.exception("panel_failed")
            return Found(failure=FAULT)
