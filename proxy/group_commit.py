"""Group commit: one journal write for all records of one event-loop iteration."""

import asyncio
from typing import Final

from movierec.lake.served import Served
from proxy.journal import Journal

# A backlog of this size is written to the lake before its time.
SHIP_AT_RECORDS: Final = 1_000


class GroupCommit:
    """Asynchronous face of the journal; `due` is set when a batch for the lake is full."""

    def __init__(self, journal: Journal, *, ship_at_records: int = SHIP_AT_RECORDS) -> None:
        self.due = asyncio.Event()
        self._journal = journal
        self._ship_at_records = ship_at_records

    async def record(self, served: Served) -> None:
        """Return when the record is written, or dropped and counted because it cannot be.

        A page-cache write of a few kB takes some 10 microseconds, handing it to a thread ten times
        that: the event loop writes itself.
        """
        if self._journal.append(served):
            asyncio.get_running_loop().call_soon(self._write)
        # Callbacks run in the order in which they were scheduled: the write is before us.
        await asyncio.sleep(0)

    def _write(self) -> None:
        self._journal.write()
        if self._journal.backlog_records >= self._ship_at_records:
            self.due.set()
