"""The Runtime API on a real connection, without a runtime behind it."""

import socket
from collections.abc import Iterator
from http import HTTPStatus

import pytest

from lambda_process_executor.invocation import Invocation
from lambda_process_executor.runtime_api import Call, Connection, Kind, event_headers

LIMIT_BYTES = 1000


class Pair:
    """A runtime's side and ours of one connection."""

    def __init__(self) -> None:
        listener = socket.create_server(("127.0.0.1", 0))
        self.runtime = socket.create_connection(listener.getsockname())
        self.runtime.settimeout(10)
        accepted, _ = listener.accept()
        listener.close()
        self.connection = Connection(accepted, LIMIT_BYTES)

    def say(self, data: bytes) -> Call | None:
        """Send as the runtime and return the call that has become complete."""
        self.runtime.sendall(data)
        return self.connection.receive()

    def hear(self) -> bytes:
        """Return what the runtime was sent."""
        return self.runtime.recv(65536)


@pytest.fixture
def pair() -> Iterator[Pair]:
    pair = Pair()
    yield pair
    pair.connection.close()
    pair.runtime.close()


def post(path: str, body: bytes, headers: bytes = b"") -> bytes:
    return (
        b"POST /2018-06-01/runtime/" + path.encode() + b" HTTP/1.1\r\nHost: x\r\n" + headers
        + b"Content-Length: " + str(len(body)).encode() + b"\r\n\r\n" + body
    )  # fmt: skip


NEXT = b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: x\r\n\r\n"


def test_one_connection_carries_invocation_after_invocation(pair: Pair) -> None:
    for number in range(3):
        call = pair.say(NEXT)
        assert call is not None
        assert call.kind is Kind.NEXT
        headers = event_headers(Invocation("r", "a", b"", "t"), 5.0)
        pair.connection.answer(HTTPStatus.OK, headers, b"event")
        heard = pair.hear()
        assert heard.startswith(b"HTTP/1.1 200")
        assert heard.endswith(b"\r\n\r\nevent")
        call = pair.say(post("invocation/r/response", f"{number}".encode()))
        assert call == Call(Kind.RESPONSE, "r", f"{number}".encode(), 1, "")
        pair.connection.accept()
        assert pair.hear().startswith(b"HTTP/1.1 202")


def test_a_request_may_come_byte_by_byte(pair: Pair) -> None:
    *most, last = post("invocation/r/response", b"body")
    for byte in most:
        assert pair.say(bytes([byte])) is None
    call = pair.say(bytes([last]))
    assert call is not None
    assert call.body == b"body"


def test_a_chunked_answer_is_put_together(pair: Pair) -> None:
    call = pair.say(
        b"POST /2018-06-01/runtime/invocation/r/response HTTP/1.1\r\nHost: x\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n"
    )
    assert call is not None
    assert call.body == b"abcde"


def test_a_runtime_that_asks_before_it_sends_is_told_to_go_on(pair: Pair) -> None:
    whole = post("invocation/r/response", b"body", b"Expect: 100-continue\r\n")
    assert pair.say(whole[:-4]) is None
    assert pair.hear().startswith(b"HTTP/1.1 100")
    call = pair.say(b"body")
    assert call is not None
    assert call.body == b"body"


def test_a_body_over_the_limit_is_counted_and_not_kept(pair: Pair) -> None:
    call = pair.say(post("invocation/r/response", b"x" * (LIMIT_BYTES + 1)))
    assert call is not None
    assert (len(call.body) <= LIMIT_BYTES, call.size_bytes) == (True, LIMIT_BYTES + 1)


def test_an_errors_type_is_in_its_header(pair: Pair) -> None:
    header = b"Lambda-Runtime-Function-Error-Type: Runtime.ImportModuleError\r\n"
    call = pair.say(post("init/error", b"{}", header))
    assert call is not None
    assert (call.kind, call.error_type) == (Kind.INIT_ERROR, "Runtime.ImportModuleError")


def test_a_long_trace_in_a_header_is_taken(pair: Pair) -> None:
    header = b"Lambda-Runtime-Function-XRay-Error-Cause: " + b"x" * 60_000 + b"\r\n"
    assert pair.say(post("invocation/r/error", b"{}", header)) is not None


def test_a_runtime_that_takes_no_event_is_not_waited_for(pair: Pair) -> None:
    """More than the kernel keeps for it, which would wait until somebody reads."""
    pair.say(NEXT)
    headers = event_headers(Invocation("r", "a", b"", "t"), 5.0)
    pair.connection.answer(HTTPStatus.OK, headers, b"x" * 50_000_000, within_s=0.1)
    assert pair.connection.closed


@pytest.mark.parametrize("data", [b"nonsense\r\n\r\n", b""])
def test_nonsense_and_a_hang_up_close_the_connection(pair: Pair, data: bytes) -> None:
    if data:
        pair.runtime.sendall(data)
    else:
        pair.runtime.close()
    assert pair.connection.receive() is None
    assert pair.connection.closed
