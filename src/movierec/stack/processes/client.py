"""A command's side of the daemon: starts children and programs, and holds them while it lasts."""

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from types import FrameType, TracebackType
from typing import IO, Any, Final, NoReturn, Self

from movierec import errors
from movierec.errors import UnavailableError
from movierec.stack.layout import Run
from movierec.stack.processes import child_environment, control_socket, former_run
from movierec.stack.processes.spec import BackOff, Process, Spec, open_log

NAME: Final = "supervisor"
"""The daemon's name among the parts of a run, and its log's."""

_POLL_S: Final = 0.05
# What a daemon that was killed leaves behind ends within 5 s.
_STARTED_WITHIN_S: Final = 20.0
_STOP_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class DaemonGoneError(UnavailableError):
    """The daemon has hung up."""


class _Request:
    """A request under way; several threads may wait for its answers."""

    def __init__(self, connection: socket.socket, message: bytes, output: int | None) -> None:
        self._connection = connection
        self._received = b""
        self._receiving = threading.Lock()
        with suppress(ConnectionError):
            sent = socket.send_fds(connection, [message], [] if output is None else [output])
            connection.sendall(message[sent:])

    def answer(self, *, within_s: float | None = None) -> dict[str, Any] | None:
        """Return the next answer, None if there is none in time. Raises what the daemon raised."""
        with self._receiving:
            while b"\n" not in self._received:
                try:
                    if not self._receive(within_s):
                        self._connection.close()
                        raise DaemonGoneError("the run's daemon has ended: `movierec up`")
                except (TimeoutError, BlockingIOError):
                    return None
            line, _, self._received = self._received.partition(b"\n")
        found: dict[str, Any] = json.loads(line)
        if "error" in found:
            raise getattr(errors, found["error"])(found["message"])
        return found

    def call_off(self) -> None:
        """Have the daemon end the request, and return when it has; its answers stay."""
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_WR)
        with self._receiving:
            while self._receive(None):
                pass
            self._connection.close()

    def _receive(self, within_s: float | None) -> bool:
        part = b""
        if self._connection.fileno() >= 0:
            self._connection.settimeout(within_s)
            with suppress(ConnectionError):
                part = self._connection.recv(65_536)
        self._received += part
        return bool(part)


