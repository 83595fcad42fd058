"""The daemon's Unix socket: one JSON line asks, JSON lines answer, and who hangs up calls it off.

With a request may come an open file: the pipe into which a program writes.
"""

import asyncio
import json
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

_CHUNK: Final = 65_536


@contextmanager
def _address(path: Path) -> Iterator[str]:
    """Give a socket's path in the at most 107 bytes that an address can hold (unix(7))."""
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def listen(path: Path) -> socket.socket:
    """Return a listening socket; what a daemon before has left there is replaced."""
    path.unlink(missing_ok=True)
    found = socket.socket(socket.AF_UNIX)
    with _address(path) as address:
        found.bind(address)
    found.listen(128)
    found.setblocking(False)
    return found


def connect(path: Path) -> socket.socket | None:
    """Return a connection to whoever listens there, None if nobody does."""
    found = socket.socket(socket.AF_UNIX)
    try:
        with _address(path) as address:
            found.connect(address)
    except (FileNotFoundError, ConnectionRefusedError):
        found.close()
        return None
    return found


def line(message: Mapping[str, Any]) -> bytes:
    """Return a message as it is sent."""
    return json.dumps(message).encode() + b"\n"


async def receive(connection: socket.socket) -> dict[str, Any]:
    """Return the request that comes on a connection; `output` is the file that came with it.

    Raises EOFError when the other side has hung up before.
    """
    text, files = b"", list[int]()
    while not text.endswith(b"\n"):
        await readable(connection)
        part, more, _, _ = socket.recv_fds(connection, _CHUNK, 1)
        files += more
        if not part:
            raise EOFError
        text += part
    return {**json.loads(text), "output": files[0] if files else None}


async def readable(file: socket.socket | int) -> None:
    """Return when there is something to read, or nothing any more."""
    loop = asyncio.get_running_loop()
    there = asyncio.Event()
    loop.add_reader(file, there.set)
    try:
        await there.wait()
    finally:
        loop.remove_reader(file)
