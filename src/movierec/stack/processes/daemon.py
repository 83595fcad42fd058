"""The one owner of a run's processes: `python -m movierec.stack.processes.daemon ROOT FOLDER`.

It starts children, restarts what dies, and answers on a Unix socket in the run's folder; the
commands are its clients. It is the subreaper of everything that a run starts, and ends when
nothing runs and nobody is connected. Children end with it: the kernel sends them SIGTERM, and a
guardian process, its parent and a subreaper too, kills 4 s later whatever is left.

One connection is one request; a client that hangs up calls its request off:

    up       start a child, or keep the one that runs, and answer when it is ready
    run      run a program to its end: answers its pid, then its exit code
    down     stop children by name or group, last started first; without names, all, and end
    status   the children
    hold     while it lasts, an owner holds what it starts; when it ends, that is stopped
    keep     what an owner has started goes on without it
"""

import asyncio
import fcntl
import json
import logging
import math
import os
import signal
import sys
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from movierec.errors import MovierecError, UnavailableError
from movierec.runtime import json_logging
from movierec.stack.layout import Project, Run
from movierec.stack.processes import process_tree
from movierec.stack.processes.child import Child, Subreaper
from movierec.stack.processes.spec import BackOff, Spec

_log = logging.getLogger(__name__)

# Whoever has started it connects at once, unless it was killed.
_FIRST_CLIENT_WITHIN_S: Final = 5.0
# What the children of a daemon that was killed have to end themselves.
_GUARDIAN_GRACE_S: Final = 4.0
_POLL_S: Final = 0.05

# A spec's environment may be as long as Linux allows.
_LONGEST_REQUEST_BYTES: Final = 2**24

type Request = Mapping[str, Any]
type Say = Callable[[Mapping[str, Any]], None]


