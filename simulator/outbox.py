"""From a clean line to what is sent: damage, the account, and no line twice by accident."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from simulator.corruption import Damage, Damaged, Fate, Rates, damage
from simulator.ledger import Ledger
from simulator.oracle import Rules


class Sender(Protocol):
    """Where lines go."""

    def send(
        self,
        line: bytes,
        key: bytes,
        partition: int,
        confirmed: Callable[[int], None],
        lost: Callable[[BaseException], None],
    ) -> None:
        """Hand one line over; one of the two is called later, in any thread."""
        ...


@dataclass(frozen=True, slots=True)
class _Sent:
    """A line under way: what it is, and where it went."""

    kind: str
    partition: int
    damaged: Damaged | None
    is_copy: bool


class Recent:
    """The last lines of a topic, so that a silently damaged one does not equal another."""

    def __init__(self, size: int) -> None:
        self._order: deque[str] = deque()
        self._lines: set[str] = set()
        self._size = size

    def __contains__(self, line: str) -> bool:
        """Return whether the line was among the last."""
        return line in self._lines

    def add(self, line: str) -> None:
        """Remember a line, forget the oldest."""
        if line in self._lines:
            return
        self._order.append(line)
        self._lines.add(line)
        if len(self._order) > self._size:
            self._lines.discard(self._order.popleft())


# More than the reader compares with: it takes a line within 20,000 offsets for a duplicate.
_RECENT_LINES = 50_000


class Outbox:
    """Sends lines, some damaged, and counts each once the broker has confirmed it."""

    def __init__(
        self,
        sender: Sender,
        partition_of: Callable[[int], int],
        rates: Rates,
        rules: Rules,
        rng: np.random.Generator,
    ) -> None:
        self._sender, self._partition_of = sender, partition_of
        self._rates, self._rules, self._rng = rates, rules, rng
        self._recent = Recent(_RECENT_LINES)
        self._sent = 0
        # Filled by kafka-python's thread, emptied by ours: a deque needs no lock.
        self._confirmed: deque[tuple[_Sent, int]] = deque()
        self._lost: deque[BaseException] = deque()

    def write(self, kind: str, user_id: int, line: str) -> None:
        """Send one line of a user; a line that was sent just before is left out."""
        if line in self._recent:
            return
        found = damage([line], self._rates, self._rules, self._rng)
        damaged = found[0] if found else None
        if damaged and damaged.fate is Fate.SILENT and damaged.text in self._recent:
            damaged = None
        text = damaged.text if damaged else line
        self._recent.add(text)
        if damaged and damaged.damage is Damage.DUPLICATE:
            self._send(kind, user_id, text, None, is_copy=False)
            self._send(kind, user_id, text, damaged, is_copy=True)
        else:
            self._send(kind, user_id, text, damaged, is_copy=False)

    def _send(
        self, kind: str, user_id: int, text: str, damaged: Damaged | None, *, is_copy: bool
    ) -> None:
        sent = _Sent(kind, self._partition_of(user_id), damaged, is_copy)
        self._sent += 1
        self._sender.send(
            text.encode(),
            str(user_id).encode(),
            sent.partition,
            lambda offset: self._confirmed.append((sent, offset)),
            self._lost.append,
        )

    def settle(self, ledger: Ledger) -> list[BaseException]:
        """Count what was sent and confirmed since the last time; return why lines were lost.

        A line that was lost may still be in the topic: it stays unconfirmed for good.
        """
        ledger.unconfirmed += self._sent
        self._sent = 0
        while self._confirmed:
            sent, offset = self._confirmed.popleft()
            if not sent.is_copy:
                ledger.count_lines(sent.kind)
            if sent.damaged:
                ledger.count_damage(sent.kind, sent.damaged.damage, sent.damaged.fate)
            ledger.count_offsets(sent.partition, offset, offset + 1, 1)
            ledger.unconfirmed -= 1
        lost = list(self._lost)
        self._lost.clear()
        return lost
