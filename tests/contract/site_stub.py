"""The site's API on a loopback port, with the faults that real ones have."""

import json
import threading
from collections.abc import Callable
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

MAX_BULK = 200


def film(movie_id):
    """Return a film as of 2026: no runtime, genres as text, a bare year, what a play costs."""
    return {
        "id": movie_id,
        "title": movie_id.title(),
        "runtime": None,
        "genres": ["Drama"],
        "release_date": "1954",
        "license_cost": 0.25,
        "tagline": "x",
    }


def person(user_id):
    return {"user_id": int(user_id), "gender": "f", "self_description_likes": "slow films"}


class Site:
    """Knows movies and users. `fault` is given the ids of a request and its number from 1.

    It returns None for a usual answer, a tuple of status, body and headers for another, or a
    function of the handler, which does what it likes.
    """

    def __init__(self, movies=(), users=()):
        self.known = {"movie": set(movies), "user": {str(user) for user in users}}
        self.requests = []
        self.fault: Callable[[list[str], int], Any] = lambda _ids, _number: None
        self._lock = threading.Lock()
        self.url = ""

    def asked(self, kind):
        return [one for found, ids in self.requests if found == kind for one in ids]

    def respond(self, handler):
        _, kind, joined = handler.path.split("/", 2)
        ids = [unquote(one) for one in joined.split(",")]
        with self._lock:
            self.requests.append((kind, ids))
            number = len(self.requests)
        instead = self.fault(ids, number) or self._usual(kind, ids)
        if callable(instead):
            instead(handler)
            return
        status, body, headers = instead
        handler.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | headers).items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)

    def _usual(self, kind, ids):
        if len(ids) > MAX_BULK or not self.known[kind] >= set(ids):
            return 404, b"Not Found: no such id", {"Content-Type": "text/plain"}
        found = [{"movie": film, "user": person}[kind](one) for one in ids]
        return 200, json.dumps(found if len(ids) > 1 else found[0]).encode(), {}


@contextmanager
def serving(site):
    """Serve the site while the block runs."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            site.respond(self)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        site.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield site
        server.shutdown()
        thread.join()


def cut(handler):
    """Promise a long answer, send a part, hang up."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'[{"id": "film')


def hang_up(handler):
    """Send nothing at all."""
    handler.close_connection = True
