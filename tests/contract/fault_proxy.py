"""A TCP proxy that delays, drops and resets what passes it, for tests against a real server."""

import asyncio
import random
import socket
import struct
import threading
from enum import StrEnum
from urllib.parse import urlsplit

RESET_ON_CLOSE = struct.pack("ii", 1, 0)
RESETS = 0.5
"""How likely a piece is to be the last of its connection."""


class Fault(StrEnum):
    NONE = "none"
    DELAY = "delay"
    """Each piece waits a while."""
    RESET_REQUEST = "reset_request"
    """A connection is reset in the middle of a request."""
    RESET_ANSWER = "reset_answer"
    """A request arrives, and the connection is reset in the middle of the answer or before it."""
    DROP = "drop"
    """Nothing passes, and what was dropped is lost: connections are reset when the fault ends."""


class FaultProxy:
    """Forwards connections on a port of its own to a server, in a thread, with `fault` set."""

    def __init__(self, server_url, seed):
        address = urlsplit(server_url)
        self._server = address.hostname, address.port
        self._chance = random.Random(seed)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run)
        self._stopped = asyncio.Event()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self.fault = Fault.NONE

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self.fault = Fault.NONE
        self._loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join()

    def _run(self):
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self):
        server = await asyncio.start_server(self._connected, sock=self._listening)
        await self._stopped.wait()
        server.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    async def _connected(self, reader, writer):
        try:
            server_reader, server_writer = await asyncio.open_connection(*self._server)
        except OSError:
            return _reset(writer)
        pumps = (
            asyncio.create_task(self._pump(reader, server_writer, Fault.RESET_REQUEST)),
            asyncio.create_task(self._pump(server_reader, writer, Fault.RESET_ANSWER)),
        )
        try:
            # With either end gone there is nothing to forward.
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            cut = any(pump.done() and pump.result() for pump in pumps)
            for pump in pumps:
                pump.cancel()
            for end in (writer, server_writer):
                _reset(end) if cut else end.close()

    async def _pump(self, reader, writer, resetting):
        """Forward until the reader's end, and return whether the connection is to be reset."""
        try:
            while data := await reader.read(1 << 16):
                if await self._cut(data, writer, resetting):
                    return True
                writer.write(data)
                await writer.drain()
        except OSError:
            return True
        return False

    async def _cut(self, data, writer, resetting):
        """Do what the fault does to a piece, and return whether the connection ends with it."""
        fault = self.fault
        if fault is Fault.DELAY:
            await asyncio.sleep(self._chance.uniform(0.05, 0.4))
        elif fault is Fault.DROP:
            while self.fault is Fault.DROP:  # noqa: ASYNC110  set by another thread
                await asyncio.sleep(0.02)
            return True
        elif fault is resetting and self._chance.random() < RESETS:
            writer.write(data[: self._chance.randrange(len(data))])
            await writer.drain()
            return True
        return False


def _reset(writer):
    """Have the other end see a reset, not the end of what was sent."""
    if not writer.transport.is_closing():
        raw = writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        writer.transport.abort()
