"""The site's HTTP API: users and movies, one, several or all of them as JSON Lines."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator
from itertools import batched
from random import Random
from typing import Any, Final

from aiohttp import web

from movierec.errors import UnavailableError
from simulator import site_api_documents, site_faults
from simulator.growing_site import Site
from simulator.site_faults import SiteFaults, UnknownInBulk
from simulator.site_records import RecordOptions, SiteRecords
from simulator.synthetic_world import World

MAX_BULK: Final = 200

# A request for 200 movies: ids of up to some 60 characters, of which quoting makes a few longer.
_MAX_LINE_BYTES: Final = 64 * 1024

# Lines of an export between yields to the event loop: 3 ms.
_LINES_A_CHUNK: Final = 32

# Of a user id; longer ones are slow to convert.
_MAX_DIGITS: Final = 18

_Finder = Callable[[str], dict[str, Any] | None]

RECORDS: Final = web.AppKey("records", SiteRecords)
UNKNOWN_IN_BULK: Final = web.AppKey("unknown_in_bulk", UnknownInBulk)


def application(
    site: World | Site,
    *,
    tagline: bool = True,
    cost: bool = False,
    described: float = 0.0,
    faults: SiteFaults = SiteFaults(),  # noqa: B008  a frozen value
    seed: int = 0,
    now_s: Callable[[], float] = time.monotonic,
) -> web.Application:
    """Return the site's routes; `now_s` is the rate limit's clock, `seed` that of random faults."""
    app = web.Application(middlewares=[site_faults.middleware(faults, Random(seed), now_s)])
    options = RecordOptions(tagline, cost, described, faults.incomplete_share)
    app[RECORDS] = SiteRecords(Site.of(site), options)
    app[UNKNOWN_IN_BULK] = faults.unknown_in_bulk
    app.add_routes(
        [
            web.get("/user/{ids}", _users),
            web.get("/movie/{ids}", _movies),
            web.get("/users.jsonl", _user_export),
            web.get("/movies.jsonl", _movie_export),
            web.get("/healthz", _healthz),
        ]
    )
    return app


async def serve(app: web.Application, host: str, port: int) -> web.AppRunner:
    """Start the server; the caller cleans the runner up. Raises UnavailableError."""
    # Whoever is still reading an export does not keep a stopped site alive for a minute.
    runner = web.AppRunner(
        app, access_log=None, shutdown_timeout=1.0, max_line_size=_MAX_LINE_BYTES
    )
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as exc:
        await runner.cleanup()
        raise UnavailableError(
            f"site {host}:{port} cannot be opened ({exc.strerror or exc}): "
            "choose another port with --site-port"
        ) from exc
    return runner


async def _healthz(_request: web.Request) -> web.Response:
    return web.Response(text="ok\n")


async def _users(request: web.Request) -> web.Response:
    records = request.app[RECORDS]

    def find(text: str) -> dict[str, Any] | None:
        well_formed = text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS
        return records.user(int(text)) if well_formed else None

    return _answer(request, find, site_api_documents.USER_NOT_FOUND)


async def _movies(request: web.Request) -> web.Response:
    return _answer(request, request.app[RECORDS].movie, site_api_documents.MOVIE_NOT_FOUND)


def _answer(request: web.Request, find: _Finder, not_found: dict[str, str]) -> web.Response:
    """Return one object, or a list for several ids.

    An unknown id alone is 404: what the course's status is was not recorded, and its clients
    read the message whatever the status.
    """
    wanted = request.match_info["ids"].split(",")
    if len(wanted) > MAX_BULK:
        text = f"at most {MAX_BULK} ids in one request, not {len(wanted)}"
        return _json({"message": text}, status=400)
    found = [find(text) for text in wanted]
    if len(wanted) > 1:
        return _list(found, not_found, request.app[UNKNOWN_IN_BULK])
    if found[0] is None:
        return _json(not_found, status=404)
    return _json(found[0])


def _list(
    found: list[dict[str, Any] | None], not_found: dict[str, str], unknown: UnknownInBulk
) -> web.Response:
    if unknown is UnknownInBulk.NOT_FOUND and None in found:
        return web.Response(status=404, text=f"{not_found['message']}\n")
    known = [one for one in found if one is not None]
    if unknown is UnknownInBulk.LEFT_OUT:
        return _json(known)
    return _json([not_found if one is None else one for one in found])


def _json(body: dict[str, Any] | list[Any], status: int = 200) -> web.Response:
    return web.Response(
        text=site_api_documents.dump(body), status=status, content_type="application/json"
    )


async def _user_export(request: web.Request) -> web.StreamResponse:
    return await _stream(request, request.app[RECORDS].user_lines())


async def _movie_export(request: web.Request) -> web.StreamResponse:
    return await _stream(request, request.app[RECORDS].movie_lines())


async def _stream(request: web.Request, lines: Iterator[str]) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson; charset=utf-8"})
    await response.prepare(request)
    # A client that has enough hangs up.
    with contextlib.suppress(ConnectionResetError):
        for chunk in batched(lines, _LINES_A_CHUNK, strict=False):
            await response.write("".join(chunk).encode())
            await asyncio.sleep(0)
        await response.write_eof()
    return response
