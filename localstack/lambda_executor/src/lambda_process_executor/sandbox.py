"""One execution environment: a function's process, its Runtime API, its log.

The thread that calls `init` or `invoke` does the work itself: it waits in one `select` on the
runtime's connections, the function's output and the process's end, until what it waits for has
come or the deadline has. No other thread is woken, so a warm invocation costs two messages on
loopback. Between invocations nothing is read; a function that goes on writing then is stopped by
its full pipe, much as AWS freezes it.
"""

import codecs
import selectors
import shutil
import socket
import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Final

from lambda_process_executor import disk, faults, memory, platform_log
from lambda_process_executor.faults import Fault
from lambda_process_executor.invocation import Invocation, Outcome, Spec
from lambda_process_executor.platform_log import Phase, Report
from lambda_process_executor.process import FunctionProcess
from lambda_process_executor.runtime_api import Call, Connection, Kind, event_headers

# Short invocations never pay for a look at /proc; a function needs longer than this to allocate
# memory that would matter to the machine.
MEMORY_CHECK_S: Final = 0.1

# A look at a large folder takes its time: at most this share of it goes into looking.
DISK_CHECK_SHARE: Final = 0.02

_MIB: Final = 1024 * 1024


class Sandbox:
    """An execution environment. `init` once, then `invoke` one at a time, then `stop`."""

    def __init__(self, spec: Spec) -> None:
        self._spec = spec
        self._busy = threading.Lock()
        self._stopping = False
        self._selector = selectors.DefaultSelector()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._selector.register(self._listener, selectors.EVENT_READ, self._accept)
        host, port = self._listener.getsockname()
        self._address = f"{host}:{port}"
        self._process: FunctionProcess | None = None
        self._connections: set[Connection] = set()
        self._waiting: Connection | None = None
        self._init_error: Call | None = None
        self._request_id = ""
        self._result: Call | None = None
        self._log: list[str] = []
        self._output: list[str] = []
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._peak_bytes = 0
        self._over_memory = False
        self._over_disk = False
        self._disk_check_at = 0.0
        self._init_duration_ms: float | None = None

    def init(self) -> Fault | None:
        """Start the function ahead of its first invocation.

        A failure is returned and logged, and the first invocation tries again, as on AWS.
        """
        with self._busy:
            started = time.monotonic()
            fault = self._initialise(started + self._spec.init_timeout_s, "init", "")
            if fault is None:
                self._init_duration_ms = (time.monotonic() - started) * 1000
            if self._stopping:
                self._close()
            return fault

    def invoke(self, invocation: Invocation) -> Outcome:
        """Run one invocation to its end, which the function's timeout bounds."""
        with self._busy:
            started = time.monotonic()
            deadline = started + self._spec.timeout_s
            fault = self._ready(deadline, invocation)
            self._write(self._spec.log.start(invocation.request_id, self._spec.version))
            fault = fault or self._handle(invocation, deadline)
            outcome = self._conclude(invocation, fault, (time.monotonic() - started) * 1000)
            if self._stopping:
                self._close()
            return outcome

    def stop(self, *, now: bool) -> None:
        """End the environment: at once, or after the invocation that is running."""
        self._stopping = True
        if self._busy.acquire(blocking=False):
            try:
                self._close()
            finally:
                self._busy.release()
        elif now and self._process is not None:
            self._process.let_go()

    @property
    def warden_pid(self) -> int | None:
        """The process above all of the function's, while there is one."""
        return self._process.warden_pid if self._process is not None else None

    def recent_log(self) -> str:
        """Return what has been written since the last invocation's end."""
        return "".join(self._log)

    # --- phases -----------------------------------------------------------------------------

    def _ready(self, deadline: float, invocation: Invocation) -> Fault | None:
        if self._process is not None:
            self._selector_turn(0)
            if self._process.exit_code is None:
                return None
            self._end_process()
        return self._initialise(deadline, "invoke", invocation.request_id)

    def _initialise(self, deadline: float, phase: Phase, request_id: str) -> Fault | None:
        started = time.monotonic()
        self._write(self._spec.log.init_start(self._spec.runtime))
        self._launch()
        self._pump(deadline, self._initialised)
        if self._waiting is not None:
            return None
        fault = self._init_fault(request_id)
        self._end_process()
        duration_ms = (time.monotonic() - started) * 1000
        self._write(self._spec.log.init_report(duration_ms, phase, fault.status, fault.error_type))
        return fault

    def _initialised(self) -> bool:
        return self._waiting is not None or self._init_error is not None or self._process_ended()

    def _init_fault(self, request_id: str) -> Fault:
        if self._init_error is not None:
            return faults.init_failed(_error_type(self._init_error), self._init_error.body)
        return self._process_fault(request_id)

    def _handle(self, invocation: Invocation, deadline: float) -> Fault | None:
        self._request_id, self._result = invocation.request_id, None
        self._pump(deadline, lambda: self._waiting is not None or self._process_ended())
        if self._waiting is not None:
            self._send(invocation, deadline)
            self._pump(deadline, lambda: self._result is not None or self._process_ended())
        if self._result is None:
            fault = self._process_fault(invocation.request_id)
            self._end_process()
            return fault
        if self._result.streamed:
            self._end_process()
            return faults.streamed()
        if self._result.size_bytes > self._spec.payload_limit_bytes:
            # The runtime takes the refusal for a fatal error and exits, here as on AWS.
            self._end_process()
            return faults.response_too_large(
                self._result.size_bytes, self._spec.payload_limit_bytes
            )
        return None

    def _send(self, invocation: Invocation, deadline: float) -> None:
        left_s = deadline - time.monotonic()
        headers = event_headers(
            request_id=invocation.request_id,
            arn=invocation.arn,
            trace_id=invocation.trace_id,
            deadline_epoch_ms=round((time.time() + left_s) * 1000),
            client_context=invocation.client_context,
        )
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.answer(HTTPStatus.OK, headers, invocation.payload)

    def _process_fault(self, request_id: str) -> Fault:
        """Tell why there is no answer: memory, an exit, or else the time is up."""
        if self._over_memory:
            return faults.out_of_memory(request_id)
        if self._over_disk:
            return faults.disk_full(request_id, self._spec.disk_mb)
        code = self._process.exit_code if self._process is not None else 1
        if code is not None:
            return faults.exited(request_id, code)
        return faults.timed_out(
            request_id, self._spec.timeout_s, platform_log.timestamp(time.time())
        )

    def _conclude(self, invocation: Invocation, fault: Fault | None, took_ms: float) -> Outcome:
        self._take_output()
        if fault is not None and fault.notice:
            self._write(fault.notice + "\n")
        report = self._report(fault, took_ms)
        self._write(self._spec.log.end(invocation.request_id))
        self._write(self._spec.log.report(invocation.request_id, report))
        log, output = "".join(self._log), "".join(self._output)
        self._log, self._output = [], []
        result, self._result, self._request_id = self._result, None, ""
        if fault is not None or result is None:
            payload = fault.payload if fault is not None else b""
            return Outcome(payload, is_error=True, log=log, output=output, report=report)
        is_error = result.kind is Kind.ERROR
        return Outcome(result.body, is_error=is_error, log=log, output=output, report=report)

    def _report(self, fault: Fault | None, took_ms: float) -> Report:
        self._note_memory()
        limit_bytes = self._spec.memory_mb * _MIB
        init_ms, self._init_duration_ms = self._init_duration_ms, None
        # What is mapped from files counts into the peak, not against the limit: so it is capped.
        used_mb = -(-min(self._peak_bytes, limit_bytes) // _MIB)
        if fault is None:
            error_type = _function_error_type(self._result)
            return Report(
                took_ms, self._spec.memory_mb, used_mb, init_ms, function_error_type=error_type
            )
        if fault.status == "timeout":
            took_ms = self._spec.timeout_s * 1000
        return Report(
            took_ms, self._spec.memory_mb, used_mb, init_ms, fault.status, fault.error_type
        )

    # --- the loop ---------------------------------------------------------------------------

    def _pump(self, deadline: float, done: Callable[[], bool]) -> None:
        """Serve everything that happens until `done`, or until the deadline."""
        check_at = time.monotonic() + MEMORY_CHECK_S
        while not done():
            now = time.monotonic()
            if now >= deadline:
                return
            if now >= check_at:
                self._guard_memory()
                self._guard_disk(now)
                check_at = now + MEMORY_CHECK_S
            self._selector_turn(min(deadline, check_at) - now)

    def _selector_turn(self, timeout_s: float) -> None:
        for key, _ in self._selector.select(timeout_s):
            key.data()

    def _process_ended(self) -> bool:
        return self._process is None or self._process.exit_code is not None

    def _accept(self) -> None:
        sock, _ = self._listener.accept()
        connection = Connection(sock, self._spec.payload_limit_bytes)
        self._connections.add(connection)
        self._selector.register(sock, selectors.EVENT_READ, lambda: self._serve(connection))

    def _serve(self, connection: Connection) -> None:
        sock = connection.sock
        fd = sock.fileno()
        call = connection.receive()
        if call is not None:
            self._answer(connection, call)
        if connection.closed:
            self._selector.unregister(fd)
            self._connections.discard(connection)
            if self._waiting is connection:
                self._waiting = None

    def _answer(self, connection: Connection, call: Call) -> None:
        match call.kind:
            case Kind.NEXT:
                self._waiting = connection
            case Kind.INIT_ERROR:
                self._init_error = call
                connection.accept()
            case Kind.RESPONSE | Kind.ERROR:
                self._take_result(connection, call)
            case Kind.UNKNOWN:
                connection.refuse(HTTPStatus.NOT_FOUND, "NotFound", "no such path")

    def _take_result(self, connection: Connection, call: Call) -> None:
        if call.request_id != self._request_id or self._result is not None:
            connection.refuse(HTTPStatus.BAD_REQUEST, "InvalidRequestID", "Invalid request ID")
            return
        self._result = call
        if call.streamed:
            connection.refuse(
                HTTPStatus.BAD_REQUEST, "StreamingNotSupported", "answer with a buffered response"
            )
        elif call.size_bytes > self._spec.payload_limit_bytes:
            connection.refuse(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "RequestEntityTooLarge", "answer too large"
            )
        else:
            connection.accept()

    # --- the process ------------------------------------------------------------------------

    def _launch(self) -> None:
        self._init_error, self._over_memory, self._peak_bytes = None, False, 0
        self._over_disk = False
        self._clear_scratch()
        self._process = process = FunctionProcess(self._spec.command(self._address))
        self._selector.register(process.output_fd, selectors.EVENT_READ, self._take_output)
        self._selector.register(process.control, selectors.EVENT_READ, self._take_control)

    def _take_output(self) -> None:
        if self._process is None:
            return
        data = self._process.take_output()
        if data:
            text = self._decoder.decode(data)
            self._log.append(text)
            self._output.append(text)
        elif self._process.exit_code is not None:
            self._forget(self._process.output_fd)

    def _take_control(self) -> None:
        if self._process is None:
            return
        self._process.take_control()
        if self._process.exit_code is not None:
            self._forget(self._process.control)

    def _end_process(self) -> None:
        if self._process is None:
            return
        self._note_memory()
        self._process.kill()
        self._take_output()
        self._forget(self._process.output_fd)
        self._forget(self._process.control)
        for connection in self._connections:
            self._forget(connection.sock)
            connection.close()
        self._connections.clear()
        self._waiting = None
        self._process.close()
        self._process = None

    def _forget(self, file: int | socket.socket) -> None:
        if file in self._selector.get_map():
            self._selector.unregister(file)

    def _guard_memory(self) -> None:
        if self._process is None:
            return
        usage = memory.usage_below(self._process.warden_pid)
        self._peak_bytes = max(self._peak_bytes, usage.peak_bytes)
        if usage.held_bytes > self._spec.memory_mb * _MIB:
            self._over_memory = True
            self._peak_bytes = max(self._peak_bytes, usage.held_bytes)
            self._process.let_go()

    def _guard_disk(self, now: float) -> None:
        if self._process is None or now < self._disk_check_at:
            return
        used_bytes = disk.used_bytes(self._spec.scratch)
        looked_s = time.monotonic() - now
        self._disk_check_at = now + looked_s / DISK_CHECK_SHARE
        if used_bytes > self._spec.disk_mb * _MIB:
            self._over_disk = True
            self._process.let_go()

    def _note_memory(self) -> None:
        if self._process is not None and self._process.pid is not None:
            usage = memory.usage_of(self._process.pid)
            self._peak_bytes = max(self._peak_bytes, usage.peak_bytes)

    # --- the log, the folder, the end -----------------------------------------------------------

    def _write(self, text: str) -> None:
        if not text:
            return
        if self._log and not self._log[-1].endswith("\n"):
            self._log.append("\n")
        self._log.append(text)

    def _clear_scratch(self) -> None:
        shutil.rmtree(self._spec.scratch, ignore_errors=True)
        self._spec.scratch.mkdir(parents=True)

    def _close(self) -> None:
        self._end_process()
        self._selector.close()
        self._listener.close()
        shutil.rmtree(self._spec.scratch, ignore_errors=True)


def _error_type(call: Call) -> str:
    """Return the type that a runtime gave of an error, or what Lambda says when it gave none."""
    return call.error_type or "Runtime.Unknown"


def _function_error_type(result: Call | None) -> str:
    return _error_type(result) if result is not None and result.kind is Kind.ERROR else ""
