"""A child of the daemon: started, awaited until it is ready, restarted when it dies, stopped."""

import asyncio
import logging
import os
import signal
import socket
import subprocess
import time
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Final

from movierec.errors import ConfigError, MovierecError, UnavailableError
from movierec.stack.layout import Run
from movierec.stack.loopback_ports import HOST
from movierec.stack.processes import process_tree
from movierec.stack.processes.spec import BackOff, Process, Readiness, Spec, open_log, tail

_log = logging.getLogger(__name__)

_POLL_S: Final = 0.05
_ANSWERED_WITHIN_S: Final = 2.0
# What outlives its parent gets this long to end itself.
_ORPHANS_GRACE_S: Final = 2.0
_READY_FILE: Final = "MOVIEREC_READY_FILE"
_LISTEN_FD: Final = "MOVIEREC_LISTEN_FD"


@dataclass(slots=True)
class Subreaper:
    """Starts the daemon's children, and ends what has lost its parent below them.

    Only for the thread that lives as long as the daemon: a child ends with the thread that has
    started it, and there is to be no other one when a process is forked.
    """

    run: Run
    _started: set[int] = field(default_factory=set)

    def start(
        self, spec: Spec, output: IO[bytes], listening: socket.socket | None
    ) -> "subprocess.Popen[bytes]":
        """Start a program that writes to an open file. Raises ConfigError."""
        daemon = os.getpid()
        ours = {"TMPDIR": str(self.run.tmp)}
        if spec.ready == Readiness():
            ours[_READY_FILE] = str(self.ready_file(spec))
        if listening is not None:
            ours[_LISTEN_FD] = str(listening.fileno())
        try:
            program = subprocess.Popen(
                spec.command,
                env={**ours, **spec.env},
                cwd=spec.cwd,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=() if listening is None else (listening.fileno(),),
                preexec_fn=lambda: process_tree.end_with_parent(daemon),  # noqa: PLW1509 (no threads)
            )
        except OSError as exc:
            failed = f"cannot start {spec.name} ({spec.command[0]} in {spec.cwd}): {exc.strerror}"
            raise ConfigError(f"{failed}; `make setup` puts missing programs in place") from exc
        self._started.add(program.pid)
        return program

    def ready_file(self, spec: Spec) -> Path:
        """Return the file that a program makes when it is ready, if it says so itself."""
        return self.run.tmp / f"{spec.name}.ready"

    async def ended(self, program: "subprocess.Popen[bytes]") -> int:
        """Return a program's exit code when it has ended (negative: the signal)."""
        loop, over = asyncio.get_running_loop(), asyncio.Event()
        handle = os.pidfd_open(program.pid)
        loop.add_reader(handle, over.set)
        try:
            await over.wait()
        finally:
            loop.remove_reader(handle)
            os.close(handle)
        self._started.discard(program.pid)
        return program.wait()

    async def end_orphans(self) -> None:
        """End what has lost its parent below the daemon, which is its parent now."""
        number, deadline_s = signal.SIGTERM, time.monotonic() + _ORPHANS_GRACE_S
        signalled = set[int]()
        while orphans := set(process_tree.children(os.getpid())) - self._started:
            if time.monotonic() > deadline_s:
                number, signalled = signal.SIGKILL, set()
            for orphan in orphans - signalled:
                process_tree.send_signal(number, orphan)
            signalled |= orphans
            for orphan in orphans:
                os.waitpid(orphan, os.WNOHANG)  # noqa: ASYNC222 (it does not wait)
            await asyncio.sleep(_POLL_S / 5)


