"""One execution environment: init, invocations, timeout, crash, end.

The thread that calls `init` or `invoke` does the work itself, in one `select`: no other thread is
woken. Between invocations nothing is read; a function that goes on writing then is stopped by its
full pipe, much as AWS freezes it.
"""

import selectors
import shutil
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final
from weakref import WeakSet

from lambda_process_executor import error_responses, platform_log
from lambda_process_executor.error_responses import ErrorResponse, ExecutorError
from lambda_process_executor.function_process import FunctionProcess
from lambda_process_executor.invocation import Invocation, Outcome, Spec
from lambda_process_executor.limit_monitor import Excess, LimitMonitor
from lambda_process_executor.log_buffer import LogBuffer
from lambda_process_executor.platform_log import Phase, Report, Status
from lambda_process_executor.runtime_api import Call, Kind, RuntimeServer

_SUCCESS: Final[Status] = "success"


class Sandbox:
    """An execution environment. `init` once, then `invoke` one at a time, then `stop`.

    `on_close` is called once, when nothing of it runs any more.
    """

    def __init__(self, spec: Spec, on_close: Callable[[], None] = lambda: None) -> None:
        self._spec = spec
        self._on_close = on_close
        self._busy = threading.Lock()
        self._stopping = False
        self._killed = False
        self._closed = False
        _make_empty(spec.scratch)
        self._selector = selectors.DefaultSelector()
        self._runtime = RuntimeServer(self._selector, spec.payload_limit_bytes)
        self._limits = LimitMonitor(spec.memory_mb, spec.disk_mb, spec.scratch)
        self._log_buffer = LogBuffer(time.time)
        self._process: FunctionProcess | None = None
        self._init_duration_ms: float | None = None

    def init(self) -> ErrorResponse | None:
        """Start the function ahead of its first invocation.

        A failure is returned and logged, and the first invocation tries again, as on AWS.
        """
        return self._exclusively(self._init)

    def invoke(self, invocation: Invocation) -> Outcome:
        """Run one invocation to its end, which the function's timeout bounds.

        Raises ExecutorError when the environment has been stopped.
        """
        return self._exclusively(lambda: self._invoke(invocation))

    def stop(self, *, now: bool) -> None:
        """End the environment: at once, or after the invocation that is running."""
        self._stopping = True
        if now:
            self.kill()
        self._close_if_stopping()

    def kill(self) -> None:
        """Have the processes killed, now and from now on, without waiting for their end."""
        # In this order: a launch reads the flag after it has set the process.
        self._killed = True
        process = self._process
        if process is not None:
            process.request_kill()

    def recent_log(self) -> str:
        """Return what has been written since the last invocation's end."""
        return self._log_buffer.recent()

    def _exclusively[T](self, work: Callable[[], T]) -> T:
        try:
            with self._busy:
                if self._closed:
                    raise ExecutorError(
                        f"function {self._spec.function}: its environment has ended"
                    )
                return work()
        finally:
            # Only now: a stop that came a moment ago found the environment busy, and left.
            self._close_if_stopping()

    def _close_if_stopping(self) -> None:
        if not self._stopping or not self._busy.acquire(blocking=False):
            return
        try:
            if not self._closed:
                self._closed = True
                self._end_process()
                self._runtime.close()
                self._selector.close()
                shutil.rmtree(self._spec.scratch, ignore_errors=True)
                self._on_close()
        finally:
            self._busy.release()

    # --- phases -----------------------------------------------------------------------------

    def _init(self) -> ErrorResponse | None:
        started = time.monotonic()
        error = self._initialise(started + self._spec.init_timeout_s, "init", "")
        if error is None:
            self._init_duration_ms = (time.monotonic() - started) * 1000
        return error

    def _invoke(self, invocation: Invocation) -> Outcome:
        started = time.monotonic()
        deadline = started + self._spec.timeout_s
        error = self._ready(deadline, invocation)
        self._log_buffer.write(self._spec.log.start(invocation.request_id, self._spec.version))
        error = error or self._handle(invocation, deadline)
        return self._outcome(invocation, error, (time.monotonic() - started) * 1000)

    def _ready(self, deadline: float, invocation: Invocation) -> ErrorResponse | None:
        if self._process is not None:
            self._serve_ready(0)
            if self._process.exit_code is None:
                return None
            self._end_process()
        return self._initialise(deadline, "invoke", invocation.request_id)

    def _initialise(self, deadline: float, phase: Phase, request_id: str) -> ErrorResponse | None:
        started = time.monotonic()
        spec = self._spec
        self._log_buffer.write(spec.log.init_start(spec.runtime, spec.runtime_arn))
        self._launch()
        self._run_until(deadline, self._is_initialised)
        error = None if self._runtime.is_waiting else self._init_error(request_id)
        if error is not None:
            self._end_process()
        duration_ms = (time.monotonic() - started) * 1000
        status, error_type = (error.status, error.error_type) if error else (_SUCCESS, "")
        self._log_buffer.write(spec.log.init_report(duration_ms, phase, status, error_type))
        return error

    def _is_initialised(self) -> bool:
        return self._runtime.is_waiting or self._runtime.init_error is not None or self._has_ended()

    def _init_error(self, request_id: str) -> ErrorResponse:
        reported = self._runtime.init_error
        if reported is not None:
            return ErrorResponse("error", reported.error_type, reported.body)
        return self._process_error(request_id)

    def _handle(self, invocation: Invocation, deadline: float) -> ErrorResponse | None:
        runtime, limit_bytes = self._runtime, self._spec.payload_limit_bytes
        self._run_until(deadline, lambda: runtime.is_waiting or self._has_ended())
        if runtime.is_waiting:
            runtime.send(invocation, deadline - time.monotonic())
            self._run_until(deadline, lambda: runtime.result is not None or self._has_ended())
        result = runtime.result
        if result is None:
            error: ErrorResponse | None = self._process_error(invocation.request_id)
        elif result.streamed:
            error = error_responses.streamed()
        elif result.size_bytes > limit_bytes:
            # The runtime takes the refusal for a fatal error and exits, here as on AWS.
            error = error_responses.response_too_large(result.size_bytes, limit_bytes)
        else:
            return None
        self._end_process()
        return error

    def _process_error(self, request_id: str) -> ErrorResponse:
        """Tell why there is no answer: memory, storage, an exit, or else the time is up."""
        if self._limits.excess is Excess.MEMORY:
            return error_responses.out_of_memory(request_id)
        if self._limits.excess is Excess.DISK:
            return error_responses.disk_full(request_id, self._spec.disk_mb)
        code = self._process.exit_code if self._process is not None else 1
        if code is not None:
            return error_responses.exited(request_id, code)
        return error_responses.timed_out(
            request_id, self._spec.timeout_s, platform_log.timestamp(time.time())
        )

    def _outcome(
        self, invocation: Invocation, error: ErrorResponse | None, took_ms: float
    ) -> Outcome:
        self._read_output()
        log_buffer, log = self._log_buffer, self._spec.log
        log_buffer.end_output()
        if error is not None and error.notice:
            log_buffer.write(error.notice + "\n")
        result = self._runtime.take_result()
        report = self._report(error, result, took_ms)
        log_buffer.write(log.end(invocation.request_id, report))
        log_buffer.write(log.report(invocation.request_id, report))
        whole, output = log_buffer.take()
        is_error, payload = True, b""
        if error is not None:
            payload = error.payload
        elif result is not None:
            is_error, payload = result.kind is Kind.ERROR, result.body
        return Outcome(payload, is_error, whole, output, report)

    def _report(self, error: ErrorResponse | None, result: Call | None, took_ms: float) -> Report:
        if self._process is not None:
            self._limits.record_peak(self._process.pid)
        init_ms, self._init_duration_ms = self._init_duration_ms, None
        size_mb, used_mb = self._spec.memory_mb, self._limits.used_mb
        if error is None:
            error_type = result.error_type if result is not None else ""
            return Report(took_ms, size_mb, used_mb, init_ms, function_error_type=error_type)
        if error.status == "timeout":
            took_ms = self._spec.timeout_s * 1000
        return Report(took_ms, size_mb, used_mb, init_ms, error.status, error.error_type)

    # --- the loop ---------------------------------------------------------------------------

    def _run_until(self, deadline: float, done: Callable[[], bool]) -> None:
        """Serve everything that happens until `done`, or until the deadline."""
        check_at = time.monotonic() + self._limits.pause_s
        while not done():
            now = time.monotonic()
            if now >= deadline:
                return
            if now >= check_at:
                process = self._process
                if process is not None and self._limits.check(process.subreaper_pid, now):
                    process.request_kill()
                check_at = now + self._limits.pause_s
            self._serve_ready(min(deadline, check_at) - now)

    def _serve_ready(self, timeout_s: float) -> None:
        for key, _ in self._selector.select(timeout_s):
            key.data()

    def _has_ended(self) -> bool:
        return self._process is None or self._process.exit_code is not None

    # --- the process ------------------------------------------------------------------------

    def _launch(self) -> None:
        self._limits.reset()
        self._process = process = FunctionProcess(self._spec.command(self._runtime.address))
        self._selector.register(process.output_fd, selectors.EVENT_READ, self._read_output)
        self._selector.register(process.control, selectors.EVENT_READ, self._read_control)
        if self._killed:
            process.request_kill()

    def _read_output(self) -> None:
        if self._process is None:
            return
        data = self._process.read_output()
        if data:
            self._log_buffer.feed(data)
        elif self._process.exit_code is not None:
            self._unregister(self._process.output_fd)

    def _read_control(self) -> None:
        if self._process is None:
            return
        self._process.read_control()
        if self._process.exit_code is not None:
            self._unregister(self._process.control)

    def _end_process(self) -> None:
        process = self._process
        if process is None:
            return
        self._limits.record_peak(process.pid)
        process.kill()
        self._read_output()
        self._log_buffer.end_output()
        self._unregister(process.output_fd)
        self._unregister(process.control)
        self._runtime.reset()
        self._process = None
        process.close()
        if self._limits.excess is Excess.DISK:
            # On AWS the folder outlasts a reset; full, it would be the end of every later call.
            _make_empty(self._spec.scratch)

    def _unregister(self, file: int | socket.socket) -> None:
        if file in self._selector.get_map():
            self._selector.unregister(file)


def _make_empty(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)


class SandboxRegistry:
    """Every sandbox that is in use. Safe from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sandboxes: WeakSet[Sandbox] = WeakSet()
        self._is_closed = False

    def add(self, sandbox: Sandbox) -> None:
        """Register a sandbox; after `close` it is stopped at once."""
        with self._lock:
            self._sandboxes.add(sandbox)
            is_closed = self._is_closed
        if is_closed:
            sandbox.stop(now=True)

    def close(self) -> None:
        """Stop all sandboxes, now and from now on."""
        with self._lock:
            self._is_closed = True
        self.stop_all()

    def stop_all(self) -> None:
        """Stop the sandboxes that there are. All are killed before any is waited for."""
        with self._lock:
            sandboxes = list(self._sandboxes)
        for sandbox in sandboxes:
            sandbox.kill()
        for sandbox in sandboxes:
            sandbox.stop(now=True)


SHARED: Final = SandboxRegistry()
