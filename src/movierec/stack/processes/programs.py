"""Programs that run to their end while their caller reads what they say."""

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from typing import IO

from movierec.stack.processes.spec import Spec


@dataclass(frozen=True, slots=True)
class Program:
    """A program that runs."""

    pid: int
    stdout: IO[str]
    """What it says, errors among it."""
    wait: Callable[[], int]
    """Returns its exit code when it has ended, once. Raises UnavailableError if it was stopped."""

    def send_signal(self, number: int) -> None:
        """Send it a signal; nothing happens when it has ended."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)


type Stream = Callable[[Spec], AbstractContextManager[Program]]
"""Runs a program whose output the block reads; it ends with the block."""


@contextmanager
def unsupervised(spec: Spec) -> Iterator[Program]:
    """Run a program as `Client.stream` does, without a daemon: a Ctrl-C in the terminal ends it."""
    with subprocess.Popen(
        spec.command,
        env=spec.env,
        cwd=spec.cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    ) as program:
        assert program.stdout is not None  # noqa: S101 (a pipe)
        try:
            yield Program(program.pid, program.stdout, program.wait)
        finally:
            program.kill()
