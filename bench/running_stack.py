"""A whole stack with a model and live traffic, in a run of its own, for as long as it is needed."""

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from movierec.runtime import entrypoint
from movierec.stack.layout import Run, find_project

# A demo from a cold start, on a machine that does other things too.
_WITHIN_S = 600.0
_STOPPED_WITHIN_S = 120.0
_POLL_S = 0.2


@dataclass(frozen=True, slots=True)
class Stack:
    """A demo that has written its summary, and still runs."""

    run: Run
    summary: dict[str, Any]
    process: "subprocess.Popen[bytes]"


def command(run: Run, *arguments: str) -> list[str]:
    """Return the command line of `movierec` for a run."""
    return [sys.executable, "-m", "movierec.cli.main", "--run", run.name, *arguments]


@contextmanager
def playing(
    *arguments: str, env: Mapping[str, str] | None = None, within_s: float = _WITHIN_S
) -> Iterator[Stack]:
    """Play a demo with the arguments of `movierec demo`, hold it, and stop it by Ctrl-C.

    `env` is added to this process's environment: what releases go by is set when a stack comes up.
    Raises RuntimeError when it ends by itself, and TimeoutError when it takes more than `within_s`.
    """
    entrypoint.default_signals_in_children()
    run = find_project({}, Path(__file__).parent).run(f"played-{uuid.uuid4().hex[:8]}")
    process = subprocess.Popen(
        command(run, "demo", *arguments),
        cwd=run.project.root,
        env={**os.environ, **(env or {})},
    )
    try:
        yield Stack(run, _summary(run, process, within_s), process)
        stop(process)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    subprocess.run(command(run, "down", "--wipe"), check=True)


def stop(process: "subprocess.Popen[bytes]") -> int:
    """Press Ctrl-C, and return the exit code."""
    process.send_signal(signal.SIGINT)
    return process.wait(_STOPPED_WITHIN_S)


def _summary(run: Run, process: "subprocess.Popen[bytes]", within_s: float) -> dict[str, Any]:
    path = run.project.build / f"demo-summary-{run.name}.json"
    deadline_s = time.monotonic() + within_s
    while not path.exists():
        if process.poll() is not None:
            raise RuntimeError(f"the demo ended with {process.returncode}; logs: {run.logs}")
        if time.monotonic() > deadline_s:
            raise TimeoutError(f"no summary after {within_s:g} s; logs: {run.logs}")
        time.sleep(_POLL_S)
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    path.unlink()
    return found
