"""Errors of the platform, for a function that did not answer; worded as AWS does."""

import json
import signal
from dataclasses import dataclass
from typing import Literal


class ExecutorError(Exception):
    """A function cannot be run here. The message says why, and what to do."""


@dataclass(frozen=True, slots=True)
class ErrorResponse:
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


def _ended(request_id: str, error_type: str, reason: str) -> ErrorResponse:
    message = f"RequestId: {request_id} Error: {reason}"
    payload = _payload(error_type, message)
    return ErrorResponse("error", error_type, payload, f"{message}\n{error_type}")


def _refused(error_type: str, message: str) -> ErrorResponse:
    return ErrorResponse("error", error_type, _payload(error_type, message), message)


def timed_out(request_id: str, timeout_s: float, timestamp: str) -> ErrorResponse:
    """Return the error of a function that used up its `timeout_s`."""
    text = f"Task timed out after {timeout_s:.2f} seconds"
    return ErrorResponse(
        "timeout",
        "Sandbox.Timedout",
        _payload("Sandbox.Timedout", f"RequestId: {request_id} Error: {text}"),
        f"{timestamp} {request_id} {text}\n",
    )


def describe_exit(exit_code: int) -> str:
    """Say how a runtime's process ended, as AWS words it."""
    if exit_code == 0:
        return "Runtime exited without providing a reason"
    if exit_code < 0:
        name = (signal.strsignal(-exit_code) or str(-exit_code)).lower()
        return f"Runtime exited with error: signal: {name}"
    return f"Runtime exited with error: exit status {exit_code}"


def exited(request_id: str, exit_code: int) -> ErrorResponse:
    """Return the error of a runtime whose process ended; negative codes are signals."""
    return _ended(request_id, "Runtime.ExitError", describe_exit(exit_code))


def out_of_memory(request_id: str) -> ErrorResponse:
    """Return the error of a function that was killed for using more than its memory."""
    return _ended(request_id, "Runtime.OutOfMemory", describe_exit(-signal.SIGKILL))


def response_too_large(size_bytes: int, limit_bytes: int) -> ErrorResponse:
    """Return the error of an answer over the limit."""
    return _refused(
        "Function.ResponseSizeTooLarge",
        f"Response payload size ({size_bytes} bytes) exceeded maximum allowed payload size "
        f"({limit_bytes} bytes).",
    )


def streamed() -> ErrorResponse:
    """Return the error of an answer in streaming mode, which LocalStack cannot hand on."""
    return _refused(
        "Runtime.StreamingNotSupported",
        "The function answered in response streaming mode, which is not supported here: "
        "answer with a buffered response (Lambda-Runtime-Function-Response-Mode unset).",
    )


def disk_full(request_id: str, limit_mb: int) -> ErrorResponse:
    """Return the error of a function that was killed for filling its temporary folder."""
    reason = (
        "[Errno 28] No space left on device: "
        f"the temporary folder holds more than the {limit_mb} MB of EphemeralStorage"
    )
    return _ended(request_id, "Runtime.EphemeralStorageFull", reason)
