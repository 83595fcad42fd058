"""Which operating system processes belong to a child, and ending them.

A child is found by its pid and start time. What it started is found by parentage, by the session
that the child leads, and by the mark in the environment, because each alone misses some: an orphan
has no parent left, a daemon leaves its session, a sandbox clears its environment.
"""

import os
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import Final

import psutil

from movierec.stack.run_record import Process

MARK: Final = "MOVIEREC_CHILD"
"""Environment variable of every child: `<run folder>:<supervisor>:<name>`."""

# The start time is computed from the time of boot, which moves when the clock is set. A pid
# cannot be reused within this time of its first use: 32,768 others come first.
_SAME_START_S: Final = 2.0

# After SIGKILL a process is gone as soon as the kernel has freed its memory.
_KILLED_WITHIN_S: Final = 10.0
# What outlives its parent's orderly end gets this long to end itself.
_ORPHANS_GRACE_S: Final = 2.0

Handles = frozenset[psutil.Process]


def created_s(pid: int) -> float:
    """Return a live process's start time, Unix seconds. Raises psutil.Error if it is gone."""
    return psutil.Process(pid).create_time()


def handle(process: Process) -> psutil.Process | None:
    """Return the process if it is alive and still the one that was started, else None."""
    try:
        found = psutil.Process(process.pid)
        same = abs(found.create_time() - process.created_s) < _SAME_START_S
        return found if same and found.status() != psutil.STATUS_ZOMBIE else None
    except psutil.Error:
        return None


def family(process: Process, mark: str) -> Handles:
    """Return every live process that belongs to a child, itself included."""
    leader = handle(process)
    below = descendants(leader) if leader is not None else frozenset()
    # A foreign process that has the child's pid now may lead a session of that number, too.
    foreign = leader is None and psutil.pid_exists(process.pid)
    session = frozenset() if foreign else _session(process.pid)
    return below | session | marked(mark)


def marked(prefix: str) -> Handles:
    """Return the live processes whose mark is `prefix` or starts with it and a colon."""
    mine = psutil.Process().pid
    return frozenset(
        found for found in psutil.process_iter() if found.pid != mine and _has_mark(found, prefix)
    )


def end(leaders: Iterable[psutil.Process], members: Handles, *, grace_s: float) -> None:
    """End children and their families, orderly first.

    The leaders alone get SIGTERM and `grace_s` to stop what they started: a signal to all at once
    would take a leader's workers away in the middle of its own clean-up. Whoever is left then
    gets SIGTERM and a moment, and SIGKILL at last.
    """
    asked = frozenset(leaders)
    _terminate(asked, grace_s)
    _terminate(members - asked, _ORPHANS_GRACE_S)
    for member in members:
        with suppress(psutil.Error):
            member.kill()
    _await_end(members, _KILLED_WITHIN_S)


def rss_bytes(process: Process) -> int:
    """Return the resident memory of a child and its descendants, in bytes."""
    leader = handle(process)
    total = 0
    for member in descendants(leader) if leader is not None else ():
        with suppress(psutil.Error):
            total += member.memory_info().rss
    return total


def _terminate(members: Handles, grace_s: float) -> None:
    for member in members:
        with suppress(psutil.Error):
            member.terminate()
    _await_end(members, grace_s)


def _await_end(members: Handles, within_s: float) -> None:
    """Return when all have ended, or the time is over."""
    deadline_s = time.monotonic() + within_s
    waiting = members
    while waiting and (left_s := deadline_s - time.monotonic()) > 0:
        try:
            _, waiting = map(frozenset, psutil.wait_procs(waiting, timeout=left_s))
        except FileNotFoundError:
            # What a new Linux says of a process that is just being reaped; psutil lets it through.
            waiting = frozenset(member for member in waiting if member.is_running())


def descendants(leader: psutil.Process) -> Handles:
    """Return a live process and all below it."""
    try:
        return frozenset((leader, *leader.children(recursive=True)))
    except psutil.Error:
        return frozenset()


def _session(session_id: int) -> Handles:
    return frozenset(
        found for found in psutil.process_iter() if _session_of(found.pid) == session_id
    )


def _session_of(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except OSError:
        return None


def _has_mark(found: psutil.Process, prefix: str) -> bool:
    try:
        mark = found.environ().get(MARK, "")
    except (psutil.Error, OSError):  # another user's, or gone
        return False
    return mark == prefix or mark.startswith(f"{prefix}:")
