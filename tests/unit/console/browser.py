"""A browser of one console: requests to the ASGI application, with cookies, without a socket."""

import asyncio
import re
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Any, Self
from urllib.parse import urlencode

from console import application, pages
from console.access import Access
from console.rendering import Files

FILES = Files.load()
"""Read when tests are collected: a unit test opens no file."""

PAGES = pages.found()


class Inline(Executor):
    """Runs everything at once, where it is asked for."""

    def submit(self, fn, /, *args, **kwargs):
        done: Future[Any] = Future()
        try:
            done.set_result(fn(*args, **kwargs))
        except Exception as exc:  # noqa: BLE001  as executors do
            done.set_exception(exc)
        return done


@dataclass(frozen=True)
class Answer:
    """What the console answered."""

    status: int
    headers: list[tuple[str, str]]
    text: str

    def header(self, name: str) -> str:
        return next((value for key, value in self.headers if key == name), "")

    @property
    def words(self) -> str:
        """The visible text, on one line."""
        parser = _Words()
        parser.feed(self.text)
        return " ".join(" ".join(parser.found).split())

    def panel(self, name: str) -> str:
        """Return the visible text of a panel."""
        match = re.search(
            rf'<section class="panel[^>]*id="panel-{name}".*?</section>', self.text, re.DOTALL
        )
        assert match, f"no panel {name}"
        return Answer(200, [], match[0]).words


class _Words(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_data(self, data: str) -> None:
        self.found.append(data)


class Browser:
    """Asks one console, and keeps its cookies."""

    def __init__(
        self, system, *, operate=False, token="", executor=None, host="127.0.0.1:8084"
    ) -> None:
        self.app = application.create(
            system,
            PAGES,
            FILES,
            executor or Inline(),
            access=Access(token, b"key"),
            operate=operate,
        )
        self.host, self.cookies = host, dict[str, str]()
        self._runner = asyncio.Runner()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._runner.close()

    def get(self, path: str, **headers: str) -> Answer:
        return self._runner.run(self.ask("GET", path, b"", headers))

    def post(self, path: str, fields: dict[str, str], **headers: str) -> Answer:
        return self._runner.run(self.ask("POST", path, urlencode(fields).encode(), headers))

    def run(self, work: Any) -> Any:
        return self._runner.run(work)

    def csrf(self, path: str = "/releases") -> str:
        """Return the token in a page's forms."""
        match = re.search(r'name="csrf" value="([0-9a-f]+)"', self.get(path).text)
        assert match, f"no form at {path}"
        return match[1]

    async def ask(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> Answer:
        place, _, query = path.partition("?")
        given = {
            "host": self.host,
            "cookie": "; ".join(f"{k}={v}" for k, v in self.cookies.items()),
        }
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": place,
            "raw_path": place.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(name.encode(), value.encode()) for name, value in given.items() if value],
            "server": ("127.0.0.1", 8084),
            "client": ("127.0.0.1", 1),
        }
        sent: list[Any] = []

        async def receive():
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message):
            sent.append(message)

        await self.app(scope, receive, send)
        start = sent[0]
        found = [(name.decode(), value.decode()) for name, value in start["headers"]]
        for name, value in found:
            if name == "set-cookie":
                key, _, rest = value.partition("=")
                self.cookies[key] = rest.partition(";")[0]
        text = b"".join(part.get("body", b"") for part in sent[1:]).decode()
        return Answer(start["status"], found, text)
