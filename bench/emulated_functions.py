"""Lambda functions in the emulator, for benchmarks to invoke."""

import base64
import io
import zipfile
from collections.abc import Mapping
from typing import Any

from movierec.aws.session import client
from movierec.errors import ReleaseError

_ROLE = "arn:aws:iam::000000000000:role/bench"


def create(name: str, code: bytes, **extra: Any) -> None:  # noqa: ANN401  boto3's own
    """Create a function and wait until it can be invoked."""
    client("lambda").create_function(
        **{
            "FunctionName": name,
            "Runtime": "python3.13",
            "Role": _ROLE,
            "Handler": "app.handler",
            "Code": {"ZipFile": code},
            "Timeout": 30,
            "MemorySize": 512,
            **extra,
        }
    )
    wait("function_active_v2", name)


def invoke(name: str, event: bytes = b"null") -> str:
    """Invoke a function and return its log. Raises ReleaseError when the function fails."""
    answer = client("lambda").invoke(FunctionName=name, Payload=event, LogType="Tail")
    body, log = answer["Payload"].read(), base64.b64decode(answer["LogResult"]).decode()
    if answer.get("FunctionError") or b'"statusCode":5' in body.replace(b" ", b""):
        raise ReleaseError(f"{name} failed: {body[:300]!r}; its log:\n{log}")
    return log


def archive(files: Mapping[str, str | bytes]) -> bytes:
    """Return a zip of files by name."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as zipped:
        for name, body in files.items():
            zipped.writestr(name, body)
    return buffer.getvalue()


def wait(waiter: str, function: str) -> None:
    """Wait like one of boto3's waiters, but poll often."""
    aws: Any = client("lambda")  # each waiter has a type of its own
    aws.get_waiter(waiter).wait(
        FunctionName=function, WaiterConfig={"Delay": 0.05, "MaxAttempts": 1000}
    )
