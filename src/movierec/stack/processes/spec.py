"""What the daemon is asked to start, and what it says of what it has started."""

import os
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, Self

_TAIL_LINES: Final = 15
_TAIL_BYTES: Final = 16_384


@dataclass(frozen=True, slots=True)
class Readiness:
    """When a child is ready: `GET path` is answered with 200, or its port takes a connection.

    Without a port it says so itself: see `movierec.runtime.entrypoint.notify_ready`.
    """

    port: int = 0
    path: str = ""


@dataclass(frozen=True, slots=True)
class Spec:
    """What to start: a name, a command line, its whole environment, and when it is ready.

    Without `ready`, running is enough. On a stop, the child has `grace_s` after SIGTERM before it
    is killed. Children of one `group` are stopped at the same time (nodes of a cluster, of which
    the last could not leave in order). One with `restart` is started again when it dies, once it
    has been ready, unless it ended with the exit code of a ConfigError. The address in `listen` is
    bound by the daemon and handed to the child (socket activation): connections wait while the
    child is restarted.
    """

    name: str
    command: tuple[str, ...]
    env: Mapping[str, str]
    cwd: Path
    ready: Readiness | None = None
    ready_within_s: float = 60.0
    grace_s: float = 10.0
    group: str = ""
    restart: bool = False
    listen: tuple[str, int] | None = None

    @classmethod
    def from_json(cls, given: Mapping[str, Any]) -> Self:
        """Return the spec whose fields came as JSON."""
        return cls(
            **{
                **given,
                "command": tuple(given["command"]),
                "cwd": Path(given["cwd"]),
                "ready": given["ready"] and Readiness(**given["ready"]),
                "listen": given["listen"] and tuple(given["listen"]),
            }
        )


@dataclass(frozen=True, slots=True)
class BackOff:
    """How long a child that goes on dying stays dead before each start.

    Not at all the first time, then a second, and twice as long each time, up to a minute. One that
    has lived for a while begins anew. As Kubernetes does, whose times are ten seconds and five
    minutes:
    https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/
    """

    first_s: float = 1.0
    longest_s: float = 60.0
    forgiven_after_s: float = 60.0

    def deaths(self, before: int, lived_s: float) -> int:
        """Return the number of this death in a row, when the child has lived so long."""
        return 1 if lived_s >= self.forgiven_after_s else before + 1

    def delay_s(self, deaths: int) -> float:
        """Return the pause after so many deaths in a row, the first of them number 1."""
        return 0.0 if deaths <= 1 else min(self.longest_s, self.first_s * 2.0 ** (deaths - 2))


@dataclass(frozen=True, slots=True)
class Process:
    """A child of the daemon."""

    name: str
    group: str
    pid: int
    """Its program's; the last one's when it does not run."""
    started_at_s: float
    """Unix seconds."""
    restarts: int
    """How often it was started again after it had died."""
    running: bool = True


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


def open_log(log: Path) -> IO[bytes]:
    """Open a log for a program to write to; the last one's is kept beside."""
    with suppress(FileNotFoundError):
        log.replace(log.with_suffix(".log.1"))
    return log.open("wb")


def tail(log: str | Path) -> str:
    """Return the last lines of a child's log."""
    try:
        with Path(log).open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES))
            text = file.read().decode("utf-8", "replace")
    except OSError as exc:
        return f"  ({log}: {exc.strerror})"
    lines = text.splitlines()[-_TAIL_LINES:]
    return "\n".join(f"  {line}" for line in lines) or f"  ({log} is empty)"
