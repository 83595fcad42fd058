"""HTTP server on asyncio: connection limits, time-outs and responses."""

import asyncio
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from aiohttp import web
from aiohttp.http_exceptions import LineTooLong
from aiohttp.web_protocol import RequestHandler

from movierec import api_contract
from movierec.errors import UsageError
from movierec.runtime import entrypoint
from proxy.answers import Answer
from proxy.handler import RecommendHandler
from proxy.prometheus_metrics import CONTENT_TYPE, Metrics
from proxy.routes import TOO_LONG, ErrorResponse, Page, Recommend, route

_log = logging.getLogger(__name__)

# A client that has not sent a complete header by then is broken or hostile (slowloris).
HEADER_TIMEOUT_S: Final = 5.0

# Longer than clients keep an idle connection (60 s in Java's async-http-client): a server that
# closes first breaks a request on its way.
IDLE_TIMEOUT_S: Final = 75.0

# What a browser with cookies sends; aiohttp's own default.
_MAX_LINE_BYTES: Final = 8190
_MAX_FIELD_BYTES: Final = 8189

_TOO_LARGE_HEADERS: Final = ErrorResponse(
    431, f"expected headers of {_MAX_FIELD_BYTES} bytes at most"
)
_BAD_REQUEST: Final = ErrorResponse(400, "expected an HTTP/1.1 request such as GET /recommend/42")
_BROKEN: Final = ErrorResponse(500, "the proxy failed on this request; its log says why")

_PLAIN: Final = {api_contract.CONTENT_TYPE: api_contract.TEXT, "Server": "movierec"}


@dataclass(frozen=True, slots=True)
class Pages:
    """Content of the operational endpoints; `healthy` and `health` are called at every request."""

    version: Mapping[str, str]
    health: Callable[[], Mapping[str, object]]
    healthy: Callable[[], bool]
    metrics: Metrics


class Connection(RequestHandler):
    """A connection with a time-out for its first request and one-line error responses."""

    __slots__ = ("_header_timer",)

    def start_header_timeout(self, timeout_s: float) -> None:
        """Close the connection unless a request arrives within `timeout_s`."""
        loop = asyncio.get_running_loop()
        self._header_timer: asyncio.TimerHandle | None = loop.call_later(
            timeout_s, self.force_close
        )

    def connection_lost(self, exc: BaseException | None) -> None:
        """Cancel the header time-out."""
        self.stop_header_timeout()
        super().connection_lost(exc)

    def stop_header_timeout(self) -> None:
        """Cancel the header time-out; the idle time-out applies from here on."""
        if self._header_timer is not None:
            self._header_timer.cancel()
            self._header_timer = None

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer an unparsable request, or an internal error, with one line; then close."""
        self.stop_header_timeout()
        error = _error_for(status, exc)
        if error is _BROKEN:
            _log.error("request_crashed", exc_info=exc, extra={"target": request.raw_path})
        else:
            _log.info("request_malformed", extra={"status": error.status, "why": message})
        response = _respond_with(error)
        response.force_close()
        return response


class HttpServer:
    """Listens, dispatches, and shuts down gracefully."""

    def __init__(
        self, handler: RecommendHandler, pages: Pages, *, header_timeout_s: float = HEADER_TIMEOUT_S
    ) -> None:
        self._handler = handler
        self._pages = pages
        self._header_timeout_s = header_timeout_s
        self._manager = web.Server(self._handle)
        self._server: asyncio.Server | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen, and return the port (the assigned one, for 0). Raises UsageError if taken."""
        loop = asyncio.get_running_loop()
        try:
            # A socket from the daemon outlives this process: no client is refused meanwhile.
            inherited = entrypoint.inherited_socket()
            if inherited is None:
                listening = loop.create_server(self._connection, host, port, backlog=1024)
            else:
                listening = loop.create_server(self._connection, sock=inherited, backlog=1024)
            self._server = await listening
        except OSError as exc:
            raise UsageError(f"cannot listen on {host}:{port}: {exc.strerror or exc}") from exc
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self, timeout_s: float) -> None:
        """Stop accepting, finish open requests, close."""
        if self._server is not None:
            self._server.close()
        self._manager.pre_shutdown()
        await self._manager.shutdown(timeout_s)

    def _connection(self) -> Connection:
        connection = Connection(
            self._manager,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=IDLE_TIMEOUT_S,
            max_line_size=_MAX_LINE_BYTES,
            max_field_size=_MAX_FIELD_BYTES,
            # A refused method's body is read for so long: closing at once would reset.
            lingering_time=2.0,
            access_log=None,  # type: ignore[arg-type]  # documented to turn it off
        )
        connection.start_header_timeout(self._header_timeout_s)
        return connection

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if isinstance(request.protocol, Connection):
            request.protocol.stop_header_timeout()
        asked = route(request.method, request.raw_path)
        if isinstance(asked, Recommend):
            return self._answer(await self._handler.recommend(asked.user_id))
        if isinstance(asked, ErrorResponse):
            return self._answer(asked)
        return self._page(asked)

    def _answer(self, found: Answer | ErrorResponse) -> web.Response:
        if isinstance(found, ErrorResponse):
            self._pages.metrics.count_answer("none", found.status)
            return _respond_with(found)
        self._pages.metrics.count_answer(found.source, 200)
        return web.Response(body=found.body(), headers={**_PLAIN, **found.headers()})

    def _page(self, page: Page) -> web.Response:
        match page:
            case Page.HEALTHZ:
                status = 200 if self._pages.healthy() else 503
                return _json(self._pages.health(), status)
            case Page.VERSION:
                return _json(self._pages.version, 200)
            case Page.METRICS:
                headers = {**_PLAIN, "Content-Type": CONTENT_TYPE}
                return web.Response(body=self._pages.metrics.render(), headers=headers)


def _error_for(status: int, exc: BaseException | None) -> ErrorResponse:
    if isinstance(exc, LineTooLong):
        return TOO_LONG if exc.args[1] == _MAX_LINE_BYTES else _TOO_LARGE_HEADERS
    return _BAD_REQUEST if status == _BAD_REQUEST.status else _BROKEN


def _respond_with(error: ErrorResponse) -> web.Response:
    headers = {**_PLAIN, "Allow": "GET"} if error.status == 405 else _PLAIN  # noqa: PLR2004
    return web.Response(status=error.status, body=f"{error.line}\n".encode(), headers=headers)


def _json(details: Mapping[str, object], status: int) -> web.Response:
    headers = {**_PLAIN, "Content-Type": "application/json"}
    return web.Response(status=status, body=f"{json.dumps(details)}\n".encode(), headers=headers)
