"""Whether to ask the API at all: a limit on requests that wait for it, and a circuit breaker."""

from dataclasses import dataclass
from typing import Final, Literal

# A request waits up to the deadline of 0.4 s, so 128 of them are at least 320 requests/s even
# when every one times out: sixteen times what the site sends, and far below what would hurt us.
MAX_WAITING: Final = 128

# Ten in a row: an API that fails every second call still passes (a run of ten comes once in 2,000
# calls), a dead one costs ten slow answers, most of them at the same time.
FAILURES_TO_OPEN: Final = 10

# One user a second finds out for the others whether the API is back.
COOLDOWN_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Ticket:
    """One call's permission. A probe decides whether the circuit closes again."""

    probe: bool


class Gate:
    """A circuit breaker: closed, open after a run of failures, half-open for one probe at a time.

    Nygard, Release It! (2nd ed.), "Circuit Breaker" and "Bulkheads". Every ticket that `enter`
    gives must be handed back by `leave`. Times are seconds of one monotonic clock.
    """

    def __init__(
        self,
        *,
        max_waiting: int = MAX_WAITING,
        failures_to_open: int = FAILURES_TO_OPEN,
        cooldown_s: float = COOLDOWN_S,
    ) -> None:
        self._max_waiting = max_waiting
        self._failures_to_open = failures_to_open
        self._cooldown_s = cooldown_s
        self._waiting = 0
        self._failures = 0
        self._retry_at_s: float | None = None
        self._probing = False

    @property
    def is_open(self) -> bool:
        """Whether the API is taken for dead; half-open counts as open."""
        return self._retry_at_s is not None

    def enter(self, now_s: float) -> Ticket | Literal["overload", "circuit_open"]:
        """Return a ticket for one call, or why there is none."""
        probe = self._retry_at_s is not None
        if self._retry_at_s is not None and (self._probing or now_s < self._retry_at_s):
            return "circuit_open"
        if self._waiting >= self._max_waiting:
            return "overload"
        self._waiting += 1
        self._probing = probe
        return Ticket(probe)

    def leave(self, ticket: Ticket, now_s: float, *, answered: bool) -> None:
        """Hand a ticket back, with what came of the call."""
        self._waiting -= 1
        if ticket.probe:
            self._probing = False
            self._retry_at_s = None if answered else now_s + self._cooldown_s
            self._failures = 0
        elif not self.is_open:
            # Calls that began before the circuit opened no longer say anything new.
            self._count(now_s, answered=answered)

    def _count(self, now_s: float, *, answered: bool) -> None:
        self._failures = 0 if answered else self._failures + 1
        if self._failures >= self._failures_to_open:
            self._retry_at_s = now_s + self._cooldown_s
