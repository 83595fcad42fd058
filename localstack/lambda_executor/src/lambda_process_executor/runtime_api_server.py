"""Server of the Runtime API for one environment: port, connections, protocol state."""

import selectors
import socket
from http import HTTPStatus
from typing import Final

from lambda_process_executor.runtime_api import Call, Connection, Headers, Kind

# A runtime that takes none of a short answer for this long has stopped reading.
ANSWER_S: Final = 5.0


class RuntimeServer:
    """Listens for one function's runtime, on a selector that somebody else runs.

    `is_waiting` says that the runtime has asked for an event, `init_error` is what it reported of
    its init, and `result` its answer to the event that `send` gave it.
    """

    def __init__(self, selector: selectors.BaseSelector, limit_bytes: int) -> None:
        self._selector = selector
        self._limit_bytes = limit_bytes
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.setblocking(False)
        selector.register(self._listener, selectors.EVENT_READ, self._accept)
        self._connections: set[Connection] = set()
        self._waiting: Connection | None = None
        self._request_id = ""
        self.init_error: Call | None = None
        self.result: Call | None = None

    @property
    def address(self) -> str:
        """Where the runtime finds the API, as host:port."""
        host, port = self._listener.getsockname()
        return f"{host}:{port}"

    @property
    def is_waiting(self) -> bool:
        """Whether the runtime waits for an event."""
        return self._waiting is not None

    def send(self, request_id: str, headers: Headers, payload: bytes, within_s: float) -> None:
        """Give the waiting runtime an event, whose answer will be the `result`."""
        waiting, self._waiting = self._waiting, None
        if waiting is None:
            return
        self._request_id, self.result = request_id, None
        waiting.answer(HTTPStatus.OK, headers, payload, max(within_s, 0.001))
        self._drop_if_closed(waiting)

    def take_result(self) -> Call | None:
        """Return the answer to the last event, if any, and expect no other."""
        result, self.result, self._request_id = self.result, None, ""
        return result

    def reset(self) -> None:
        """Forget the runtime that was there: its process has ended."""
        for connection in list(self._connections):
            connection.close()
            self._drop_if_closed(connection)
        self._waiting, self.init_error = None, None

    def close(self) -> None:
        """Stop listening."""
        self.reset()
        self._selector.unregister(self._listener)
        self._listener.close()

    def _accept(self) -> None:
        try:
            sock, _ = self._listener.accept()
        except OSError:  # gone again
            return
        sock.settimeout(ANSWER_S)
        connection = Connection(sock, self._limit_bytes)
        self._connections.add(connection)
        self._selector.register(sock, selectors.EVENT_READ, lambda: self._serve(connection))

    def _serve(self, connection: Connection) -> None:
        call = connection.receive()
        if call is not None:
            self._answer(connection, call)
        self._drop_if_closed(connection)

    def _drop_if_closed(self, connection: Connection) -> None:
        if not connection.closed or connection not in self._connections:
            return
        self._connections.discard(connection)
        # By the object: its descriptor's number may be another's by now.
        self._selector.unregister(connection.sock)
        if self._waiting is connection:
            self._waiting = None

    def _answer(self, connection: Connection, call: Call) -> None:
        match call.kind:
            case Kind.NEXT:
                self._take_next(connection)
            case Kind.INIT_ERROR:
                self._take_init_error(connection, call)
            case Kind.RESPONSE | Kind.ERROR:
                self._take_result(connection, call)
            case Kind.UNKNOWN:
                connection.refuse(HTTPStatus.NOT_FOUND, "NotFound", "no such path")

    def _take_next(self, connection: Connection) -> None:
        if self._request_id and self.result is None:
            _forbid(connection, "an event is being handled, and has no answer yet")
            return
        self._waiting = connection

    def _take_init_error(self, connection: Connection, call: Call) -> None:
        if self._waiting is not None or self._request_id:
            _forbid(connection, "the init phase is over")
            return
        self.init_error = call
        connection.accept()

    def _take_result(self, connection: Connection, call: Call) -> None:
        if not self._request_id or call.request_id != self._request_id:
            connection.refuse(HTTPStatus.BAD_REQUEST, "InvalidRequestID", "Invalid request ID")
            return
        if self.result is not None:
            _forbid(connection, "the event has been answered")
            return
        self.result = call
        if call.streamed:
            connection.refuse(
                HTTPStatus.BAD_REQUEST, "StreamingNotSupported", "answer with a buffered response"
            )
        elif call.size_bytes > self._limit_bytes:
            connection.refuse(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "RequestEntityTooLarge", "answer too large"
            )
        else:
            connection.accept()


def _forbid(connection: Connection, message: str) -> None:
    connection.refuse(HTTPStatus.FORBIDDEN, "InvalidStateTransition", message)
