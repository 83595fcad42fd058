"""Memory usage of a process tree, from /proc (proc_pid_status(5))."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_KIB = 1024


@dataclass(frozen=True, slots=True)
class Usage:
    """Memory of one or several processes, in bytes.

    `held_bytes` is what only they can give back (anonymous and shared memory); a mapped file is
    not in it, because the kernel drops its pages when memory is short. `peak_bytes` is the most
    that was ever resident, mapped files included.
    """

    held_bytes: int
    peak_bytes: int

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(self.held_bytes + other.held_bytes, self.peak_bytes + other.peak_bytes)


def parse_status(text: str) -> Usage:
    """Read `/proc/<pid>/status`; a zombie has no memory lines and uses nothing."""
    kib = {
        name: int(value.split()[0])
        for name, _, value in (line.partition(":") for line in text.splitlines())
        if name in {"RssAnon", "RssShmem", "VmHWM"}
    }
    held = kib.get("RssAnon", 0) + kib.get("RssShmem", 0)
    return Usage(held * _KIB, kib.get("VmHWM", 0) * _KIB)


def usage_of(pid: int) -> Usage:
    """Return one process's usage; nothing when it has ended."""
    try:
        return parse_status(Path(f"/proc/{pid}/status").read_text())
    except (FileNotFoundError, ProcessLookupError):
        return Usage(0, 0)


def descendants(pid: int) -> Iterator[int]:
    """Yield every process below `pid`, without it."""
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        children = [int(c) for task in tasks for c in (task / "children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return
    for child in children:
        yield child
        yield from descendants(child)


def usage_below(pid: int) -> Usage:
    """Return the sum over every process below `pid`."""
    return sum((usage_of(child) for child in descendants(pid)), Usage(0, 0))
