"""Programs as child processes: what to start, and how its output is had."""

import os
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from movierec.errors import ConfigError
from movierec.stack.layout import Run

_TAIL_LINES: Final = 15
_TAIL_BYTES: Final = 16_384

Probe = Callable[[], bool]

type Stream = Callable[[Spec], AbstractContextManager[subprocess.Popen[str]]]
"""Runs a program whose output, errors among it, the block reads; it ends with the block."""


@dataclass(frozen=True, slots=True)
class Spec:
    """What to start: a name, a command line, its whole environment, and when it is ready.

    `ready` is asked until it says True; None means that being alive is enough. On a stop, the
    child has `grace_s` after SIGTERM before it is killed. Children of one `group` are stopped at
    the same time (nodes of a cluster, of which the last could not leave in order).
    """

    name: str
    command: tuple[str, ...]
    env: Mapping[str, str]
    cwd: Path
    ready: Probe | None = None
    ready_within_s: float = 60.0
    grace_s: float = 10.0
    group: str = ""


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


@contextmanager
def alone(spec: Spec, *, own_session: bool = True) -> Iterator["subprocess.Popen[str]"]:
    """Run a program as `Supervisor.stream` does, without anybody who stops it.

    In this process's own session, a Ctrl-C in the terminal reaches it, too. Raises ConfigError.
    """
    with piped(spec, own_session=own_session) as child:
        try:
            yield child
        finally:
            child.terminate()  # nothing happens when it has ended


def piped(spec: Spec, *, own_session: bool = True) -> "subprocess.Popen[str]":
    """Start a program whose output, errors among it, the caller reads. Raises ConfigError."""
    with _start_errors(spec):
        return subprocess.Popen(
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


def into_log(spec: Spec, run: Run, log: Path) -> "subprocess.Popen[bytes]":
    """Start a program that writes to a log; the last one's is kept beside. Raises ConfigError."""
    with suppress(FileNotFoundError):
        log.replace(log.with_suffix(".log.1"))
    with _start_errors(spec), log.open("wb") as output:
        return subprocess.Popen(
            spec.command,
            env={"TMPDIR": str(run.tmp), **spec.env},
            cwd=spec.cwd,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


@contextmanager
def _start_errors(spec: Spec) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise ConfigError(
            f"cannot start {spec.name} ({spec.command[0]} in {spec.cwd}): {exc.strerror}; "
            "`make setup` puts missing programs in place"
        ) from exc
