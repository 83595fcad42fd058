"""Run a deployable's code in a process of its own, and show its progress.

The process writes JSON objects to standard output, one a line, each with one key: `progress`,
`note` (a remark for people), and at the end `report` or `error`.
"""

import json
import os
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from movierec.cli import progress_display
from movierec.errors import MovierecError
from movierec.stack.layout import Project
from movierec.stack.progress import Step


class ProcessError(MovierecError):
    """A deployable's code failed, with its own message and exit code."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def execute(
    project: Project,
    module: str,
    arguments: Sequence[str],
    name: str,
    show: Callable[[Step, Mapping[str, Any]], None],
) -> Mapping[str, Any]:
    """Run a module to its end and return its report; `show` its progress. Raises MovierecError."""
    # -P: the user's folder, in which the file is, must not be searched for modules.
    command = [str(project.python), "-P", "-m", module, *arguments]
    env = {**os.environ, "PYTHONPATH": str(project.root)}
    with progress_display.progress() as progress, progress.step(name) as step:
        with _started(command, env) as process:
            said = [_heard(step, json.loads(line), show) for line in process.stdout or ()]
        last = said[-1] if said else {}
        if "error" in last:
            raise ProcessError(last["error"], process.returncode)
        if process.returncode or "report" not in last:
            raise ProcessError(
                f"{' '.join(command[3:])} ended with code {process.returncode} before its end",
                max(process.returncode, 1),
            )
    found: Mapping[str, Any] = last["report"]
    return found


@contextmanager
def _started(command: Sequence[str], env: Mapping[str, str]) -> Iterator[subprocess.Popen[str]]:
    """Run a program during the block, and wait for its end after it."""
    try:
        process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True)
    except OSError as exc:
        raise ProcessError(f"{Path(command[0])}: {exc.strerror}; run `make setup`", 1) from exc
    with process:
        yield process


def _heard(
    step: Step, said: dict[str, Any], show: Callable[[Step, Mapping[str, Any]], None]
) -> dict[str, Any]:
    """Show what the process says; return it."""
    if done := said.get("progress"):
        show(step, done)
    if note := said.get("note"):
        progress_display.print_note(note)
    return said
