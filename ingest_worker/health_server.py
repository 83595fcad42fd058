"""The worker's health over HTTP: `GET /healthz` on the loopback address, JSON of `Meter.health`."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from movierec.api_contract import HEALTH_PATH
from movierec.errors import UnavailableError

HOST: Final = "127.0.0.1"


@contextmanager
def serve(port: int, health: Callable[[], dict[str, Any]]) -> Iterator[int]:
    """Answer until the block ends, with 503 when not "ok"; yield the port (0 asks for a free one).

    Raises UnavailableError when the port is taken.
    """
    try:
        server = ThreadingHTTPServer((HOST, port), _handler(health))
    except OSError as exc:
        raise UnavailableError(f"cannot listen on {HOST}:{port}: {exc.strerror or exc}") from exc
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, name="health", daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(health: Callable[[], dict[str, Any]]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        """Answers one request."""

        def do_GET(self) -> None:
            """Answer with the health, or that there is nothing else here."""
            if self.path != HEALTH_PATH:
                self.send_error(HTTPStatus.NOT_FOUND, f"only {HEALTH_PATH} is here")
                return
            found = health()
            body = json.dumps(found).encode()
            self.send_response(HTTPStatus.OK if found["ok"] else HTTPStatus.SERVICE_UNAVAILABLE)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (its name)
            """Say nothing: a line for each probe would hide what matters."""

    return Handler
