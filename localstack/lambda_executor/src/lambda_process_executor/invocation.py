"""Values of a sandbox: its specification, an invocation, the outcome."""

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lambda_process_executor.function_process import Command
from lambda_process_executor.log_buffer import Log
from lambda_process_executor.platform_log import PlatformLog, Report

# AWS: "The Init phase is limited to 10 seconds"; then it is tried again under the function's
# own timeout, at the first invocation.
INIT_TIMEOUT_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Spec:
    """What a sandbox runs. `command` makes the process's command from the Runtime API's address.

    `scratch` is the sandbox's own folder, its /tmp, made by it and removed with it.
    `payload_limit_bytes` bounds an answer, `disk_mb` what is in `scratch`.
    """

    function: str
    version: str
    runtime: str
    memory_mb: int
    timeout_s: float
    payload_limit_bytes: int
    scratch: Path
    command: Callable[[str], Command]
    log: PlatformLog
    runtime_arn: str = ""
    disk_mb: int = 512
    init_timeout_s: float = INIT_TIMEOUT_S


@dataclass(frozen=True, slots=True)
class Invocation:
    """One event for the function; `arn` is the one that the caller used.

    `client_context` is the JSON that the caller sent along, if any.
    """

    request_id: str
    arn: str
    payload: bytes
    trace_id: str = ""
    client_context: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an invocation: the answer, the whole log, and what it took.

    `output` is the part of the log that the function itself wrote.
    """

    payload: bytes
    is_error: bool
    log: Log
    output: str
    report: Report


def client_context(given: str | None, *, is_event: bool) -> str:
    """Return a client context as the Runtime API hands it on: one line of JSON, or nothing.

    `given` is the header X-Amz-Client-Context, base64 of JSON. Lambda passes it on for synchronous
    invocations only; what cannot be read is dropped.
    """
    if not given or is_event:
        return ""
    try:
        return json.dumps(json.loads(base64.b64decode(given)))
    except ValueError:
        return ""
