"""Background task of the lake writer: ships every few seconds, or when a batch is full."""

import asyncio
import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Final

from movierec.errors import ConflictError, MovierecError
from proxy.group_commit import GroupCommit
from proxy.journal import Journal
from proxy.lake_writer import LakeWriter
from proxy.prometheus_metrics import Metrics

_log = logging.getLogger(__name__)

# Longest back-off while the lake is down.
_LONGEST_PAUSE_S: Final = 60.0


class LakeWriterTask:
    """Ships the journal to the lake in the background.

    The lake's code runs in a thread: it works in Rust and waits for the network, and both release
    the interpreter's lock.
    """

    def __init__(
        self,
        journal: Journal,
        writer: LakeWriter,
        *,
        group_commit: GroupCommit,
        metrics: Metrics,
        flush_s: float,
    ) -> None:
        self.given_up = False
        self._journal = journal
        self._writer = writer
        self._group_commit = group_commit
        self._metrics = metrics
        self._flush_s = flush_s
        self._failures = 0
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start the task."""
        self._task = asyncio.create_task(self._run())

    async def stop(self, within_s: float) -> None:
        """Ship the backlog once more and end; what is not shipped in time stays in the journal."""
        self._stopping.set()
        self._group_commit.due.set()
        try:
            async with asyncio.timeout(within_s):
                await self._end()
        except TimeoutError:
            details = {"within_s": within_s, "backlog_records": self._journal.backlog_records}
            _log.warning("shipping_cut_short", extra=details)

    async def _end(self) -> None:
        if self._task is not None:
            await self._task
        # The first round ships the sealed segments, the next the active one.
        while self._journal.backlog_records and not (self.given_up or self._failures):
            await self._ship_safely()

    async def _run(self) -> None:
        while not (self._stopping.is_set() or self.given_up):
            await self._pause()
            await self._ship_safely()

    async def _pause(self) -> None:
        """Wait until a batch is due; after failures back off, whether one is due or not."""
        pause_s = min(self._flush_s * 2**self._failures, _LONGEST_PAUSE_S)
        waited_for = self._stopping if self._failures else self._group_commit.due
        with suppress(TimeoutError):
            async with asyncio.timeout(pause_s):
                await waited_for.wait()
        if not self._stopping.is_set():
            self._group_commit.due.clear()

    async def _ship_safely(self) -> None:
        try:
            await self._ship()
            self._failures = 0
        except ConflictError as exc:
            self.given_up = True
            _log.error("shipping_stopped", extra={"why": str(exc)})
        except MovierecError as exc:
            self._failures += 1
            details = {"why": str(exc), "backlog_records": self._journal.backlog_records}
            _log.warning("shipping_failed", extra=details)
        except Exception:  # noqa: BLE001  logged with its traceback
            # A background task must survive any error: the next attempt ships.
            self._failures += 1
            _log.exception("shipping_crashed")

    async def _ship(self) -> None:
        if not self._journal.sealed:
            self._journal.seal()
        while segments := self._journal.sealed:
            shipped = await in_thread(partial(self._writer.ship, segments))
            self._journal.forget(shipped.segments)
            self._metrics.shipped.inc(shipped.records)
            _log.info("records_shipped", extra={"records": shipped.records})


async def in_thread[T](work: Callable[[], T]) -> T:
    """Run blocking work in a daemon thread and return its result.

    An executor's threads would be joined at exit, however long the network hangs.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if future.cancelled():
            return
        if error is None:
            future.set_result(result)  # type: ignore[arg-type]  # None only beside an error
        else:
            future.set_exception(error)

    def run() -> None:
        try:
            outcome: tuple[T | None, BaseException | None] = (work(), None)
        except BaseException as exc:  # noqa: BLE001  handed to whoever waits
            outcome = (None, exc)
        with suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(settle, *outcome)

    threading.Thread(target=run, name="writer", daemon=True).start()
    return await future
