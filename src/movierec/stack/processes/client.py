"""A command's side of the daemon: starts children and programs, and holds them while it lasts."""

import fcntl
import io
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict
from types import FrameType
from typing import IO, Any, Final, NoReturn, Self

from movierec import errors
from movierec.errors import UnavailableError
from movierec.stack.layout import Run
from movierec.stack.processes import child_environment, former_run
from movierec.stack.processes.spec import BackOff, Process, Program, Spec

NAME: Final = "supervisor"
"""The daemon's name among the parts of a run, and its log's."""

_POLL_S: Final = 0.05
# What a daemon that was killed leaves behind ends within 5 s.
_STARTED_WITHIN_S: Final = 20.0
_STOP_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class DaemonGoneError(UnavailableError):
    """The daemon has hung up."""

    def __init__(self) -> None:
        super().__init__("the run's daemon has ended: `movierec up`")


class _Request:
    """A request under way: its answers come one by one. Raises DaemonGoneError without a daemon."""

    def __init__(self, run: Run, message: Mapping[str, Any]) -> None:
        self._connection = socket.socket(socket.AF_UNIX)
        try:
            folder = os.open(run.folder, os.O_PATH)
            try:
                # An address holds 107 bytes (unix(7)).
                self._connection.connect(f"/proc/self/fd/{folder}/{run.daemon_socket.name}")
            finally:
                os.close(folder)
            self._connection.sendall(json.dumps(message, default=str).encode() + b"\n")
        except (ConnectionError, FileNotFoundError):
            self._connection.close()
            raise DaemonGoneError from None
        self._answers: IO[bytes] = self._connection.makefile("rb")

    def answer(self) -> dict[str, Any]:
        """Return the next answer. Raises what the daemon raised."""
        line = b""
        with suppress(ConnectionError):
            line = self._answers.readline()
        if not line:
            raise DaemonGoneError
        found: dict[str, Any] = json.loads(line)
        if "error" in found:
            raise getattr(errors, found["error"])(found["message"])
        return found

    def fileno(self) -> int:
        """Return what is readable once there are answers, or none any more."""
        return self._connection.fileno()

    def close(self) -> None:
        """Have the daemon end the request, and return when it has; its answers stay."""
        with self._connection, suppress(OSError):
            self._connection.shutdown(socket.SHUT_WR)
            self._answers = io.BytesIO(self._answers.read())


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
        with self._starting("up", spec) as request:
            return Process(**request.answer())

    def call(
        self, spec: Spec, *, within_s: float | None = None, meanwhile: Callable[[], object] = bool
    ) -> int:
        """Run a program to its end, and return its exit code; what it says is in its log.

        `meanwhile` is called now and then. Raises UnavailableError when it is stopped, or has not
        ended in time (it is stopped then), and ConfigError as `start` does.
        """
        with self._starting("run", spec, output="", within_s=within_s) as request:
            request.answer()
            while not select.select((request,), (), (), _POLL_S)[0]:
                meanwhile()
            return int(request.answer()["code"])

    @contextmanager
    def stream(self, spec: Spec) -> Iterator[Program]:
        """Run a program for the block, which reads what it says, and waits for its exit code.

        At the end of the block it is stopped if need be, and before that with the other children.
        Several of one name may run at a time. Raises as `start` does.
        """
        reading, writing = os.pipe()
        pipe = f"/proc/{os.getpid()}/fd/{writing}"
        with (
            os.fdopen(reading, encoding="utf-8", errors="replace") as stdout,
            os.fdopen(writing, "wb") as output,
            self._starting("run", spec, output=pipe, within_s=None) as request,
        ):
            pid = request.answer()["pid"]
            output.close()
            yield Program(pid, stdout, lambda: int(request.answer()["code"]))

    def keep(self) -> None:
        """Let what was started outlive the block."""
        self._ask("keep")

    def processes(self) -> tuple[Process, ...]:
        """Return all children, also those that are dead, in the order of their first start.

        None without a daemon, which ends soon after the last of them.
        """
        return tuple(Process(**each) for each in self._ask("status").get("processes", ()))

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
        self._ask("down", names=[name])

    def stop_all(self) -> tuple[str, ...]:
        """Stop everything, the last started first, and return the names of what ran."""
        stopped = self._ask("down", names=None).get("stopped", ())
        self._await_end()
        return (*stopped, *former_run.stop(self.run))

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
            time.sleep(_POLL_S)
        return self

    def __exit__(self, *_: object) -> None:
        """Stop what was started; a second Ctrl-C does not cut that short, it is bounded anyway."""
        arrived: list[int] = []
        for number in self._handlers:
            signal.signal(number, lambda number, _: arrived.append(number))
        lease, self._lease = self._lease, None
        if lease is not None:
            lease.close()
        self._await_end()
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        if arrived:
            signal.raise_signal(arrived[0])

    @contextmanager
    def _starting(self, verb: str, spec: Spec, **given: Any) -> Iterator[_Request]:  # noqa: ANN401
        if self._lease is None:
            raise UnavailableError(f"{spec.name} is not started: the run is being stopped")
        with closing(self._request(verb, spec=asdict(spec), **given)) as request:
            yield request

    def _ask(self, verb: str, **given: Any) -> dict[str, Any]:  # noqa: ANN401
        """Return the daemon's answer, an empty one without a daemon. Raises what it raised."""
        with suppress(DaemonGoneError), closing(self._request(verb, **given)) as request:
            return request.answer()
        return {}

    def _request(self, verb: str, **given: Any) -> _Request:  # noqa: ANN401
        return _Request(self.run, {"do": verb, "owner": self._owner, **given})

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
        with self.run.daemon_lock.open("ab") as lock, suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        return False

    def _await_end(self) -> None:
        """Return when a daemon that is ending has ended, or what a killed one has left."""
        deadline_s = time.monotonic() + _STARTED_WITHIN_S
        while not (self._is_free() or self._ask("status")) and time.monotonic() < deadline_s:
            time.sleep(_POLL_S)


def _unwind(number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)