class Child:
    """A program that is kept running, or one that runs to its end.

    Raises ConfigError when it cannot be started, UnavailableError when its address is taken.
    """

    def __init__(
        self,
        spec: Spec,
        subreaper: Subreaper,
        back_off: BackOff,
        *,
        owner: str,
        output: str = "",
        restarts: int = 0,
    ) -> None:
        self.spec = spec
        self.owner = owner
        self.is_stopped = False
        self.code: int | None = None
        self._subreaper = subreaper
        self._back_off = back_off
        self._output = output
        self.log = subreaper.run.log(spec.name)
        self._listening = _bound(spec)
        self._was_ready = False
        self._stopping = asyncio.Event()
        try:
            self._start(restarts)
        except BaseException:
            self._stop_listening()
            raise
        self.task = asyncio.create_task(self._keep_running())
        """Over when nothing of it is left, and nothing will be started again."""

    @property
    def is_kept_running(self) -> bool:
        """Whether it runs, or will be started again, and nobody is stopping it."""
        return not self.is_stopped and (self.code is None or self._is_restarted())

    async def ready(self, ready: Readiness | None, *, within_s: float) -> None:
        """Return when it is ready.

        Raises UnavailableError, with the end of its log, when it dies or takes too long.
        """
        name, deadline_s = self.spec.name, time.monotonic() + within_s
        while self.code is not None or not await self._is_ready(ready):
            if self.is_stopped:
                raise UnavailableError(f"{name} was stopped: the run is being stopped")
            if self.code is not None or time.monotonic() > deadline_s:
                late = f"{name} is not ready after {within_s:g} s"
                fault = late if self.code is None else self._obituary(self.code)
                raise UnavailableError(f"{fault}; its log ends:\n{tail(self.log)}")
            await asyncio.sleep(_POLL_S)
        self._was_ready = True

    async def stop(self, grace_s: float) -> None:
        """End it and everything it has started: SIGTERM, and SIGKILL when its grace is over."""
        self._stopping.set()
        if not self.is_stopped:  # a second signal would cut an orderly end short
            self.is_stopped = True
            if self.code is None:
                self.program.terminate()
        try:
            async with asyncio.timeout(min(grace_s, self.spec.grace_s)):
                await asyncio.shield(self.task)
        except TimeoutError:
            if self.code is None:
                self.program.kill()
            await asyncio.shield(self.task)

    def _start(self, restarts: int) -> None:
        self._subreaper.ready_file(self.spec).unlink(missing_ok=True)
        with Path(self._output).open("wb") if self._output else open_log(self.log) as file:
            self.program = self._subreaper.start(self.spec, file, self._listening)
        self.code, name, pid = None, self.spec.name, self.program.pid
        self.process = Process(name, self.spec.group or name, pid, time.time(), restarts)

    async def _keep_running(self) -> None:
        deaths, lived_s = 0, await self._live()
        while self._is_restarted():
            deaths = self._back_off.deaths(deaths, lived_s)
            pause_s = self._back_off.delay_s(deaths)
            said = tail(self.log).splitlines()[-1].strip()
            facts = {"part": self.spec.name, "deaths": deaths, "start_in_s": pause_s, "said": said}
            _log.error("part_died", extra={**facts, "pid": self.program.pid})
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._stopping.wait()
            lived_s = await self._live_again() if not self.is_stopped else 0.0
        self._stop_listening()

    async def _live(self) -> float:
        """Return how long it has lived when it, and what it has left behind, has ended."""
        self.code = await self._subreaper.ended(self.program)
        self.process = replace(self.process, running=False)
        lived_s = time.time() - self.process.started_at_s
        await self._subreaper.end_orphans()
        return lived_s

    async def _live_again(self) -> float:
        restarts = self.process.restarts + 1
        try:
            self._start(restarts)
        except (MovierecError, OSError) as exc:
            # Tried again, as after any death: a full disk may be free in a minute.
            _log.error("part_not_started", extra={"part": self.spec.name, "error": str(exc)})
            return 0.0
        _log.warning("part_started", extra={"part": self.spec.name, "restarts": restarts})
        return await self._live()

    def _is_restarted(self) -> bool:
        # Settings do not change by a restart: it would only say the same again.
        hopeless = self.code == ConfigError.exit_code
        return self.spec.restart and self._was_ready and not self.is_stopped and not hopeless

    async def _is_ready(self, ready: Readiness | None) -> bool:
        if ready == Readiness():
            return self._subreaper.ready_file(self.spec).exists()
        return ready is None or await _answers(ready)

    def _obituary(self, code: int) -> str:
        signalled = f"was killed by {signal.Signals(-code).name}" if code < 0 else ""
        how = signalled or f"ended with exit code {code}"
        return f"{self.spec.name} {how} ({' '.join(self.spec.command)})"

    def _stop_listening(self) -> None:
        if self._listening is not None:
            self._listening.close()


def _bound(spec: Spec) -> socket.socket | None:
    if spec.listen is None:
        return None
    host, port = spec.listen
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=1024)
    except OSError as exc:
        raise UnavailableError(
            f"{spec.name} cannot listen on {host}:{port}: {exc.strerror or exc}"
        ) from exc


async def _answers(ready: Readiness) -> bool:
    try:
        async with asyncio.timeout(_ANSWERED_WITHIN_S):
            reader, writer = await asyncio.open_connection(HOST, ready.port)
            with closing(writer):
                if not ready.path:
                    return True
                request = f"GET {ready.path} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n"
                writer.write(request.encode())
                return b" 200 " in await reader.readline()
    except OSError:
        return False
