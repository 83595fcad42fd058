"""Send log lines of live traffic: corrupt some, deduplicate, and count what was confirmed."""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from simulator.line_corruption import (
    CorruptedLine,
    Corruption,
    CorruptionRates,
    Detectability,
    corrupt,
)
from simulator.reference_parser import ReferenceParser
from simulator.traffic_ledger import Ledger


class Producer(Protocol):
    """Where lines are sent."""

    def send(
        self,
        line: bytes,
        key: bytes,
        partition: int,
        confirmed: Callable[[int], None],
        lost: Callable[[BaseException], None],
    ) -> None:
        """Send one line; `confirmed(offset)` or `lost(why)` is called later, in any thread."""
        ...


@dataclass(frozen=True, slots=True)
class _Sent:
    """A line in flight: what it is, and its partition."""

    kind: str
    partition: int
    corrupted: CorruptedLine | None
    is_copy: bool


class RecentLines:
    """The last lines of a topic, for deduplication."""

    def __init__(self, size: int) -> None:
        self._order: deque[str] = deque()
        self._lines: set[str] = set()
        self._size = size

    def __contains__(self, line: str) -> bool:
        """Return whether the line was among the last."""
        return line in self._lines

    def add(self, line: str) -> None:
        """Add a line, drop the oldest."""
        if line in self._lines:
            return
        self._order.append(line)
        self._lines.add(line)
        if len(self._order) > self._size:
            self._lines.discard(self._order.popleft())


# More than the reader compares with: it takes a line within 20,000 offsets for a duplicate.
_RECENT_LINES = 50_000


class MessageSender:
    """Sends lines, some corrupted, and counts each once the broker has confirmed it."""

    def __init__(
        self,
        producer: Producer,
        partition_of: Callable[[int], int],
        rates: CorruptionRates,
        parser: ReferenceParser,
        rng: np.random.Generator,
    ) -> None:
        self._producer, self._partition_of = producer, partition_of
        self._rates, self._parser, self._rng = rates, parser, rng
        self._recent = RecentLines(_RECENT_LINES)
        self._sent = 0
        # Filled by kafka-python's thread, emptied by ours: a deque needs no lock.
        self._confirmed: deque[tuple[_Sent, int]] = deque()
        self._lost: deque[BaseException] = deque()

    def write(self, kind: str, user_id: int, line: str) -> None:
        """Send one line of a user, unless an equal one was sent recently."""
        if line in self._recent:
            return
        found = corrupt([line], self._rates, self._parser, self._rng)
        corrupted = found[0] if found else None
        if (
            corrupted
            and corrupted.detectability is Detectability.SILENT
            and corrupted.text in self._recent
        ):
            corrupted = None
        text = corrupted.text if corrupted else line
        self._recent.add(text)
        if corrupted and corrupted.corruption is Corruption.DUPLICATE:
            self._send(kind, user_id, text, None, is_copy=False)
            self._send(kind, user_id, text, corrupted, is_copy=True)
        else:
            self._send(kind, user_id, text, corrupted, is_copy=False)

    def use_catalog(self, runtimes: Mapping[str, int]) -> None:
        """Predict from now on what a reader with this catalog does, if it has one at all."""
        if self._parser.runtimes is not None:
            self._parser = replace(self._parser, runtimes=runtimes)

    def _send(
        self, kind: str, user_id: int, text: str, corrupted: CorruptedLine | None, *, is_copy: bool
    ) -> None:
        sent = _Sent(kind, self._partition_of(user_id), corrupted, is_copy)
        self._sent += 1
        self._producer.send(
            text.encode(),
            str(user_id).encode(),
            sent.partition,
            lambda offset: self._confirmed.append((sent, offset)),
            self._lost.append,
        )

    def count_confirmed(self, ledger: Ledger) -> list[BaseException]:
        """Add what was sent and confirmed since the last call; return why lines were lost.

        A lost line may still be in the topic: it stays unconfirmed for good.
        """
        ledger.unconfirmed += self._sent
        self._sent = 0
        while self._confirmed:
            sent, offset = self._confirmed.popleft()
            if not sent.is_copy:
                ledger.count_lines(sent.kind)
            if sent.corrupted:
                ledger.count_corrupted(
                    sent.kind, sent.corrupted.corruption, sent.corrupted.detectability
                )
            ledger.count_offsets(sent.partition, offset, offset + 1, 1)
            ledger.unconfirmed -= 1
        lost = list(self._lost)
        self._lost.clear()
        return lost
