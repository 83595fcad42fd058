"""The site's HTTP API: users and movies, one, several or all of them as JSON Lines."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from itertools import batched
from typing import Any, Final

from aiohttp import web

from movierec.errors import UnavailableError
from simulator import site_api_documents
from simulator.synthetic_world import World

MAX_BULK: Final = 200

# Lines of an export between yields to the event loop: 3 ms.
_LINES_A_CHUNK: Final = 32

_Finder = Callable[[str], dict[str, Any] | None]

WORLD: Final = web.AppKey("world", World)
TAGLINE: Final = web.AppKey("tagline", bool)


def application(world: World, *, tagline: bool = True) -> web.Application:
    """Return the site's routes over a world."""
    app = web.Application()
    app[WORLD] = world
    app[TAGLINE] = tagline
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
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
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
    world = request.app[WORLD]

    def find(text: str) -> dict[str, Any] | None:
        known = text.isascii() and text.isdigit() and len(text) <= len(str(len(world.users)))
        known = known and 1 <= int(text) <= len(world.users)
        return site_api_documents.user(world, int(text) - 1) if known else None

    return _answer(request.match_info["ids"], find, site_api_documents.USER_NOT_FOUND)


async def _movies(request: web.Request) -> web.Response:
    world, tagline = request.app[WORLD], request.app[TAGLINE]

    def find(movie_id: str) -> dict[str, Any] | None:
        index = world.films.index.get(movie_id)
        return None if index is None else site_api_documents.movie(world, index, tagline=tagline)

    return _answer(request.match_info["ids"], find, site_api_documents.MOVIE_NOT_FOUND)


def _answer(ids: str, find: _Finder, not_found: dict[str, str]) -> web.Response:
    """Return one object, or for several ids a list in which the unknown ones keep their place.

    An unknown id alone is 404: what the course's status is was not recorded, and its clients
    read the message whatever the status.
    """
    wanted = ids.split(",")
    if len(wanted) > MAX_BULK:
        text = f"at most {MAX_BULK} ids in one request, not {len(wanted)}"
        return _json({"message": text}, status=400)
    found = [find(text) for text in wanted]
    if len(wanted) > 1:
        return _json([one if one is not None else not_found for one in found])
    if found[0] is None:
        return _json(not_found, status=404)
    return _json(found[0])


def _json(body: dict[str, Any] | list[Any], status: int = 200) -> web.Response:
    return web.Response(
        text=site_api_documents.dump(body), status=status, content_type="application/json"
    )


async def _user_export(request: web.Request) -> web.StreamResponse:
    return await _stream(request, site_api_documents.user_lines(request.app[WORLD]))


async def _movie_export(request: web.Request) -> web.StreamResponse:
    lines = site_api_documents.movie_lines(request.app[WORLD], tagline=request.app[TAGLINE])
    return await _stream(request, lines)


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
