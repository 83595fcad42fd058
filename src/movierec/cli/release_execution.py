"""Step Functions executions of a release: start, restart, follow to the end."""

import os
import time
from collections.abc import Callable
from itertools import count
from typing import Any, Final, Protocol

from movierec import settings
from movierec.aws import step_functions
from movierec.cli import release_format
from movierec.errors import ReleaseError, ReleaseNotFoundError
from movierec.releases import evaluation, state_machine
from movierec.releases.log import Step
from movierec.releases.registry import Releases
from movierec.releases.state_machine import ReleaseState

_POLL_S: Final = 1.0

Running = Callable[[], bool]


class Ticker(Protocol):
    """Port: where a followed release is shown; implemented by `movierec.cli.progress_display`."""

    def add_line(self, text: str) -> None:
        """Add a permanent line."""
        ...

    def update(self, text: str) -> None:
        """Replace the status."""
        ...


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


def follow(
    releases: Releases,
    release_id: str,
    *,
    running: Running,
    ticker: Ticker,
    sleep: Callable[[float], None] = time.sleep,
) -> ReleaseState:
    """Show a release's steps as they are applied, and return its final state.

    Raises ReleaseError when no execution runs any more.
    """
    shown = 0
    while True:
        # Checked before reading: an execution that has ended has written its last step.
        alive = running()
        steps = _steps(releases, release_id)
        for step in steps[shown:]:
            ticker.add_line(release_format.timeline(step))
        shown = len(steps)
        if steps:
            found = state_machine.state_of(steps)
            if found.closed:
                return found
            ticker.update(_status(found, (*steps, releases.log.last(release_id))))
        if not alive:
            raise ReleaseError(
                f"release {release_id}: its state machine has stopped; look at its execution in "
                f"Step Functions, then `movierec release resume {release_id}`"
            )
        sleep(_POLL_S)


def _steps(releases: Releases, release_id: str) -> tuple[Step, ...]:
    try:
        return releases.log.steps(release_id, holds=False)
    except ReleaseNotFoundError:  # not yet: the first step is about to be logged
        return ()


def _status(found: ReleaseState, steps: tuple[Step, ...]) -> str:
    headline = release_format.headline(release_format.summary(found))
    counted = evaluation.sentence(release_format.latest_evaluation(steps))
    return f"{headline}\n  {counted}"
