"""The Lambda Runtime API on a socket (AWS: "Using the Lambda runtime API", version 2018-06-01).

One connection of a runtime: bytes in, calls out. What a call means is the sandbox's business.
"""

import json
import socket
from dataclasses import dataclass
from enum import Enum
from http import HTTPStatus
from typing import Final

import h11

_PREFIX: Final = "/2018-06-01/runtime/"
_CHUNK_BYTES: Final = 262144
# A runtime sends its X-Ray cause, up to 1 MiB, as a header of an error report.
_MAX_HEADERS_BYTES: Final = 2 * 1024 * 1024
_JSON: Final = ("Content-Type", "application/json")

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

    `request_id` is the invocation's (empty where there is none) and `error_type` is the header
    `Lambda-Runtime-Function-Error-Type`. `size_bytes` is the body's real size: a body over the
    connection's limit is counted, not kept. `streamed` is an answer in response streaming mode.
    """

    kind: Kind
    request_id: str
    body: bytes
    size_bytes: int
    error_type: str
    streamed: bool = False


def kind_of(method: str, path: str) -> tuple[Kind, str]:
    """Tell what a request is for, and for which invocation.

    >>> kind_of("POST", "/2018-06-01/runtime/invocation/abc/response")
    (<Kind.RESPONSE: 'response'>, 'abc')
    """
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
                self._greet()
            elif isinstance(event, h11.Data):
                self._keep(bytes(event.data))
            elif isinstance(event, h11.EndOfMessage):
                return self._complete()
            elif isinstance(event, h11.ConnectionClosed):
                self.close()
                return None
            else:
                return None

    def _greet(self) -> None:
        # libcurl waits up to a second for this before it sends a body over 1 MB.
        if self._http.they_are_waiting_for_100_continue:
            go_on = self._http.send(h11.InformationalResponse(status_code=100, headers=[]))
            self.sock.sendall(go_on or b"")

    def _keep(self, data: bytes) -> None:
        self._size_bytes += len(data)
        if self._size_bytes <= self._limit_bytes:
            self._body.append(data)

    def _complete(self) -> Call | None:
        if self._request is None:
            return None
        kind, request_id = kind_of(self._request.method.decode(), self._request.target.decode())
        headers = {bytes(name): bytes(value) for name, value in self._request.headers}
        error_type = headers.get(b"lambda-runtime-function-error-type", b"").decode("latin-1")
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


def event_headers(
    *, request_id: str, arn: str, trace_id: str, deadline_epoch_ms: int, client_context: str = ""
) -> Headers:
    """Return the headers of an answer to `next`; `client_context` is JSON, or nothing."""
    context = [("Lambda-Runtime-Client-Context", client_context)] if client_context else []
    return [
        *context,
        _JSON,
        ("Lambda-Runtime-Aws-Request-Id", request_id),
        ("Lambda-Runtime-Deadline-Ms", str(deadline_epoch_ms)),
        ("Lambda-Runtime-Invoked-Function-Arn", arn),
        ("Lambda-Runtime-Trace-Id", trace_id),
    ]
