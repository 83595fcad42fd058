"""Step Functions executions of a release: start, restart, whether one runs."""

import os
from itertools import count
from typing import Any

from movierec import settings
from movierec.aws import step_functions
from movierec.errors import ReleaseError


def begin(release_id: str, event: dict[str, Any]) -> str:
    """Start the state machine for a release, and return the execution's ARN."""
    return step_functions.start(
        _machine(), event, name=release_id, setting=settings.RELEASE_MACHINE, failed=ReleaseError
    )


def restart_execution(release_id: str) -> str | None:
    """Start another execution of a release; None if one is running.

    The first is named like the release, the second `<id>-2`: of two concurrent restarts, Step
    Functions refuses one.
    """
    for number in count(1):
        name = _named(release_id, number)
        status = _status_of(name)
        if status == "RUNNING":
            return None
        if status is None:
            event = {"release_id": release_id}
            return step_functions.start(
                _machine(), event, name=name, setting=settings.RELEASE_MACHINE, failed=ReleaseError
            )
    raise AssertionError("numbers do not end")


def has_running_execution(release_id: str) -> bool:
    """Return whether an execution of a release is running."""
    for number in count(1):
        status = _status_of(_named(release_id, number))
        if status in ("RUNNING", None):
            return status == "RUNNING"
    raise AssertionError("numbers do not end")


def _status_of(name: str) -> str | None:
    execution = step_functions.arn_of(_machine(), name)
    return step_functions.status(execution, failed=ReleaseError)


def _named(release_id: str, number: int) -> str:
    return release_id if number == 1 else f"{release_id}-{number}"


def _machine() -> str:
    return settings.require(os.environ, settings.RELEASE_MACHINE)