class Program:
    """A program that the daemon runs; `stdout` is what it says, errors among it, if it is read."""

    def __init__(self, request: _Request, stdout: IO[str] | None) -> None:
        self.stdout = stdout
        self.pid = int((request.answer() or {})["pid"])
        self._request = request
        self._code: int | None = None

    def poll(self, within_s: float | None = 0.0) -> int | None:
        """Return its exit code, None while it runs. Raises UnavailableError if it was stopped."""
        if self._code is None and (found := self._request.answer(within_s=within_s)):
            self._code = found["code"]
        return self._code

    def wait(self) -> int:
        """Return its exit code when it has ended. Raises UnavailableError if it was stopped."""
        return self.poll(within_s=None) or 0

    def send_signal(self, number: int) -> None:
        """Send it a signal; nothing happens when it has ended."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)


class Client:
    """The processes of one run, as its daemon has them.

    As a context manager it starts the daemon if need be. What it starts is stopped on the way out,
    in the reverse order, whether that is the end of the block, an exception, Ctrl-C, SIGTERM,
    SIGHUP or SIGKILL, unless it was asked to `keep` it; before and after the block nothing is
    started. Several threads may start children at the same time.
    """

    def __init__(self, run: Run, back_off: BackOff | None = None) -> None:
        self.run = run
        self._back_off = back_off or BackOff()
        self._owner = uuid.uuid4().hex
        self._lease: _Request | None = None
        self._handlers: Mapping[signal.Signals, Any] = {}

    def start(self, spec: Spec) -> Process:
        """Start a child, wait until it is ready, and return it; keep one that runs already.

        Raises UnavailableError, with the end of the child's log, when it dies or is not ready in
        time (it is stopped then, if it was started here), and ConfigError when its command cannot
        be run.
        """
        self._refuse_unheld(spec)
        return Process(**self._answer("up", spec=spec.as_json()))

    def call(
        self, spec: Spec, *, within_s: float | None = None, meanwhile: Callable[[], object] = bool
    ) -> int:
        """Run a program to its end, and return its exit code; what it says is in its log.

        `meanwhile` is called now and then. Raises UnavailableError when it is stopped, or has not
        ended in time (it is stopped then), and ConfigError as `start` does.
        """
        began_s, log = time.monotonic(), self.run.log(spec.name)
        with open_log(log) as output, self._running(spec, output, None) as program:
            while (code := program.poll(_POLL_S)) is None:
                meanwhile()
                if within_s is not None and time.monotonic() > began_s + within_s:
                    raise UnavailableError(
                        f"{spec.name} has not ended within {within_s:g} s: see {log}"
                    )
            return code

    @contextmanager
    def stream(self, spec: Spec) -> Iterator[Program]:
        """Run a program for the block, which reads what it says, and waits for its exit code.

        At the end of the block it is stopped if need be, and before that with the other children.
        Several of one name may run at a time. Raises as `start` does.
        """
        reading, writing = os.pipe()
        with (
            open(reading, encoding="utf-8", errors="replace") as stdout,  # noqa: PTH123
            open(writing, "wb") as output,  # noqa: PTH123
            self._running(spec, output.fileno(), stdout) as program,
        ):
            output.close()
            yield program

    def keep(self) -> None:
        """Let what was started outlive the block."""
        self.ask("keep")

    def processes(self) -> tuple[Process, ...]:
        """Return all children, also those that are dead, in the order of their first start.

        None without a daemon, which ends soon after the last of them.
        """
        found = self.ask("status") or {"processes": ()}
        return tuple(Process(**each) for each in found["processes"])

    def running(self) -> tuple[Process, ...]:
        """Return the children that are alive, in the order of their first start."""
        return tuple(process for process in self.processes() if process.running)

    def find(self, name: str) -> Process | None:
        """Return the running child of that name, whoever started it, or None."""
        return next((process for process in self.running() if process.name == name), None)

    def knows(self, name: str) -> bool:
        """Say whether there is a child of that name, alive or dead."""
        return any(process.name == name for process in self.processes())

    def stop(self, name: str) -> None:
        """Stop a child, or a group of them, and everything they started, if there is any."""
        self.ask("down", names=[name])

    def stop_all(self) -> tuple[str, ...]:
        """Stop everything, the last started first, and return the names of what ran."""
        found = self.ask("down", names=None) or {"stopped": ()}
        self._await_end()
        return (*found["stopped"], *former_run.stop(self.run))

    def ask(self, verb: str, **given: Any) -> dict[str, Any] | None:  # noqa: ANN401
        """Return the daemon's answer, None if there is no daemon. Raises what it raised."""
        with suppress(DaemonGoneError):
            return self._answer(verb, **given)
        return None

    def __enter__(self) -> Self:
        """Turn SIGTERM and SIGHUP into an exception that unwinds, as Ctrl-C does."""
        if threading.current_thread() is threading.main_thread():
            self._handlers = {number: signal.getsignal(number) for number in _STOP_SIGNALS}
            for number in (signal.SIGTERM, signal.SIGHUP):
                if self._handlers[number] is not signal.SIG_IGN:  # as nohup has it
                    signal.signal(number, _unwind)
        self.run.create()
        deadline_s = time.monotonic() + _STARTED_WITHIN_S
        while not self._is_held():
            if time.monotonic() > deadline_s:
                raise UnavailableError(
                    f"run {self.run.name}: its daemon does not start: see {self.run.log(NAME)}"
                )
            if self._is_free():
                self._start_daemon()
            else:
                time.sleep(_POLL_S)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop what was started; a second Ctrl-C does not cut that short, it is bounded anyway."""
        arrived: list[int] = []
        for number in self._handlers:
            signal.signal(number, lambda number, _: arrived.append(number))
        lease, self._lease = self._lease, None
        if lease is not None:
            lease.call_off()
        self._await_end()
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        if arrived:
            signal.raise_signal(arrived[0])

    @contextmanager
    def _running(self, spec: Spec, output: int, stdout: IO[str] | None) -> Iterator[Program]:
        self._refuse_unheld(spec)
        request = self._request("run", output, spec=spec.as_json())
        try:
            yield Program(request, stdout)
        finally:
            request.call_off()

    def _refuse_unheld(self, spec: Spec) -> None:
        if self._lease is None:
            raise UnavailableError(f"{spec.name} is not started: the run is being stopped")

    def _answer(self, verb: str, **given: Any) -> dict[str, Any]:  # noqa: ANN401
        request = self._request(verb, **given)
        try:
            return request.answer() or {}
        finally:
            request.call_off()

    def _request(self, verb: str, output: int | None = None, **given: Any) -> _Request:  # noqa: ANN401
        connection = control_socket.connect(self.run.daemon_socket)
        if connection is None:
            raise DaemonGoneError("the run's daemon has ended: `movierec up`")
        message = control_socket.line({"do": verb, "owner": self._owner, **given})
        return _Request(connection, message, output)

    # The daemon itself ------------------------------------------------------------------

    def _is_held(self) -> bool:
        """Begin to hold what is started; False where no daemon answers."""
        with suppress(DaemonGoneError):
            request = self._request("hold")
            request.answer()
            self._lease = request
        return self._lease is not None

    def _start_daemon(self) -> None:
        command = (sys.executable, "-P", "-m", "movierec.stack.processes.daemon")
        settings = json.dumps(asdict(self._back_off))
        with self.run.log(NAME).open("ab") as log:
            subprocess.run(
                (*command, str(self.run.project.root), str(self.run.folder), settings),
                env=child_environment.basic(os.environ),
                cwd=self.run.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                check=False,
            )

    def _is_free(self) -> bool:
        """Say whether nothing of an earlier daemon is left."""
        if not self.run.daemon_lock.exists():
            return True
        with self.run.daemon_lock.open("ab") as lock, suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        return False

    def _await_end(self) -> None:
        """Return when a daemon that is ending has ended, or what a killed one has left."""
        deadline_s = time.monotonic() + _STARTED_WITHIN_S
        while not self._is_free() and time.monotonic() < deadline_s:
            connection = control_socket.connect(self.run.daemon_socket)
            if connection is not None:  # it has others to serve
                connection.close()
                return
            time.sleep(_POLL_S)


def _unwind(number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)
