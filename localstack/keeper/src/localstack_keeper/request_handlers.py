"""Handlers in LocalStack's request chain, and how its server buffers requests."""

import io
import threading
from collections.abc import Callable
from typing import Any, BinaryIO

from localstack import config
from localstack.utils.patch import patch

from localstack_keeper.dirty_services import DirtyServices
from localstack_keeper.object_bodies import PACKED_BYTES

Model = Any
"""One of LocalStack's, which have no types of their own."""


class StartupBarrier(threading.Event):
    """A handler that holds requests from outside until it is set: services are restored then.

    Services call each other meanwhile: what LocalStack marks as internal passes.
    """

    def __call__(self, _chain: object, context: Model, _response: object) -> None:
        """Handle a request, as LocalStack calls it."""
        if not context.is_internal_call:
            self.wait()


def wait_until_loaded(
    original: Callable[..., None], loader: Model, chain: object, context: Model, response: object
) -> None:
    """Load a service, and wait until it has all of its operations.

    Upstream takes a service for loaded before its operations are known, and answers 500 to those
    who come second. After a restart clients are many, and all come at once.
    """
    original(loader, chain, context, response)
    if context.service:
        with loader.service_locks[context.service.service_name]:
            pass


def mark_dirty(dirty: DirtyServices, _chain: object, context: Model, _response: object) -> None:
    """Mark the service that a request may have changed."""
    if context.service and context.operation:
        dirty.mark(context.service.service_name, context.operation.name)


def buffer_in_memory() -> None:
    """Have small requests' bodies in memory, where they are read from anyway.

    Twisted puts 100,000 bytes and more into a temporary file: for every put it is created, written
    and deleted, and the put's own fsync writes that to the disk.
    """
    if config.GATEWAY_SERVER == "twisted":
        from twisted.web import http  # noqa: PLC0415 - LocalStack needs no Twisted for other servers

        patch(http._getContentFile)(_content)  # noqa: SLF001 - nothing public decides it


def _content(in_file: Callable[[int | None], BinaryIO], length: int | None) -> BinaryIO:
    return io.BytesIO() if length is not None and length <= PACKED_BYTES else in_file(length)
