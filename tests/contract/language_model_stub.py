"""A language model's API on a loopback port: OpenAI's shape, and the faults of real servers."""

import json
import threading
from collections.abc import Callable
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from movierec.taste.tastes import NAMES

USAGE = {"prompt_tokens": 300, "completion_tokens": 50, "total_tokens": 350}


def tastes(**named):
    """Return a whole answer with these lists."""
    return {name: named.get(name, []) for name in NAMES}


def completion(content, usage=USAGE, finish_reason="stop"):
    """Return the object that a server answers with; `content` may be any JSON value, or text."""
    text = content if isinstance(content, str) else json.dumps(content)
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": finish_reason}
    return {"object": "chat.completion", "choices": [choice], "usage": usage}


def usual(texts):
    """Answer with the text's own words as titles, as a model that does its work."""
    likes, dislikes = texts["likes"], texts["dislikes"]
    named = tastes(
        liked_titles=[likes[:100]] if likes else [],
        disliked_titles=[dislikes[:100]] if dislikes else [],
    )
    return completion(named)


class LanguageModelServer:
    """`answer` is given the texts of a request, and returns the completion.

    Or a tuple of status, body and headers, or a function of the handler.
    """

    def __init__(self):
        self.requests: list[Any] = []
        self.headers: list[Any] = []
        self.answer: Callable[[Any], Any] = usual
        self.url = ""
        self._lock = threading.Lock()

    def respond(self, handler):
        body = json.loads(handler.rfile.read(int(handler.headers["Content-Length"])))
        with self._lock:
            self.requests.append(body)
            self.headers.append(dict(handler.headers))
        if handler.path != "/v1/chat/completions":
            handler.send_error(404)
            return
        found = self.answer(json.loads(body["messages"][1]["content"]))
        if callable(found):
            found(handler)
            return
        if isinstance(found, dict):
            found = (200, json.dumps(found).encode(), {"Content-Type": "application/json"})
        status, answer, headers = found
        handler.send_response(status)
        for name, value in ({"Content-Length": str(len(answer))} | headers).items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(answer)

    def texts(self):
        return [json.loads(one["messages"][1]["content"]) for one in self.requests]


@contextmanager
def serving():
    """Serve while the block runs."""
    served = LanguageModelServer()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            served.respond(self)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        server.block_on_close = False
        served.url = f"http://127.0.0.1:{server.server_port}/v1"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield served
        server.shutdown()
        thread.join()


def cut(handler):
    """Promise a long answer, send a part, hang up."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"choices": [')


def hang_up(handler):
    """Send nothing at all."""
    handler.close_connection = True


def without_end(handler):
    """Send spaces for as long as somebody reads."""
    handler.send_response(200)
    handler.end_headers()
    try:
        while True:
            handler.wfile.write(b" " * 65536)
    except OSError:
        pass


def no_http(handler):
    handler.wfile.write(b"220 mail.example ESMTP\r\n")
