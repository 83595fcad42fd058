"""A local webhook that accepts messages, refuses them, or lets its callers time out."""

import json
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

Answer = int | Literal["silence", "hang-up", "noise"]
"""A status, or what a broken server does."""

TAKEN = 200


@dataclass
class Catcher:
    """Received messages, and the answers to the next callers; later ones are accepted."""

    url: str = ""
    answers: list[Answer] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    """The content type of every call, answered or not."""
    taken: list[dict[str, Any]] = field(default_factory=list)
    closing: threading.Event = field(default_factory=threading.Event)

    def next_answer(self) -> Answer:
        """Return what this caller gets."""
        return self.answers.pop(0) if self.answers else TAKEN


@contextmanager
def catching(answers: Iterable[Answer] = ()) -> Iterator[Catcher]:
    """Listen on a free port until the end of the block."""
    catcher = Catcher(answers=list(answers))
    with ThreadingHTTPServer(("127.0.0.1", 0), _handler(catcher)) as server:
        catcher.url = f"http://127.0.0.1:{server.server_port}/services/secret"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield catcher
        catcher.closing.set()
        server.shutdown()


def _handler(catcher: Catcher) -> type[BaseHTTPRequestHandler]:
    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            catcher.calls.append(self.headers["Content-Type"])
            answer = catcher.next_answer()
            if isinstance(answer, int):
                if answer == TAKEN:
                    catcher.taken.append(body)
                self.send_response(answer)
                self.end_headers()
            elif answer == "noise":
                self.wfile.write(b"this is no HTTP\r\n")
            elif answer == "silence":
                catcher.closing.wait()

        def log_message(self, *_: object) -> None:
            pass

    return Hook
