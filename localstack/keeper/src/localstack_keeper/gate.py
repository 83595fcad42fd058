"""Who may come in, and what they did: handlers in LocalStack's request chain."""

import threading
from collections.abc import Callable
from typing import Any

from localstack_keeper.changes import Changes

Model = Any
"""One of LocalStack's, which have no types of their own."""


class Gate:
    """Lets requests from outside wait until services have come back.

    Services call each other meanwhile: what LocalStack marks as internal passes.
    """

    def __init__(self) -> None:
        self._open = threading.Event()

    def open(self) -> None:
        """Let everybody in."""
        self._open.set()

    def __call__(self, _chain: object, context: Any, _response: object) -> None:  # noqa: ANN401
        """Handle a request, as LocalStack calls it."""
        if not self._open.is_set() and not context.is_internal_call:
            self._open.wait()


def with_all_operations(
    original: Callable[..., None], loader: Model, chain: object, context: Model, response: object
) -> None:
    """Have a service loaded, and wait until it has all of its operations.

    Upstream takes a service for loaded before its operations are known, and answers 500 to those
    who come second. After a restart clients are many, and all come at once.
    """
    original(loader, chain, context, response)
    if context.service:
        with loader.service_locks[context.service.service_name]:
            pass


class Observer:
    """Marks the services that requests may have changed."""

    def __init__(self, changes: Changes) -> None:
        self._changes = changes

    def __call__(self, _chain: object, context: Any, _response: object) -> None:  # noqa: ANN401
        """Handle a response, as LocalStack calls it."""
        if context.service and context.operation:
            self._changes.mark(context.service.service_name, context.operation.name)


class Status:
    """Answers `GET /_localstack/keeper`, and `POST`, which saves first."""

    def __init__(self, look: Callable[[], dict[str, object]], save: Callable[[], object]) -> None:
        self._look = look
        self._save = save

    def on_get(self, _request: object) -> dict[str, object]:
        """Handle the request, as LocalStack calls it."""
        return self._look()

    def on_post(self, _request: object) -> dict[str, object]:
        """Handle the request, as LocalStack calls it; OSError, of a full disk, becomes a 500."""
        self._save()
        return self._look()
