"""Programs that run to their end while their caller reads what they say."""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import IO, Protocol

from movierec.errors import ConfigError
from movierec.stack.processes.spec import Spec


class Program(Protocol):
    """A program that runs."""

    @property
    def stdout(self) -> IO[str] | None:
        """What it says, errors among it."""
        ...

    def wait(self) -> int:
        """Return its exit code when it has ended. Raises UnavailableError if it was stopped."""
        ...

    def send_signal(self, number: int, /) -> None:
        """Send it a signal; nothing happens when it has ended."""
        ...


type Stream = Callable[[Spec], AbstractContextManager[Program]]
"""Runs a program whose output the block reads; it ends with the block."""


@contextmanager
def unsupervised(spec: Spec, *, own_session: bool = True) -> Iterator["subprocess.Popen[str]"]:
    """Run a program as `Client.stream` does, without a daemon that stops it.

    In this process's own session, a Ctrl-C in the terminal reaches it, too. Raises ConfigError.
    """
    try:
        program = subprocess.Popen(
            spec.command,
            env=spec.env,
            cwd=spec.cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
            start_new_session=own_session,
        )
    except OSError as exc:
        raise ConfigError(spec.not_started(exc.strerror or str(exc))) from exc
    with program:
        try:
            yield program
        finally:
            program.terminate()
            with suppress(subprocess.TimeoutExpired):
                program.wait(spec.grace_s)
            program.kill()
