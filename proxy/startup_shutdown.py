"""Application lifecycle: start-up and graceful shutdown, in order."""

import asyncio
import logging
import uuid
from collections.abc import Callable
from typing import Final

from movierec.lake.ports import Lake
from proxy.bulkhead import Bulkhead
from proxy.handler import Dependencies
from proxy.journal import locked
from proxy.popular_list import poll_forever
from proxy.server import HttpServer
from proxy.upstream import connect, validate_url
from proxy.wiring import Container, Settings

_log = logging.getLogger(__name__)

# Five times the deadline of a request: whoever asked has given up by then.
_ANSWER_WITHIN_S: Final = 2.0


def new_id() -> str:
    """Return a unique recommendation id (RFC 9562, UUID version 4)."""
    return uuid.uuid4().hex


async def serve(
    settings: Settings,
    *,
    open_lake: Callable[[], Lake],
    deps: Dependencies,
    stop: asyncio.Event,
    on_start: Callable[[int], None] = lambda _port: None,
) -> None:
    """Serve until `stop` is set, then finish open requests and flush the journal to the lake.

    `on_start` is called with the port. Raises ConfigError or UsageError when it cannot start.
    """
    validate_url(settings.api_url)
    with locked(settings.own_folder, owner=f"the proxy of port {settings.port}"):
        container = Container.build(settings, deps, open_lake)
        try:
            await _serve(container, stop, on_start)
        finally:
            container.journal.close()


async def _serve(
    container: Container, stop: asyncio.Event, on_start: Callable[[int], None]
) -> None:
    settings = container.settings
    async with connect(settings.api_url, container.deps.new_id) as reached:
        api = Bulkhead(reached, settings.api_calls)
        handler = container.handler(api)
        server = HttpServer(
            handler, container.pages(handler), header_timeout_s=settings.header_timeout_s
        )
        port = await server.start(settings.host, settings.port)
        _log.info("listening", extra={"host": settings.host, "port": port})
        polling = asyncio.create_task(
            poll_forever(api, container.popular, polled=container.metrics.count_poll)
        )
        container.lake_writer.start()
        on_start(port)
        await stop.wait()
        _log.info("stopping")
        await server.stop(_ANSWER_WITHIN_S)
        polling.cancel()
        await api.close()
        await container.lake_writer.stop(settings.ship_within_s)
    _log.info("stopped", extra={"backlog_records": container.journal.backlog_records})
