"""Send one request to a language model's API over HTTP, whole within a time.

The standard library does: one POST without redirects, cookies or pools (ADR 26).
"""

import contextlib
import http.client
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, Literal
from urllib.parse import urlsplit

from movierec.errors import MovierecError

# An answer of 1,024 tokens has some kilobytes.
_LARGEST_BODY: Final = 256 << 10

Reason = Literal[
    "timeout",
    "no_connection",
    "cut_off",
    "too_large",
    "rate_limited",
    "misconfigured",
    "client_error",
    "server_error",
    "no_completion",
]


@dataclass(frozen=True, slots=True)
class Failed:
    """Why there is no answer; another attempt may have one."""

    reason: Reason
    billed: bool = False
    """Whether it may be on the bill all the same: the request was sent, and no error came back."""
    retry_after_s: float = 0.0


Post = Callable[[bytes, float], bytes | Failed]
"""Send a request's body within so many seconds; return the completion's body. Raises nothing."""


@dataclass(frozen=True, slots=True)
class ChatClient:
    """`Post` to an address. The key is looked up for each request, and appears in no message."""

    url: str
    api_key: Callable[[], str]

    def __call__(self, body: bytes, timeout_s: float) -> bytes | Failed:
        """Send a request."""
        try:
            headers = {"Content-Type": "application/json"}
            if key := self.api_key():
                headers["Authorization"] = f"Bearer {key}"
        except MovierecError:
            return Failed("misconfigured")
        parts = urlsplit(self.url)
        exchange = _Exchange(_KINDS[parts.scheme](parts.netloc, timeout=timeout_s))
        timer = threading.Timer(timeout_s, exchange.cut)
        timer.daemon = True
        timer.start()
        try:
            return exchange.run(parts.path, body, headers)
        finally:
            timer.cancel()
            exchange.connection.close()


_KINDS: Final = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}


class _Exchange:
    """One request and its response.

    A socket's own timeout is for each packet alone: `cut` ends it when its whole time is over.
    """

    def __init__(self, connection: http.client.HTTPConnection) -> None:
        self.connection = connection
        self._socket: socket.socket | None = None
        self._expired = False

    def cut(self) -> None:
        """End it from another thread."""
        self._expired = True
        # The connection forgets its socket where the server closes after the answer.
        open_socket = self._socket or self.connection.sock
        if open_socket is not None:
            with contextlib.suppress(OSError):
                open_socket.shutdown(socket.SHUT_RDWR)

    def run(self, target: str, body: bytes, headers: Mapping[str, str]) -> bytes | Failed:
        """Return the response's body."""
        sent = False
        try:
            self.connection.connect()
            self._socket = self.connection.sock
            self.connection.request("POST", target, body, headers)
            sent = True
            return self._read(self.connection.getresponse())
        except (OSError, http.client.HTTPException) as exc:
            if self._expired or isinstance(exc, TimeoutError):
                return Failed("timeout", billed=sent)
            return Failed("cut_off" if sent else "no_connection", billed=sent)
        except ValueError:  # a key that no header can hold
            return Failed("misconfigured")

    def _read(self, response: http.client.HTTPResponse) -> bytes | Failed:
        if response.status != HTTPStatus.OK:
            return _error(response)
        body = response.read(_LARGEST_BODY + 1)
        if self._expired:
            return Failed("timeout", billed=True)
        if len(body) > _LARGEST_BODY:
            return Failed("too_large", billed=True)
        return Failed("cut_off", billed=True) if response.length else body


def _error(response: http.client.HTTPResponse) -> Failed:
    """Return what an error's status says; its body is not read, and may hold the text."""
    status = response.status
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return Failed("rate_limited", retry_after_s=_seconds(response.getheader("Retry-After", "")))
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND}:
        return Failed("misconfigured")
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Failed("server_error")
    return Failed("client_error")


def _seconds(text: str) -> float:
    """Return Retry-After's seconds; a date counts as none."""
    stripped = text.strip()
    return float(stripped[:9]) if stripped.isascii() and stripped.isdecimal() else 0.0
