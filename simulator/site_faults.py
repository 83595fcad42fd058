"""Faults of the site's APIs, by option: unknown ids, rate limit, slow, failing and incomplete."""

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from random import Random
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

ASKED_FOR: Final = ("/user/", "/movie/")
"""Paths that have faults; the exports have none."""

_ERRORS: Final = (
    (500, "Internal Server Error\n"),
    (502, "<html><body><h1>502 Bad Gateway</h1></body></html>\n"),
    (503, "Service Unavailable\n"),
)


class UnknownInBulk(StrEnum):
    """How a request for several ids is answered when the site does not know one of them."""

    MESSAGE = "message"
    """A list in which a message stands in its place."""
    NOT_FOUND = "404"
    """404 in plain text for the whole request."""
    LEFT_OUT = "omit"
    """A list without it."""


@dataclass(frozen=True, slots=True)
class SiteFaults:
    """Faults of the user and movie APIs; shares are of the answers, or of the documents.

    `rate_limit` is in requests per `rate_window_s`; None: no limit.
    """

    unknown_in_bulk: UnknownInBulk = UnknownInBulk.MESSAGE
    rate_limit: int | None = None
    rate_window_s: float = 1.0
    retry_after: bool = True
    slow_share: float = 0.0
    slow_s: float = 5.0
    error_share: float = 0.0
    incomplete_share: float = 0.0


class RateLimiter:
    """Lets through `limit` requests in each window, counted from its first one."""

    def __init__(self, limit: int, window_s: float, now_s: Callable[[], float]) -> None:
        self._limit, self._window_s, self._now_s = limit, window_s, now_s
        self._ends_s = -math.inf
        self._count = 0

    def wait_s(self) -> float:
        """Count a request; return 0 when it may pass, else the seconds until the next window."""
        now_s = self._now_s()
        if now_s >= self._ends_s:
            self._ends_s, self._count = now_s + self._window_s, 0
        self._count += 1
        return 0.0 if self._count <= self._limit else self._ends_s - now_s


def middleware(faults: SiteFaults, rng: Random, now_s: Callable[[], float]) -> Middleware:
    """Return a middleware that limits, delays and fails requests to the APIs."""
    limiter = RateLimiter(faults.rate_limit or 0, faults.rate_window_s, now_s)

    @web.middleware
    async def handle(request: web.Request, handler: Handler) -> web.StreamResponse:
        if not request.path.startswith(ASKED_FOR):
            return await handler(request)
        wait_s = limiter.wait_s() if faults.rate_limit else 0.0
        if wait_s > 0:
            headers = {"Retry-After": str(math.ceil(wait_s))} if faults.retry_after else {}
            return web.Response(status=429, text="Too Many Requests\n", headers=headers)
        if rng.random() < faults.slow_share:
            await asyncio.sleep(faults.slow_s)
        if rng.random() < faults.error_share:
            status, text = rng.choice(_ERRORS)
            return web.Response(status=status, text=text)
        return await handler(request)

    return handle
