"""Circuit breaker in front of the API, with a limit on the requests that wait for it."""

from dataclasses import dataclass
from typing import Final, Literal

from proxy.bulkhead import MAX_CALLS

# Ten in a row: an API that fails every second call still passes (a run of ten comes once in 2,000
# calls), a dead one costs ten slow answers, most of them at the same time.
FAILURES_TO_OPEN: Final = 10

# While the circuit is open, one request a second probes the API.
COOLDOWN_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Permit:
    """Permission for one call. A probe decides whether the circuit closes again."""

    probe: bool


class CircuitBreaker:
    """A circuit breaker: closed, open after a run of failures, half-open for one probe at a time.

    Nygard, Release It! (2nd ed.), "Circuit Breaker" and "Bulkheads". Every permit from
    `acquire` must be handed to `release`. Times are seconds of one monotonic clock.
    """

    def __init__(
        self,
        *,
        max_waiting: int = MAX_CALLS,
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
        """Whether calls are suspended; half-open counts as open."""
        return self._retry_at_s is not None

    def acquire(self, now_s: float) -> Permit | Literal["overload", "circuit_open"]:
        """Return a permit for one call, or the reason for none."""
        probe = self._retry_at_s is not None
        if self._retry_at_s is not None and (self._probing or now_s < self._retry_at_s):
            return "circuit_open"
        if self._waiting >= self._max_waiting:
            return "overload"
        self._waiting += 1
        self._probing = probe
        return Permit(probe)

    def release(self, permit: Permit, now_s: float, *, answered: bool) -> None:
        """Return a permit, with the call's outcome."""
        self._waiting -= 1
        if permit.probe:
            self._probing = False
            self._retry_at_s = None if answered else now_s + self._cooldown_s
            self._failures = 0
        elif not self.is_open:
            # A call from before the circuit opened must not change its state.
            self._count(now_s, answered=answered)

    def _count(self, now_s: float, *, answered: bool) -> None:
        self._failures = 0 if answered else self._failures + 1
        if self._failures >= self._failures_to_open:
            self._retry_at_s = now_s + self._cooldown_s
