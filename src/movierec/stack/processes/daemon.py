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
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, cast

from movierec.errors import MovierecError, UnavailableError
from movierec.runtime import json_logging
from movierec.stack.layout import Project, Run
from movierec.stack.processes import control_socket, process_tree
from movierec.stack.processes.child import Child, Subreaper
from movierec.stack.processes.spec import BackOff, Spec

_log = logging.getLogger(__name__)

# Whoever has started it connects at once, unless it was killed.
_FIRST_CLIENT_WITHIN_S: Final = 5.0
# What the children of a daemon that was killed have to end themselves.
_GUARDIAN_GRACE_S: Final = 4.0
_POLL_S: Final = 0.05

type Request = Mapping[str, Any]
type Say = Callable[[Mapping[str, Any]], Awaitable[None]]


class Daemon:
    """The children of a run, and who holds them."""

    def __init__(self, listener: socket.socket, subreaper: Subreaper, back_off: BackOff) -> None:
        self._listener = listener
        self._subreaper = subreaper
        self._back_off = back_off
        self._guardian = os.getppid()
        self._children: dict[str, Child] = {}
        self._programs: list[Child] = []
        self._released: set[str] = set()
        self._closing = False
        self._over = asyncio.Event()
        self._connections: set[asyncio.Task[None]] = set()
        verbs = (self._up, self._run, self._down, self._status, self._hold, self._keep)
        self._verbs = {verb.__name__.removeprefix("_"): verb for verb in verbs}

    async def serve(self) -> None:
        """Answer until there is nothing to do, or SIGTERM, SIGINT or SIGHUP."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(number, lambda: loop.create_task(self._shut_down()))
        loop.call_later(_FIRST_CLIENT_WITHIN_S, self._end_if_idle)
        self._accepting = asyncio.create_task(self._accept())
        await self._over.wait()
        if self._connections:
            await asyncio.wait(self._connections)

    async def _accept(self) -> None:
        while True:
            connection, _ = await asyncio.get_running_loop().sock_accept(self._listener)
            self._connections.add(asyncio.create_task(self._answer(connection)))

    def _end_if_idle(self, _: object = None) -> None:
        if not self._connections and all(child.task.done() for child in self._all()):
            self._close()
            self._over.set()

    async def _shut_down(self) -> None:
        self._close()
        await self._stop(self._all())
        self._over.set()

    def _close(self) -> None:
        """Start nothing and be found by nobody any more; the lock keeps the next daemon waiting."""
        self._closing = True
        self._accepting.cancel()
        self._subreaper.run.daemon_socket.unlink(missing_ok=True)

    # Requests ---------------------------------------------------------------------------

    async def _answer(self, connection: socket.socket) -> None:
        loop = asyncio.get_running_loop()

        async def say(message: Mapping[str, Any]) -> None:
            with suppress(ConnectionError):
                await loop.sock_sendall(connection, control_socket.line(message))

        with connection, suppress(EOFError, ConnectionError):
            connection.setblocking(False)
            try:
                request = await control_socket.receive(connection)
                work = asyncio.create_task(self._carry_out(request, say))
                hung_up = asyncio.create_task(loop.sock_recv(connection, 1))
                await asyncio.wait((work, hung_up), return_when=asyncio.FIRST_COMPLETED)
                for task in (work, hung_up):
                    task.cancel()
                await asyncio.wait((work, hung_up))
            finally:
                self._connections.discard(cast("asyncio.Task[None]", asyncio.current_task()))
                self._end_if_idle()

    async def _carry_out(self, request: Request, say: Say) -> None:
        try:
            await self._verbs[request["do"]](request, say)
        except MovierecError as exc:
            await say({"error": type(exc).__name__, "message": str(exc)})
        except Exception as exc:  # noqa: BLE001 (the edge: the client is told)
            _log.exception("request_failed")
            failed = f"the daemon failed: {exc!r}; see its log"
            await say({"error": UnavailableError.__name__, "message": failed})

    async def _up(self, request: Request, say: Say) -> None:
        spec = Spec.from_json(request["spec"])
        before, started = self._children.get(spec.name), None
        if before is not None and (before.is_stopped or before.code is not None):
            await before.stop(math.inf)  # who asks does not wait for its back-off
        child = self._children.get(spec.name)
        if child is None or child.is_stopped:
            restarts = 0 if child is None else child.restarts + 1
            child = started = self._new(spec, request, restarts=restarts)
            self._children[spec.name] = child
        try:
            await child.ready(spec.ready, within_s=spec.ready_within_s)
        except BaseException:
            if started is not None:
                await self._stop([started])
            raise
        await say(asdict(child.as_process()))

    async def _run(self, request: Request, say: Say) -> None:
        spec = Spec.from_json(request["spec"])
        try:
            program = self._new(spec, request, output=request["output"])
        finally:
            os.close(request["output"])  # its reader is to see the end of it with the program's
        self._programs.append(program)
        try:
            await say({"pid": program.program.pid})
            await program.ended()
            if program.is_stopped:  # its exit code may say 0 all the same
                raise UnavailableError(f"{spec.name} was stopped: the run is being stopped")
        except asyncio.CancelledError:
            await self._stop([program])
        finally:
            self._programs.remove(program)
        await say({"code": program.code})

    async def _down(self, request: Request, say: Say) -> None:
        names = request["names"]
        chosen = [
            child
            for child in self._all()
            if names is None or child.spec.name in names or child.group in names
        ]
        ran = [child.spec.name for child in chosen if child.is_kept_running]
        await asyncio.shield(self._shut_down() if names is None else self._stop(chosen))
        await say({"stopped": ran})

    async def _status(self, _: Request, say: Say) -> None:
        await say({"processes": [asdict(child.as_process()) for child in reversed(self._all())]})

    async def _hold(self, request: Request, say: Say) -> None:
        await say({})
        try:
            await self._over.wait()
        finally:
            self._released.add(request["owner"])
            await self._stop(c for c in self._all() if c.owner == request["owner"])

    async def _keep(self, request: Request, say: Say) -> None:
        for child in self._children.values():
            if child.owner == request["owner"]:
                child.owner = ""
        await say({})

    # Children ---------------------------------------------------------------------------

    def _new(self, spec: Spec, request: Request, **more: Any) -> Child:  # noqa: ANN401
        owner = request["owner"]
        if self._closing or owner in self._released:
            raise UnavailableError(f"{spec.name} is not started: the run is being stopped")
        child = Child(spec, self._subreaper, self._back_off, owner=owner, **more)
        child.task.add_done_callback(self._end_if_idle)
        return child

    def _all(self) -> list[Child]:
        """Return everything that there is to stop, the last started first."""
        return [*reversed(self._programs), *reversed(self._children.values())]

    async def _stop(self, chosen: Iterable[Child]) -> None:
        """Stop children, one group after the other in this order, and forget them."""
        guarded = os.getppid() == self._guardian
        grace_s = math.inf if guarded else _GUARDIAN_GRACE_S
        groups: dict[str, list[Child]] = {}
        for child in chosen:
            groups.setdefault(child.group if guarded else "", []).append(child)
        for group in groups.values():
            await asyncio.gather(*(child.stop(grace_s) for child in group))
            for child in group:
                if self._children.get(child.spec.name) is child:
                    del self._children[child.spec.name]


def main(root: str, folder: str, back_off: str) -> int:
    """Become the run's daemon, in the background; return when it answers, or another one does."""
    json_logging.to_stderr()
    run = Run(Project(Path(root)), Path(folder))
    lock = os.open(run.daemon_lock, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return 0
    listener = control_socket.listen(run.daemon_socket)
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
        listener.close()
        _guard(daemon)
        return 0
    process_tree.become_subreaper()
    process_tree.end_with_parent(guardian)
    asyncio.run(Daemon(listener, Subreaper(run), BackOff(**json.loads(back_off))).serve())
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
