"""Follow a release to its end, and show its steps."""

import time
from collections.abc import Callable
from typing import Final, Protocol

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
