"""Ask the site's API for movies and users, over HTTP, within its limits.

    client = SiteClient("http://127.0.0.1:8080", SystemClock())
    found = client.fetch(movies=waiting, users=new, within_s=20.0)

One client for as long as the process lives: it remembers whether the site takes several ids at
once, and when it may be asked again.
"""

import math
import random
import socket
import threading
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from email.message import Message
from functools import partial
from http.client import HTTPException, InvalidURL
from queue import Empty, SimpleQueue
from typing import Any, Final
from urllib.error import HTTPError, URLError

from movierec.errors import UnavailableError, UsageError
from movierec.lake.schema import Columns, length
from movierec.ports import Clock
from movierec.site.reply_format import Answer, Kind, Reply
from movierec.site.request_plan import Group, Patience, RequestPlan, SiteState, path_segment

_TIMEOUT_S: Final = 30.0

# 200 movies are a megabyte at most.
_LARGEST_BODY: Final = 64 << 20
_CHUNK: Final = 1 << 16

# Ignores HTTP_PROXY and the like: the site is reached directly.
_OPENER: Final = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True, slots=True)
class Fetched:
    """What one `fetch` found; ids that are in none of these were not answered for in time."""

    movies: tuple[Columns, ...]
    """Batches of rows of table `movies`."""

    users: tuple[Columns, ...]
    unknown_movies: frozenset[str]
    unknown_users: frozenset[int]
    failure: str = ""
    """Why the site was given up, if it was."""


class SiteClient:
    """The site's API at a base URL. Used by one thread at a time."""

    def __init__(
        self,
        url: str,
        clock: Clock,
        *,
        patience: Patience | None = None,
        timeout_s: float = _TIMEOUT_S,
    ) -> None:
        self._clock = clock
        self._timeout_s = timeout_s
        self._site = SiteState(url.rstrip("/"), random.random, patience or Patience())

    @property
    def url(self) -> str:
        """The site's base URL."""
        return self._site.url

    def answers(
        self, kind: Kind, ids: Iterable[str], *, within_s: float = math.inf
    ) -> Iterator[Answer]:
        """Yield the site's answers as they come; at the deadline they end, whatever is left.

        Raises UnavailableError when the site is given up, and UsageError for an URL that is none.
        """
        start_s = time.monotonic()
        plan = RequestPlan(kind, ids, self._site, start_s)
        until_s = start_s + within_s
        replies: SimpleQueue[tuple[Group, Reply | UsageError]] = SimpleQueue()
        flying = 0
        while flying or not plan.finished:
            now_s = time.monotonic()
            left_s = until_s - now_s
            if left_s <= 0:
                return
            while flying < plan.width and (group := plan.next(now_s)):
                self._send(kind, group, until_s, replies)
                flying += 1
            full = plan.finished or flying >= plan.width
            wait_s = math.inf if full else plan.wait_s(now_s)
            if not flying and wait_s > left_s:
                return
            wait_s = min(wait_s, left_s)
            try:
                group, reply = replies.get(timeout=None if wait_s == math.inf else wait_s)
            except Empty:
                continue
            flying -= 1
            if isinstance(reply, UsageError):
                raise reply
            answer = plan.settle(group, reply, time.monotonic(), self._clock.now())
            if answer:
                yield answer

    def fetch(self, *, movies: Iterable[str], users: Iterable[int], within_s: float) -> Fetched:
        """Return what the site says of these ids before the deadline; it raises UsageError alone.

        Movies come first: lines of the log wait for them, and for no user.
        """
        until_s = time.monotonic() + within_s
        answers: list[Answer] = []
        failure = ""
        asked: tuple[tuple[Kind, Iterable[str]], ...] = (
            ("movie", movies),
            ("user", map(str, users)),
        )
        try:
            for kind, ids in asked:
                answers += self.answers(kind, ids, within_s=until_s - time.monotonic())
        except UnavailableError as exc:
            failure = str(exc)
        return Fetched(
            movies=_rows(answers, "movie"),
            users=_rows(answers, "user"),
            unknown_movies=frozenset(_unknown(answers, "movie")),
            unknown_users=frozenset(map(int, _unknown(answers, "user"))),
            failure=failure,
        )

    def _send(
        self,
        kind: Kind,
        group: Group,
        until_s: float,
        replies: SimpleQueue[tuple[Group, Reply | UsageError]],
    ) -> None:
        """Send a request in a thread of its own; nobody waits for one that is abandoned."""
        url = f"{self.url}/{kind}/{','.join(map(path_segment, group.ids))}"
        timeout_s = max(0.1, min(self._timeout_s, until_s - time.monotonic()))

        def run() -> None:
            replies.put((group, _get(url, timeout_s)))

        threading.Thread(target=run, name="site-request", daemon=True).start()


def _rows(answers: Iterable[Answer], kind: Kind) -> tuple[Columns, ...]:
    return tuple(one.rows for one in answers if one.kind == kind and length(one.rows))


def _unknown(answers: Iterable[Answer], kind: Kind) -> Iterator[str]:
    return (one for answer in answers if answer.kind == kind for one in answer.unknown)


def _get(url: str, timeout_s: float) -> Reply | UsageError:
    """Return the reply to a GET request, whole within `timeout_s`."""
    read = partial(_read, end_s=time.monotonic() + timeout_s)
    try:
        with _OPENER.open(url, timeout=timeout_s) as response:
            return _reply(response.status, response.headers, read(response))
    except HTTPError as exc:
        with exc:
            return _error_reply(exc, read)
    except (ValueError, InvalidURL) as exc:
        return UsageError(f"{url}: {exc}; name a URL such as http://127.0.0.1:8080")
    except (OSError, HTTPException) as exc:
        return _failure(exc)


def _error_reply(exc: HTTPError, read: Callable[[Any], bytes]) -> Reply:
    """Return an error's reply; its body is not needed."""
    try:
        body = read(exc.fp)
    except (OSError, HTTPException):
        body = b""
    return _reply(exc.code, exc.headers, body)


def _reply(status: int, headers: Message, body: bytes) -> Reply:
    return Reply(status, body, headers.get("Retry-After", ""), headers.get("Date", ""))


def _failure(exc: OSError | HTTPException) -> Reply:
    reason = exc.reason if isinstance(exc, URLError) else exc
    shown = str(reason) or type(reason).__name__
    if isinstance(reason, TimeoutError):
        return Reply(0, failure="no answer in time", cause="timeout")
    if isinstance(reason, (ConnectionRefusedError, socket.gaierror)):
        return Reply(0, failure=f"no answer ({shown})", cause="refused")
    return Reply(0, failure=f"no whole answer ({shown})")


def _read(response: Any, end_s: float) -> bytes:  # noqa: ANN401  http.client.HTTPResponse
    """Return a whole body. The socket's own timeout is for each packet alone."""
    chunks: list[bytes] = []
    size = 0
    while chunk := response.read1(_CHUNK):
        chunks.append(chunk)
        size += len(chunk)
        if time.monotonic() > end_s:
            raise TimeoutError
        if size > _LARGEST_BODY:
            raise OSError(f"over {_LARGEST_BODY} bytes")
    if response.length:
        raise OSError(f"{response.length} bytes were cut off")
    return b"".join(chunks)
