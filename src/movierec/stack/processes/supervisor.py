"""Children of a run: started in a session of their own, awaited, stopped with all they started.

Every child is recorded in `run.json` with its start time, so that a later command finds it again
and a recycled pid is never killed. Every child's environment names its run and its supervisor, so
that a stop also finds what left its parent's session, or what was started in the instant before a
`kill -9`.
"""

import signal
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from types import FrameType, TracebackType
from typing import Any, Final, NoReturn, Self

import psutil

from movierec.errors import UnavailableError
from movierec.stack import run_record
from movierec.stack.layout import Run
from movierec.stack.processes import guard, programs, stopping, trees
from movierec.stack.processes.programs import Probe, Spec, tail
from movierec.stack.run_record import Process

_POLL_S: Final = 0.05
_REAPED_WITHIN_S: Final = 10.0

_STOP_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Supervisor:
    """The processes of one run.

    Used plainly, children outlive it, and another Supervisor of the same run finds them
    (`movierec down`). Used as a context manager, it stops on the way out those that it started
    itself, in the reverse order of their start, whether that is the end of the block, an exception,
    Ctrl-C, SIGTERM or SIGHUP, unless it was told to `keep` them (`movierec up`); should this
    process be killed outright, its guard stops them. From then on nothing is started any more.
    Several threads may start children at the same time.
    """

    def __init__(
        self,
        run: Run,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.run = run
        self._owner = uuid.uuid4().hex
        self._clock = clock
        self._sleep = sleep
        self._started: dict[int, subprocess.Popen[Any]] = {}
        self._handlers: dict[signal.Signals, Any] = {}
        self._guard: subprocess.Popen[bytes] | None = None
        self._spawning = threading.Lock()
        self._closed = False
        self._kept = False

    def start(self, spec: Spec) -> Process:
        """Start a child, wait until it is ready, and return it; keep one that runs already.

        One that died is started in its place, when what it left behind is gone. Raises
        UnavailableError, with the end of the child's log, when it dies or is not ready in time (it
        is stopped then, if it was started here), and ConfigError when its command cannot be run.
        """
        process = self.find(spec.name)
        if process is None:
            self.clear(spec.name)
            process = self._spawn_logging(spec, self._owner)
        try:
            self.wait(process, spec.ready, within_s=spec.ready_within_s)
        except BaseException:
            self.stop_started(spec.name)
            raise
        return process

    def restart(self, spec: Spec) -> Process:
        """Start a dead child again in its place, and wait for nothing.

        It is stopped when the one before would have been, by whoever would have stopped that.
        Raises ConfigError as `start` does.
        """
        self.clear(spec.name)
        former = run_record.load(self.run).find(spec.name)
        return self._spawn_logging(spec, self._owner if former is None else former.owner)

    def call(self, spec: Spec, *, within_s: float) -> int:
        """Run a program to its end, and return its exit code; what it says is in its log.

        It is stopped with the other children. Raises UnavailableError when it is stopped, or has
        not ended in time (it is stopped then), and ConfigError as `start` does.
        """
        process = self._spawn_logging(spec, self._owner)
        deadline_s = self._clock() + within_s
        try:
            while self.is_alive(process):
                if self._clock() > deadline_s:
                    raise UnavailableError(
                        f"{spec.name} has not ended within {within_s:g} s: see {process.log}"
                    )
                self._sleep(_POLL_S)
            return self._exit_code(process)
        finally:
            self.stop_started(spec.name)

    @contextmanager
    def stream(self, spec: Spec) -> Iterator["subprocess.Popen[str]"]:
        """Run a program for the block, which reads what it says, and waits for its exit code.

        At the end of the block it is stopped if need be, and before that with the other children.
        Several of one name may run at a time. Raises UnavailableError when the run is being
        stopped, also while the program runs, and ConfigError as `start` does.
        """
        process, child = self._spawn(spec, self._owner, programs.piped)
        with child:
            try:
                yield child
            finally:
                self._stop([process])
        if self._closed:  # its exit code may say 0 then: another thread has had the real one
            raise UnavailableError(f"{spec.name} was stopped: the run is being stopped")

    def wait(self, process: Process, ready: Probe | None, *, within_s: float) -> None:
        """Return when the probe says True. Raises UnavailableError as `start` does."""
        deadline_s = self._clock() + within_s
        while True:
            if not self.is_alive(process):
                raise UnavailableError(
                    f"{self._obituary(process)}; its log ends:\n{tail(process.log)}"
                )
            if ready is None or ready():
                return
            if self._clock() > deadline_s:
                raise UnavailableError(
                    f"{process.name} is not ready after {within_s:g} s; its log ends:\n"
                    f"{tail(process.log)}"
                )
            self._sleep(_POLL_S)

    def join(self, process: Process, meanwhile: Callable[[], object]) -> None:
        """Return when a child has ended by itself, calling `meanwhile` now and then.

        Raises UnavailableError, with the end of its log, unless it ended with exit code 0.
        """
        while self.is_alive(process):
            meanwhile()
            self._sleep(_POLL_S)
        child = self._started.get(process.pid)
        if child is None or child.wait() != 0:
            raise UnavailableError(f"{self._obituary(process)}; its log ends:\n{tail(process.log)}")

    def keep(self) -> None:
        """Let the children outlive this process: the end of the block stops nothing any more."""
        self._kept = True

    def is_alive(self, process: Process) -> bool:
        """Say whether the process runs, whoever started it."""
        child = self._started.get(process.pid)
        return trees.handle(process) is not None if child is None else child.poll() is None

    def find(self, name: str) -> Process | None:
        """Return the running child of that name, whoever started it, or None."""
        return next((p for p in self.running() if p.name == name), None)

    def running(self) -> tuple[Process, ...]:
        """Return the children that are alive, in the order of their start."""
        return tuple(filter(self.is_alive, run_record.load(self.run).processes))

    def clear(self, name: str) -> None:
        """End what a dead child left behind: a server of its own, say, that holds its port."""
        dead = run_record.load(self.run).find(name)
        if dead is not None and not self.is_alive(dead):
            stopping.end(self.run, [dead])
            self._started.pop(dead.pid, None)

    def stop(self, name: str) -> None:
        """Stop a child, or a group of them, and everything they started, if there is any."""
        self._stop([p for p in run_record.load(self.run).processes if name in (p.name, p.group)])

    def stop_started(self, name: str) -> None:
        """Stop a child, or a group of them, as `stop` does, but only what was started here."""
        processes = run_record.load(self.run).processes
        mine = (p for p in processes if p.owner == self._owner)
        self._stop([p for p in mine if name in (p.name, p.group)])

    def stop_all(self) -> tuple[str, ...]:
        """Stop every child, the last started first, and return the names of those that ran.

        Processes that carry the run's mark and are in no record go too.
        """
        ran = [process.name for process in self.running()]
        stopping.stop_in_order(self.run)
        self._reap()
        return tuple(reversed(ran))

    def rss_mb(self) -> Mapping[str, float]:
        """Return the resident memory of each child and its descendants, in MiB.

        A sum over processes: pages that they share count once for each.
        """
        return {p.name: trees.rss_bytes(p) / 2**20 for p in self.running()}

    def __enter__(self) -> Self:
        """Turn SIGTERM and SIGHUP into an exception that unwinds, as Ctrl-C does."""
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGHUP):
                self._handlers[number] = signal.signal(number, _unwind)
        self._guard = guard.watch(self.run, self._owner)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop what was started; a second Ctrl-C does not cut that short, it is bounded anyway."""
        with _deferred_signals():
            if not self._kept:
                self._close()
            if self._guard is not None:
                guard.dismiss(self._guard)
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._handlers.clear()

    def _close(self) -> None:
        with self._spawning:  # a thread that is about to start a child does it before, or never
            self._closed = True
        stopping.stop_in_order(self.run, self._owner)
        self._reap()

    def _spawn_logging(self, spec: Spec, owner: str) -> Process:
        def start(marked: Spec) -> "subprocess.Popen[bytes]":
            return programs.into_log(marked, self.run, self.run.log(spec.name))

        return self._spawn(spec, owner, start)[0]

    def _spawn[Child: subprocess.Popen[Any]](
        self, spec: Spec, owner: str, start: Callable[[Spec], Child]
    ) -> tuple[Process, Child]:
        self.run.create()
        mark = stopping.mark(self.run, owner, spec.name)
        # A Ctrl-C between the start and the record would leave a child that nobody knows.
        with _deferred_signals(), self._spawning:
            if self._closed:
                raise UnavailableError(f"{spec.name} is not started: the run is being stopped")
            child = start(replace(spec, env={**spec.env, trees.MARK: mark}))
            self._started[child.pid] = child
            former = run_record.load(self.run).find(spec.name)
            process = Process(
                name=spec.name,
                group=spec.group or spec.name,
                pid=child.pid,
                created_s=_created_s(child.pid),
                log=str(self.run.log(spec.name)),
                command=spec.command,
                grace_s=spec.grace_s,
                owner=owner,
                restarts=former.restarts + 1 if former is not None else 0,
            )
            run_record.update(self.run, lambda before: before.with_process(process))
        return process, child

    def _stop(self, processes: list[Process]) -> None:
        stopping.stop(self.run, processes)
        for process in processes:
            child = self._started.pop(process.pid, None)
            if child is not None:
                child.wait(_REAPED_WITHIN_S)

    def _reap(self) -> None:
        for child in list(self._started.values()):
            child.poll()

    def _exit_code(self, process: Process) -> int:
        child = self._started.get(process.pid)
        # Of a child that was stopped, another thread may have had the exit code.
        if child is None or self._closed:
            raise UnavailableError(f"{process.name} was stopped: see {process.log}")
        return child.wait()

    def _obituary(self, process: Process) -> str:
        child = self._started.get(process.pid)
        code = child.poll() if child is not None else None
        how = "ended" if code is None else f"ended with exit code {code}"
        if code is not None and code < 0:
            how = f"was killed by {signal.Signals(-code).name}"
        return f"{process.name} {how} ({' '.join(process.command)})"


def _created_s(pid: int) -> float:
    try:
        return trees.created_s(pid)
    except psutil.Error:  # gone within microseconds: nothing will be found under this start time
        return 0.0


def _unwind(number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)


@contextmanager
def _deferred_signals() -> Iterator[None]:
    """Hold back SIGINT, SIGTERM and SIGHUP until the block is over.

    By handlers, not by a signal mask: a mask would be inherited by the child started inside.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    arrived: list[int] = []
    before = {n: signal.signal(n, lambda number, _: arrived.append(number)) for n in _STOP_SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if arrived:
        signal.raise_signal(arrived[0])
