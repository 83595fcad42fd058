"""The Lambda Runtime API (AWS: "Using the Lambda runtime API", version 2018-06-01).

A server for one environment, and the connections of its runtime: bytes in, calls out.
"""

import json
import selectors
import socket
import time
from dataclasses import dataclass
from enum import Enum
from http import HTTPStatus
from typing import Final

import h11

from lambda_process_executor.invocation import Invocation

_PREFIX: Final = "/2018-06-01/runtime/"
_CHUNK_BYTES: Final = 262144
# A runtime sends its X-Ray cause, up to 1 MiB, as a header of an error report.
_MAX_HEADERS_BYTES: Final = 2 * 1024 * 1024
_JSON: Final = ("Content-Type", "application/json")
# A runtime that takes none of a short answer for this long has stopped reading.
ANSWER_S: Final = 5.0

Headers = list[tuple[str, str]]


class Kind(Enum):
    """What a runtime can ask for."""

    NEXT = "next"
    RESPONSE = "response"
    ERROR = "error"
    INIT_ERROR = "init error"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Call:
    """One complete request of a runtime.

    `request_id` is the invocation's (empty where there is none). `error_type` is what an error
    report's header says, or Lambda where it says nothing; empty for other calls. `size_bytes` is
    the body's real size: a body over the connection's limit is counted, not kept. `streamed` is an
    answer in response streaming mode.
    """

    kind: Kind
    request_id: str
    body: bytes
    size_bytes: int
    error_type: str
    streamed: bool = False


def kind_of(method: str, path: str) -> tuple[Kind, str]:
    """Tell what a request is for, and for which invocation."""
    if not path.startswith(_PREFIX):
        return Kind.UNKNOWN, ""
    match method, path.removeprefix(_PREFIX).split("/"):
        case "GET", ["invocation", "next"]:
            return Kind.NEXT, ""
        case "POST", ["invocation", request_id, "response"]:
            return Kind.RESPONSE, request_id
        case "POST", ["invocation", request_id, "error"]:
            return Kind.ERROR, request_id
        case "POST", ["init", "error"]:
            return Kind.INIT_ERROR, ""
    return Kind.UNKNOWN, ""


class Connection:
    """One connection of a runtime. `limit_bytes` bounds what is kept of a body."""

    def __init__(self, sock: socket.socket, limit_bytes: int) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = sock
        self.closed = False
        self._limit_bytes = limit_bytes
        self._http = h11.Connection(h11.SERVER, _MAX_HEADERS_BYTES)
        self._request: h11.Request | None = None
        self._body: list[bytes] = []
        self._size_bytes = 0

    def receive(self) -> Call | None:
        """Read what has arrived and return the call if it is complete; never waits for more.

        After a call, `answer` comes before the next `receive`. A broken or closed connection sets
        `closed`.
        """
        try:
            self._http.receive_data(self.sock.recv(_CHUNK_BYTES))
            return self._advance()
        except (OSError, h11.RemoteProtocolError):
            self.close()
            return None

    def answer(
        self, status: HTTPStatus, headers: Headers, body: bytes, within_s: float | None = None
    ) -> None:
        """Send one response; a runtime that has gone away, or takes none, is no error here.

        `within_s` is how long it may take instead of the socket's own timeout.
        """
        fields = [*headers, ("Content-Length", str(len(body)))]
        parts = [
            self._http.send(h11.Response(status_code=status, headers=fields)),
            self._http.send(h11.Data(data=body)),
            self._http.send(h11.EndOfMessage()),
        ]
        usual_s = self.sock.gettimeout()
        try:
            self.sock.settimeout(usual_s if within_s is None else within_s)
            self.sock.sendall(b"".join(part for part in parts if part))
            self.sock.settimeout(usual_s)
            self._begin_next()
        except OSError:
            self.close()

    def accept(self) -> None:
        """Answer 202, as the Runtime API does to a report."""
        self.answer(HTTPStatus.ACCEPTED, [_JSON], b'{"status":"OK"}\n')

    def refuse(self, status: HTTPStatus, error_type: str, message: str) -> None:
        """Answer with an error of the Runtime API."""
        body = json.dumps({"errorType": error_type, "errorMessage": message}).encode()
        self.answer(status, [_JSON], body)

    def close(self) -> None:
        """Close the socket."""
        self.closed = True
        self.sock.close()

    def _advance(self) -> Call | None:
        while True:
            event = self._http.next_event()
            if isinstance(event, h11.Request):
                self._request = event
                # libcurl waits up to a second for this before it sends a body over 1 MB.
                if self._http.they_are_waiting_for_100_continue:
                    go_on = self._http.send(h11.InformationalResponse(status_code=100, headers=[]))
                    self.sock.sendall(go_on or b"")
            elif isinstance(event, h11.Data):
                self._size_bytes += len(event.data)
                if self._size_bytes <= self._limit_bytes:
                    self._body.append(bytes(event.data))
            elif isinstance(event, h11.EndOfMessage):
                return self._complete()
            elif isinstance(event, h11.ConnectionClosed):
                self.close()
                return None
            else:
                return None

    def _complete(self) -> Call | None:
        if self._request is None:
            return None
        kind, request_id = kind_of(self._request.method.decode(), self._request.target.decode())
        headers = {bytes(name): bytes(value) for name, value in self._request.headers}
        error_type = ""
        if kind in {Kind.ERROR, Kind.INIT_ERROR}:
            named = headers.get(b"lambda-runtime-function-error-type", b"")
            error_type = named.decode("latin-1") or "Runtime.Unknown"
        mode = headers.get(b"lambda-runtime-function-response-mode", b"")
        body = b"".join(self._body)
        return Call(
            kind, request_id, body, self._size_bytes, error_type, mode.lower() == b"streaming"
        )

    def _begin_next(self) -> None:
        self._request, self._body, self._size_bytes = None, [], 0
        if self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
            self._http.start_next_cycle()
        else:
            self.close()


def event_headers(invocation: Invocation, left_s: float) -> Headers:
    """Return the headers of an answer to `next`; `left_s` is the time until the deadline."""
    context = invocation.client_context
    return [
        *([("Lambda-Runtime-Client-Context", context)] if context else []),
        _JSON,
        ("Lambda-Runtime-Aws-Request-Id", invocation.request_id),
        ("Lambda-Runtime-Deadline-Ms", str(int((time.time() + left_s) * 1000))),
        ("Lambda-Runtime-Invoked-Function-Arn", invocation.arn),
        ("Lambda-Runtime-Trace-Id", invocation.trace_id),
    ]


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

    def send(self, invocation: Invocation, left_s: float) -> None:
        """Give the waiting runtime an event, whose answer will be the `result`."""
        waiting, self._waiting = self._waiting, None
        if waiting is None:
            return
        self._request_id, self.result = invocation.request_id, None
        headers = event_headers(invocation, left_s)
        waiting.answer(HTTPStatus.OK, headers, invocation.payload, max(left_s, 0.001))
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
