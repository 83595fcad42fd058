"""A proxy on real loopback sockets, in front of a fake API."""

import asyncio
import itertools
import json
import time
from contextlib import asynccontextmanager, suppress
from typing import Any

from aiohttp import ClientSession, web

from movierec.runtime.clock import SystemClock
from movierec.testing.memory import MemoryLake
from proxy.handler import Dependencies
from proxy.startup_shutdown import new_id, serve
from proxy.wiring import Settings

# Far more than a loopback call takes, on however busy a machine; and too short for any call.
PATIENT_S, HASTY_S = 30.0, 0.05

MOVIES = ",".join(f"movie+{i}+1999" for i in range(20))
POPULAR = "p+1,p+2,p+3"
DETAIL = '{"v":1,"cold_start":false,"known_user":true}'


class Upstream:
    """A fake API on a port of its own; `behave` handles `/recommend`, and may be replaced."""

    def __init__(self):
        self.behave = self.answer
        self.popular = self.answer_popular
        self.asked = 0
        self.port = 0
        self._numbers = itertools.count()

    async def answer(self, request):
        return web.Response(text=MOVIES, headers=self.headers("model"))

    async def answer_popular(self, request):
        return web.Response(text=POPULAR, headers=self.headers("popular"))

    def headers(self, source):
        return {
            "X-Recommendation-Id": f"r{next(self._numbers)}",
            "X-Recommendation-Source": source,
            "X-Model-Version": "m1",
            "X-Function-Version": "7",
            "X-Recommendation-Detail": DETAIL,
        }

    @asynccontextmanager
    async def listening(self):
        runner = web.ServerRunner(web.Server(self._handle), shutdown_timeout=0.01)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", self.port).start()
        self.port = runner.addresses[0][1]
        try:
            yield
        finally:
            await runner.cleanup()

    async def _handle(self, request):
        if request.path == "/live/popular":
            return await self.popular(request)
        self.asked += 1
        return await self.behave(request)


def status(code, text=""):
    async def behave(request):
        return web.Response(status=code, text=text)

    return behave


async def hang(request):
    await asyncio.Event().wait()


async def redirect(request):
    return web.Response(status=302, headers={"Location": "/live/popular"})


async def drop_connection(request):
    request.transport.close()
    return web.Response()


async def half_a_body(request):
    response = web.StreamResponse(headers={"Content-Length": "1000"})
    await response.prepare(request)
    await response.write(b"movie+1,movie+")
    request.transport.close()
    return response


async def endless_body(request):
    response = web.StreamResponse()
    await response.prepare(request)
    with suppress(ConnectionError):
        while True:
            await response.write(b"movie+" * 1000)
    return response


async def no_http(request):
    request.transport.write(b"\x00\x01rubbish\r\n\r\n")
    request.transport.close()
    return web.Response()


async def other_list(request):
    return web.Response(text="only+1,and+2")


def settings(folder, upstream, **options):
    url = f"http://127.0.0.1:{upstream.port}/live"
    defaults: dict[str, Any] = {"port": 0, "deadline_s": PATIENT_S, "flush_s": 3600.0}
    return Settings(**(defaults | {"api_url": url, "folder": folder} | options))


@asynccontextmanager
async def running(chosen, lake=None):
    """Serve in this process; yields the port, and waits for a clean stop at the end."""
    lake = lake or MemoryLake()
    stop, port = asyncio.Event(), asyncio.get_running_loop().create_future()
    deps = Dependencies(SystemClock(), time.monotonic, new_id)
    serving = asyncio.create_task(
        serve(
            chosen,
            open_lake=lambda: lake,
            deps=deps,
            stop=stop,
            on_start=port.set_result,
        )
    )
    await asyncio.wait([serving, port], return_when=asyncio.FIRST_COMPLETED)
    if serving.done():
        await serving
    try:
        yield await port
    finally:
        stop.set()
        await serving


@asynccontextmanager
async def proxy_and_upstream(folder, *, lake=None, has_list=True, **options):
    upstream = Upstream()
    async with upstream.listening():
        if not has_list:
            upstream.popular = status(500)
        async with running(settings(folder, upstream, **options), lake) as port:
            if has_list:
                await until(lambda: health(port, "popular_list"))
            yield upstream, port


async def get(port, path="/recommend/42", method="GET"):
    async with (
        ClientSession() as session,
        session.request(method, f"http://127.0.0.1:{port}{path}") as response,
    ):
        return response.status, await response.text(), dict(response.headers)


async def health(port, name):
    return json.loads((await get(port, "/healthz"))[1])[name]


async def until(condition, within_s=20.0):
    async with asyncio.timeout(within_s):
        while not await condition():  # noqa: ASYNC110  what is waited for is behind a socket
            await asyncio.sleep(0.01)


async def raw(port, *parts):
    """Send raw bytes, and return everything received until the peer closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for part in parts:
        writer.write(part)
        await writer.drain()
    async with asyncio.timeout(20):
        answer = await reader.read()
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()
    return answer
