"""What starts in which order, and what stops in which."""

import asyncio
import logging
import uuid
from collections.abc import Callable
from typing import Final

from movierec.lake.ports import Lake
from proxy.bulkhead import Bulkhead
from proxy.door import World
from proxy.journal import locked
from proxy.parts import Parts, Settings
from proxy.popular import keep_polling
from proxy.server import HttpServer
from proxy.upstream import api_at, checked_url

_log = logging.getLogger(__name__)

# An answer takes up to the deadline of 0.4 s; what is not sent by then, nobody waits for.
_ANSWER_WITHIN_S: Final = 2.0


def new_id() -> str:
    """Return a name for a recommendation that nobody else gives (RFC 9562, version 4)."""
    return uuid.uuid4().hex


async def serve(
    settings: Settings,
    *,
    open_lake: Callable[[], Lake],
    world: World,
    stop: asyncio.Event,
    on_start: Callable[[int], None] = lambda _port: None,
) -> None:
    """Serve until `stop` is set, then finish what was begun and ship once more.

    `on_start` is told the port. Raises ConfigError or UsageError when it cannot start.
    """
    checked_url(settings.api_url)
    with locked(settings.own_folder, owner=f"the proxy of port {settings.port}"):
        parts = Parts.made(settings, world, open_lake)
        try:
            await _serve(parts, stop, on_start)
        finally:
            parts.journal.close()


async def _serve(parts: Parts, stop: asyncio.Event, on_start: Callable[[int], None]) -> None:
    settings = parts.settings
    async with api_at(settings.api_url, parts.world.new_id) as reached:
        api = Bulkhead(reached, settings.api_calls)
        door = parts.door(api)
        server = HttpServer(door, parts.pages(door), header_timeout_s=settings.header_timeout_s)
        port = await server.start(settings.host, settings.port)
        _log.info("listening", extra={"host": settings.host, "port": port})
        polling = asyncio.create_task(keep_polling(api, parts.popular, polled=parts.metrics.polled))
        parts.shipping.start()
        on_start(port)
        await stop.wait()
        _log.info("stopping")
        await server.stop(_ANSWER_WITHIN_S)
        polling.cancel()
        await api.close()
        await parts.shipping.stop(settings.ship_within_s)
    _log.info("stopped", extra={"backlog_records": parts.journal.backlog_records})
