"""Which services may have changed since they were saved last.

A request that is no mere look marks its service. What such a request sets off may end later (a
function becomes active, a message is delivered), so a service is saved twice after each mark.
"""

import re
import threading
from collections.abc import Iterable
from typing import Final

SAVES: Final = 2

_LOOK: Final = re.compile(
    r"(Get|List|Describe|Head|Batch(Get|Describe)|Lookup|Search|Filter)(?![a-z])"
)
# It takes the task.
_NO_LOOK: Final = frozenset({"GetActivityTask"})


def is_look(operation: str) -> bool:
    """Return whether an operation's name says that it changes nothing."""
    return _LOOK.match(operation) is not None and operation not in _NO_LOOK


class Changes:
    """Marks of changed services, from any thread."""

    def __init__(self) -> None:
        self._saves_left: dict[str, int] = {}
        self._guard = threading.Lock()

    def mark(self, service: str, operation: str) -> None:
        """Take note of a request that was answered."""
        if not is_look(operation):
            self.mark_all([service])

    def mark_all(self, services: Iterable[str]) -> None:
        """Have services saved, whether anything says that they changed or not."""
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
