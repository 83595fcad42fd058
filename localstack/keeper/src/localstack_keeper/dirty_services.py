"""Dirty tracking: which services may have changed since they were saved last.

A request that is not read-only marks its service. What such a request sets off may end later (a
function becomes active, a message is delivered), so a service is saved twice after each mark.

Services with something in flight change without a request: they are saved again and again, and
twice after they have come to rest. Whatever else changes by itself is found by a full save, once a
minute.
"""

import re
import sys
import threading
from collections.abc import Iterable, Iterator
from typing import Any, Final

SAVES: Final = 2

_READ_ONLY: Final = re.compile(
    r"(Get|List|Describe|Head|Batch(Get|Describe)|Lookup|Search|Filter)(?![a-z])"
)
_CHANGING: Final = frozenset({"Pending", "Deleting", "InProgress"})
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


def in_flight() -> set[str]:
    """Return the names of the services with something in flight."""
    found = set()
    for store in _stores("localstack.services.stepfunctions.backend.store", "sfn_stores"):
        if any(each.exec_status == "RUNNING" for each in list(store.executions.values())):
            found.add("stepfunctions")
    if not _CHANGING.isdisjoint(_functions()):
        found.add("lambda")
    return found


def _stores(module: str, name: str) -> Iterator[Any]:
    """Yield a service's stores, none if nobody has loaded it."""
    if module in sys.modules:
        for _, _, store in list(getattr(sys.modules[module], name).iter_stores()):
            yield store


def _functions() -> Iterator[str]:
    for store in _stores("localstack.services.lambda_.invocation.models", "lambda_stores"):
        for function in list(store.functions.values()):
            for version in list(function.versions.values()):
                yield version.config.state.state if version.config.state else ""
                yield version.config.last_update.status if version.config.last_update else ""
