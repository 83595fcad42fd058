"""Detects I/O in unit tests by Python's audit events.

The events: https://docs.python.org/3/library/audit_events.html. Not all I/O has one: asking
whether a path exists (stat, access) has none, nor has what a library in C or Rust does by itself.
"""

import asyncio.selector_events
import linecache
import os
import socket
import sys
import sysconfig
import traceback
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any

from hypothesis import database
from hypothesis.internal import charmap, constants_ast

# Each family by the first part of its events' names. What needs an open file or socket (mmap,
# fcntl) is detected at its opening; SQLite opens its files itself.
_FAMILIES = frozenset(
    {"glob", "open", "os", "pathlib", "shutil", "socket", "sqlite3", "subprocess", "tempfile"}
)
_SLEEP = "time.sleep"
# The environment is this process's memory, and monkeypatch restores it.
_HARMLESS = frozenset({"os.putenv", "os.unsetenv"})

_LISTINGS = frozenset({"os.listdir", "os.scandir"})
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

# What is installed may be read at any time, as an import reads it: botocore's clients are JSON
# files. threadpoolctl looks up the loaded BLAS in this process's own maps.
_READABLE = (
    *{sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")},
    "/proc/self",
)

# Whatever these do is not the test's doing: an import reads, lists and caches; a traceback shows
# lines of code, and parses them; Hypothesis keeps counterexamples, character tables, constants.
_FREE_CALLERS = frozenset(
    {
        "<frozen importlib._bootstrap>",
        linecache.__file__,
        traceback.__file__,
        database.__file__,
        charmap.__file__,
        constants_ast.__file__,
        # It reads .pdbrc, and who debugs tests no more. Not imported where nobody does.
        f"{sysconfig.get_path('stdlib')}/pdb.py",
    }
)

# No event loop without the pair of Unix sockets by which it wakes itself. They lead nowhere, and
# asyncio alone may make them: a test's own pair is refused.
_LOOP = asyncio.selector_events.__file__


class ImpureTestError(AssertionError):
    """A unit test did I/O, or slept."""


def breach(event: str, args: Sequence[Any], callers: Collection[str]) -> str | None:
    """Return the name of a forbidden action; None for an event that is allowed.

    `callers` are the files of the code that is running, by its frames.
    """
    if not _is_io(event) or not _FREE_CALLERS.isdisjoint(callers):
        return None
    if event == "socket.__new__" and args[1] == socket.AF_UNIX and _LOOP in callers:
        return None
    # After what is opened comes how.
    named = args[:1] if event == "open" else args
    paths = [os.fsdecode(arg) for arg in named if isinstance(arg, str | bytes | os.PathLike)]
    reads = event in _LISTINGS or (event == "open" and not args[2] & _WRITING)
    if paths and all(_may_touch(path, reads=reads) for path in paths):
        return None
    return " ".join((event, *(paths or map(repr, args))))


def _is_io(event: str) -> bool:
    return event == _SLEEP or (event.partition(".")[0] in _FAMILIES and event not in _HARMLESS)


def _may_touch(name: str, *, reads: bool) -> bool:
    path = os.path.abspath(name)  # noqa: PTH100  resolve() follows links: another place
    return path == os.devnull or (reads and any(path.startswith(f"{p}/") for p in _READABLE))


class Guard:
    """An audit hook that refuses I/O while `watching`.

    A refusal is remembered: a test that swallows it fails all the same.
    """

    def __init__(self) -> None:
        self._refused: list[str] | None = None

    def hook(self, event: str, args: tuple[Any, ...]) -> None:
        """Take one audit event. Raises ImpureTestError if it is refused."""
        if self._refused is None or not _is_io(event):
            return
        found = breach(event, args, set(_running()))
        if found is not None:
            self._refused.append(found)
            raise _error(found)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Refuse I/O until the block ends. Raises ImpureTestError if any was tried."""
        refused: list[str] = []
        self._refused = refused
        try:
            yield
        finally:
            self._refused = None
            if refused and not isinstance(sys.exception(), ImpureTestError):
                raise _error(refused[0])


def _running() -> Iterator[str]:
    """Yield the file of each frame on the stack."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        yield frame.f_code.co_filename
        frame = frame.f_back


def _error(found: str) -> ImpureTestError:
    return ImpureTestError(
        f"a unit test did I/O: {found}; give it bytes, values or a fake, "
        "or move it to tests/contract"
    )
