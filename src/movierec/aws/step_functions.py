"""Executions of a Step Functions state machine: start, follow, explain a failure."""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from movierec import settings
from movierec.aws.session import client, translated
from movierec.errors import (
    ConfigError,
    MovierecError,
    TrainingError,
    UnavailableError,
    UsageError,
)

_BY_CODE: Final[Mapping[str, type[MovierecError]]] = {
    "StateMachineDoesNotExist": ConfigError,
    "InvalidArn": ConfigError,
    "ThrottlingException": UnavailableError,
}

# Resolution of a state's duration in the progress output.
_POLL_S: Final = 0.25


@dataclass(frozen=True, slots=True)
class Progressed:
    """A state was entered or left; `failed` if it left by its Catch."""

    state: str
    entered: bool
    failed: bool = False


def start(
    state_machine_arn: str,
    event: Mapping[str, Any],
    *,
    name: str | None = None,
    setting: str = settings.STATE_MACHINE,
    failed: type[MovierecError] = TrainingError,
) -> str:
    """Start an execution, with a name if one is given, and return its ARN.

    Raises ConfigError when there is no such machine (`setting` is the variable that names it),
    UnavailableError, and `failed` when Step Functions refuses.
    """
    what = f"start {state_machine_arn} (check {setting}; `movierec up` makes it)"
    named = {"name": name} if name else {}
    with translated(what, _BY_CODE, failed):
        answer = client("stepfunctions").start_execution(
            stateMachineArn=state_machine_arn, input=json.dumps(event), **named
        )
    return str(answer["executionArn"])


def arn_of(state_machine_arn: str, name: str) -> str:
    """Return the ARN of a state machine's execution.

    https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsstepfunctions.html
    """
    return f"{state_machine_arn.replace(':stateMachine:', ':execution:', 1)}:{name}"


def status(execution_arn: str, *, failed: type[MovierecError] = TrainingError) -> str | None:
    """Return RUNNING, or how an execution ended (SUCCEEDED, FAILED, ...); None without one."""
    by_code = {**_BY_CODE, "ExecutionDoesNotExist": UsageError}
    try:
        return _status(execution_arn, by_code, failed)[0]
    except UsageError:
        return None


def follow(
    execution_arn: str, *, within_s: float, sleep: Callable[[float], None] = time.sleep
) -> Iterator[Progressed | Mapping[str, Any]]:
    """Yield each state as it is entered and left, and at last the execution's output.

    Raises TrainingError with the state's own message when the execution fails, and
    UnavailableError when it has not ended after `within_s` (it goes on by itself).
    """
    seen = 0
    deadline_s = time.monotonic() + within_s
    while True:
        status, output = _status(execution_arn)
        history = _history(execution_arn)
        news = list(progressed(history))
        yield from news[seen:]
        seen = len(news)
        if status == "SUCCEEDED":
            yield output
            return
        if status != "RUNNING":
            raise failure(execution_arn, status, history)
        if time.monotonic() > deadline_s:
            raise UnavailableError(
                f"{execution_arn} has not ended after {within_s:g} s; it goes on by itself, "
                "its state is in Step Functions"
            )
        sleep(_POLL_S)


def _status(
    execution_arn: str,
    by_code: Mapping[str, type[MovierecError]] = _BY_CODE,
    failed: type[MovierecError] = TrainingError,
) -> tuple[str, Mapping[str, Any]]:
    with translated(f"describe {execution_arn}", by_code, failed):
        answer = client("stepfunctions").describe_execution(executionArn=execution_arn)
    return str(answer["status"]), json.loads(answer.get("output") or "{}")


def _history(execution_arn: str) -> list[Mapping[str, Any]]:
    with translated(f"history of {execution_arn}", _BY_CODE, TrainingError):
        pages = client("stepfunctions").get_paginator("get_execution_history")
        return [
            event
            for page in pages.paginate(executionArn=execution_arn)
            for event in page.get("events", ())
        ]


def progressed(history: Sequence[Mapping[str, Any]]) -> Iterator[Progressed]:
    """Yield each state's entry and exit from an execution's history."""
    failed = False
    for event in history:
        kind = str(event.get("type", ""))
        if "stateEnteredEventDetails" in event:
            failed = False
            yield Progressed(event["stateEnteredEventDetails"]["name"], entered=True)
        elif "stateExitedEventDetails" in event:
            yield Progressed(event["stateExitedEventDetails"]["name"], entered=False, failed=failed)
        elif kind.endswith(("Failed", "TimedOut")):
            failed = True
        elif kind.endswith("Succeeded"):  # at another attempt
            failed = False


def failure(execution_arn: str, status: str, history: Sequence[Mapping[str, Any]]) -> MovierecError:
    """Return the error of an execution that ended as `status`, with its last failure's message.

    A UsageError if the function raised one: then the request has to change.
    """
    kind, message = _cause(history)
    if kind == UsageError.__name__:
        return UsageError(f"retraining refused: {message}")
    name = execution_arn.rpartition(":")[2]
    explained = f"{kind}: {message}" if kind else message
    return TrainingError(f"retraining ended as {status}: {explained} (execution {name})")


def _cause(history: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
    """Return the error and message of the last failure in a history.

    A failed Lambda task's cause is the function's error as JSON.
    """
    for event in reversed(history):
        for name, details in event.items():
            if name.endswith("EventDetails") and isinstance(details, dict) and "cause" in details:
                error = str(details.get("error", ""))
                return _message(details["cause"]) or (error, "no cause given")
    return "", "no cause given; see its log group in CloudWatch Logs"


def _message(cause: str) -> tuple[str, str] | None:
    try:
        body = json.loads(cause)
    except ValueError:
        body = cause
    if not isinstance(body, dict):
        return ("", cause) if cause else None
    return str(body.get("errorType", "error")), str(body.get("errorMessage", cause))
