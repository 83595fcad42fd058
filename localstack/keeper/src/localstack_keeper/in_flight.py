"""In-flight detection: services that change without a request.

They are saved again and again, and twice after they have come to rest. Whatever else changes by
itself is found by a full save, once a minute.
"""

import sys
from collections.abc import Iterator
from typing import Any, Final

_CHANGING: Final = frozenset({"Pending", "Deleting", "InProgress"})


def in_flight() -> set[str]:
    """Return the names of the services with something in flight."""
    found = set()
    if "RUNNING" in _executions():
        found.add("stepfunctions")
    if not _CHANGING.isdisjoint(_functions()):
        found.add("lambda")
    return found


def _stores(module: str, name: str) -> Iterator[Any]:
    """Yield a service's stores, none if nobody has loaded it."""
    if module in sys.modules:
        for _, _, store in list(getattr(sys.modules[module], name).iter_stores()):
            yield store


def _executions() -> Iterator[str]:
    for store in _stores("localstack.services.stepfunctions.backend.store", "sfn_stores"):
        for execution in list(store.executions.values()):
            yield execution.exec_status


def _functions() -> Iterator[str]:
    for store in _stores("localstack.services.lambda_.invocation.models", "lambda_stores"):
        for function in list(store.functions.values()):
            for version in list(function.versions.values()):
                yield version.config.state.state if version.config.state else ""
                yield version.config.last_update.status if version.config.last_update else ""
