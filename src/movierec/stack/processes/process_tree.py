"""Processes below another one, and Linux's ways to hold them together (prctl(2))."""

import ctypes
import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

_LIBC: Final = ctypes.CDLL(None)
_PR_SET_PDEATHSIG: Final = 1
_PR_SET_CHILD_SUBREAPER: Final = 36


def become_subreaper() -> None:
    """Be the parent of whatever loses its own below this process."""
    _LIBC.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def end_with_parent(parent: int) -> None:
    """Have the kernel send this process SIGTERM when its parent's thread ends."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:  # it was quicker
        os.kill(os.getpid(), signal.SIGTERM)


def children(pid: int) -> Iterator[int]:
    """Yield a process's children, ended ones that nobody has waited for among them."""
    with suppress(FileNotFoundError, ProcessLookupError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            yield from map(int, (task / "children").read_text().split())


def send_signal(number: int, pid: int) -> None:
    """Send a signal to a process and to all below it."""
    for child in list(children(pid)):
        send_signal(number, child)
    with suppress(ProcessLookupError):
        os.kill(pid, number)
