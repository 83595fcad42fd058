"""What a caller is told when the function did not answer, worded as AWS does."""

import json
import signal
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Fault:
    """An invocation or init that failed outside of the handler.

    `payload` is the invocation's JSON answer, `notice` the line for the log (empty: none), and
    `status` and `error_type` are for the REPORT line.
    """

    status: Literal["error", "timeout"]
    error_type: str
    payload: bytes
    notice: str = ""


def _payload(error_type: str, message: str) -> bytes:
    return json.dumps({"errorType": error_type, "errorMessage": message}).encode()


def timed_out(request_id: str, timeout_s: float, timestamp: str) -> Fault:
    """Return the fault of a function that used up its `timeout_s`."""
    said = f"Task timed out after {timeout_s:.2f} seconds"
    return Fault(
        "timeout",
        "Sandbox.Timedout",
        _payload("Sandbox.Timedout", f"RequestId: {request_id} Error: {said}"),
        f"{timestamp} {request_id} {said}\n",
    )


def describe_exit(exit_code: int) -> str:
    """Say how a runtime's process ended, as AWS words it."""
    if exit_code == 0:
        return "Runtime exited without providing a reason"
    if exit_code < 0:
        name = (signal.strsignal(-exit_code) or str(-exit_code)).lower()
        return f"Runtime exited with error: signal: {name}"
    return f"Runtime exited with error: exit status {exit_code}"


def exited(request_id: str, exit_code: int) -> Fault:
    """Return the fault of a runtime whose process ended; negative codes are signals."""
    message = f"RequestId: {request_id} Error: {describe_exit(exit_code)}"
    payload = _payload("Runtime.ExitError", message)
    return Fault("error", "Runtime.ExitError", payload, f"{message}\nRuntime.ExitError")


def out_of_memory(request_id: str) -> Fault:
    """Return the fault of a function that was killed for using more than its memory."""
    message = f"RequestId: {request_id} Error: {describe_exit(-signal.SIGKILL)}"
    payload = _payload("Runtime.OutOfMemory", message)
    return Fault("error", "Runtime.OutOfMemory", payload, f"{message}\nRuntime.OutOfMemory")


def response_too_large(size_bytes: int, limit_bytes: int) -> Fault:
    """Return the fault of an answer over the limit."""
    error_type = "Function.ResponseSizeTooLarge"
    message = (
        f"Response payload size ({size_bytes} bytes) exceeded maximum allowed payload size "
        f"({limit_bytes} bytes)."
    )
    return Fault("error", error_type, _payload(error_type, message), message)


def streamed() -> Fault:
    """Return the fault of an answer in streaming mode, which LocalStack cannot hand on."""
    error_type = "Runtime.StreamingNotSupported"
    message = (
        "The function answered in response streaming mode, which is not supported here: "
        "answer with a buffered response (Lambda-Runtime-Function-Response-Mode unset)."
    )
    return Fault("error", error_type, _payload(error_type, message), message)


def disk_full(request_id: str, limit_mb: int) -> Fault:
    """Return the fault of a function that was killed for filling its temporary folder."""
    error_type = "Runtime.EphemeralStorageFull"
    message = (
        f"RequestId: {request_id} Error: [Errno 28] No space left on device: "
        f"the temporary folder holds more than the {limit_mb} MB of EphemeralStorage"
    )
    return Fault("error", error_type, _payload(error_type, message), f"{message}\n{error_type}")


def init_failed(error_type: str, payload: bytes) -> Fault:
    """Return the fault of a runtime that reported its own init error; `payload` is its report."""
    return Fault("error", error_type, payload)
