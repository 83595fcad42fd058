"""Dirty tracking: which services may have changed since they were saved last.

A request that is not read-only marks its service. What such a request sets off may end later (a
function becomes active, a message is delivered), so a service is saved twice after each mark.
"""

import re
import threading
from collections.abc import Iterable
from typing import Final

SAVES: Final = 2

_READ_ONLY: Final = re.compile(
    r"(Get|List|Describe|Head|Batch(Get|Describe)|Lookup|Search|Filter)(?![a-z])"
)
# It takes the task.
_NOT_READ_ONLY: Final = frozenset({"GetActivityTask"})


def is_read_only(operation: str) -> bool:
    """Return whether an operation changes nothing, by its name."""
    return _READ_ONLY.match(operation) is not None and operation not in _NOT_READ_ONLY


class DirtyServices:
    """Services that are to be saved; from any thread."""

    def __init__(self) -> None:
        self._saves_left: dict[str, int] = {}
        self._guard = threading.Lock()

    def mark(self, service: str, operation: str) -> None:
        """Note a request that was answered."""
        if not is_read_only(operation):
            self.mark_all([service])

    def mark_all(self, services: Iterable[str]) -> None:
        """Have services saved, whether they changed or not."""
        with self._guard:
            self._saves_left.update(dict.fromkeys(services, SAVES))

    def take(self) -> set[str]:
        """Return the services to save now."""
        with self._guard:
            found = set(self._saves_left)
            self._saves_left = {
                service: left - 1 for service, left in self._saves_left.items() if left > 1
            }
            return found

    def pending(self) -> set[str]:
        """Return the services that are yet to be saved."""
        with self._guard:
            return set(self._saves_left)