class Daemon:
    """The children of a run, and who holds them."""

    def __init__(self, subreaper: Subreaper, back_off: BackOff) -> None:
        self._subreaper = subreaper
        self._back_off = back_off
        self._guardian = os.getppid()
        # Parts by their names, programs by a name of their own, in the order of their start.
        self._children: dict[str, Child] = {}
        self._released: set[str] = set()
        self._connections = 0
        self._closing = False
        self._over = asyncio.Event()
        verbs = (self._up, self._run, self._down, self._status, self._hold, self._keep)
        self._verbs = {verb.__name__.removeprefix("_"): verb for verb in verbs}

    async def serve(self) -> None:
        """Answer until there is nothing to do, or SIGTERM, SIGINT or SIGHUP."""
        loop = asyncio.get_running_loop()
        # In the current folder, the run's: an address holds 107 bytes (unix(7)).
        self._server = await asyncio.start_unix_server(
            self._answer, self._subreaper.run.daemon_socket.name, limit=_LONGEST_REQUEST_BYTES
        )
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(number, lambda: loop.create_task(self._shut_down()))
        loop.call_later(_FIRST_CLIENT_WITHIN_S, self._end_if_idle)
        await self._over.wait()
        await self._server.wait_closed()

    def _end_if_idle(self, _: object = None) -> None:
        if not self._connections and all(child.task.done() for child in self._children.values()):
            self._close()
            self._over.set()

    async def _shut_down(self) -> None:
        self._close()
        await self._stop(self._all())
        self._over.set()

    def _close(self) -> None:
        """Start nothing and be found by nobody any more; the lock keeps the next daemon waiting."""
        self._closing = True
        self._server.close()

    # Requests ---------------------------------------------------------------------------

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        def say(message: Mapping[str, Any]) -> None:
            writer.write(json.dumps(message).encode() + b"\n")

        self._connections += 1
        with suppress(ConnectionError, json.JSONDecodeError), closing(writer):
            try:
                request = json.loads(await reader.readline())
                work = asyncio.create_task(self._carry_out(request, say))
                hung_up = asyncio.create_task(reader.read(1))
                hung_up.add_done_callback(lambda _: work.cancel())
                await asyncio.wait((work,))
                hung_up.cancel()
            finally:
                self._connections -= 1
                self._end_if_idle()

    async def _carry_out(self, request: Request, say: Say) -> None:
        try:
            await self._verbs[request["do"]](request, say)
        except MovierecError as exc:
            say({"error": type(exc).__name__, "message": str(exc)})
        except Exception as exc:  # noqa: BLE001 (the edge: the client is told)
            _log.exception("request_failed")
            failed = f"the daemon failed: {exc!r}; see its log"
            say({"error": UnavailableError.__name__, "message": failed})

    async def _up(self, request: Request, say: Say) -> None:
        spec = Spec.from_json(request["spec"])
        before, started = self._children.get(spec.name), None
        if before is not None and (before.is_stopped or before.code is not None):
            await before.stop(math.inf)  # who asks does not wait for its back-off
        child = self._children.get(spec.name)
        if child is None or child.is_stopped:
            restarts = 0 if child is None else child.process.restarts + 1
            child = started = self._new(spec.name, spec, request, restarts=restarts)
        try:
            await child.ready(spec.ready, within_s=spec.ready_within_s)
        except BaseException:
            if started is not None:
                await self._stop([started])
            raise
        say(asdict(child.process))

    async def _run(self, request: Request, say: Say) -> None:
        spec, within_s = Spec.from_json(request["spec"]), request["within_s"]
        program = self._new(f"{spec.name} {uuid.uuid4()}", spec, request, output=request["output"])
        try:
            say({"pid": program.program.pid})
            async with asyncio.timeout(within_s):
                await asyncio.shield(program.task)
            if program.is_stopped:  # its exit code may say 0 all the same
                raise UnavailableError(f"{spec.name} was stopped: the run is being stopped")
        except TimeoutError as exc:
            raise UnavailableError(
                f"{spec.name} has not ended within {within_s:g} s: see {program.log}"
            ) from exc
        finally:
            await self._stop([program])
        say({"code": program.code})

    async def _down(self, request: Request, say: Say) -> None:
        names = request["names"]
        chosen = [
            child
            for child in self._all()
            if names is None or child.spec.name in names or child.process.group in names
        ]
        ran = [child.spec.name for child in chosen if child.is_kept_running]
        await asyncio.shield(self._shut_down() if names is None else self._stop(chosen))
        say({"stopped": ran})

    async def _status(self, _: Request, say: Say) -> None:
        say({"processes": [asdict(child.process) for child in self._children.values()]})

    async def _hold(self, request: Request, say: Say) -> None:
        say({})
        try:
            await self._over.wait()
        finally:
            self._released.add(request["owner"])
            await self._stop(c for c in self._all() if c.owner == request["owner"])

    async def _keep(self, request: Request, say: Say) -> None:
        for child in self._children.values():
            if child.owner == request["owner"]:
                child.owner = ""
        say({})

    # Children ---------------------------------------------------------------------------

    def _new(self, key: str, spec: Spec, request: Request, **more: Any) -> Child:  # noqa: ANN401
        owner = request["owner"]
        if self._closing or owner in self._released:
            raise UnavailableError(f"{spec.name} is not started: the run is being stopped")
        child = Child(spec, self._subreaper, self._back_off, owner=owner, **more)
        child.task.add_done_callback(self._end_if_idle)
        self._children[key] = child
        return child

    def _all(self) -> list[Child]:
        """Return everything that there is to stop, the last started first."""
        return list(reversed(self._children.values()))

    async def _stop(self, chosen: Iterable[Child]) -> None:
        """Stop children, one group after the other in this order, and forget them."""
        guarded = os.getppid() == self._guardian
        grace_s = math.inf if guarded else _GUARDIAN_GRACE_S
        groups: dict[str, list[Child]] = {}
        for child in chosen:
            groups.setdefault(child.process.group if guarded else "", []).append(child)
        for group in groups.values():
            await asyncio.gather(*(child.stop(grace_s) for child in group))
            self._children = {k: c for k, c in self._children.items() if c not in group}


def main(root: str, folder: str, back_off: str) -> int:
    """Become the run's daemon, in the background; nothing happens when there is one."""
    json_logging.to_stderr()
    run = Run(Project(Path(root)), Path(folder))
    lock = os.open(run.daemon_lock, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return 0
    if os.fork():
        return 0
    # Children inherit what is ignored or held; two that Python itself ignores, Popen restores.
    for number in signal.valid_signals() - {signal.SIGPIPE, signal.SIGXFSZ}:
        with suppress(OSError):  # SIGKILL, SIGSTOP
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    process_tree.become_subreaper()
    guardian, daemon = os.getpid(), os.fork()
    if daemon:
        _guard(daemon)
        return 0
    process_tree.become_subreaper()
    process_tree.end_with_parent(guardian)
    asyncio.run(Daemon(Subreaper(run), BackOff(**json.loads(back_off))).serve())
    return 0


def _guard(daemon: int) -> None:
    """Wait for the daemon's end, and end what it has left behind; the lock is held until then."""
    os.waitpid(daemon, 0)
    deadline_s = time.monotonic() + _GUARDIAN_GRACE_S
    while children := list(process_tree.children(os.getpid())):
        if time.monotonic() > deadline_s:
            for child in children:
                process_tree.send_signal(signal.SIGKILL, child)
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        time.sleep(_POLL_S)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
