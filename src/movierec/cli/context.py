"""What every command knows: its run, and how to print."""

import os
from dataclasses import dataclass
from typing import cast

import typer

from movierec import settings
from movierec.stack import run_environment
from movierec.stack.layout import Run

RUN = "MOVIEREC_RUN"
"""Environment variable: which run, where the command line does not say."""


@dataclass(frozen=True, slots=True)
class Context:
    """The run that a command is about, and whether a machine reads the result."""

    run: Run
    as_json: bool
    named: bool = False
    """Whether the run was named on the command line, and not by an environment variable."""

    def enter(self) -> None:
        """Have this process work in the run's environment. Raises UnavailableError.

        A run that is named goes before what the shell has of `movierec env`, of another run maybe.
        """
        if self.named or not os.environ.get(settings.LAKE_BUCKET):
            run_environment.adopt(run_environment.load(self.run))


def of(context: typer.Context) -> Context:
    """Return what the callback put there."""
    return cast("Context", context.obj)
