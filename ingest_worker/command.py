"""A command that `movierec ingest` runs in a process of its own: what the two say to each other.

The process writes JSON objects to standard output, one a line, each with one key: `progress` (what
is done, and of how much), `note` (a remark for people), and at the end `report` or `error`.
"""

import json
import logging
import os
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from movierec.errors import MovierecError
from movierec.runtime import entrypoint

_PROGRESS_EVERY_S: Final = 0.2


class Voice:
    """Writes to whoever has started this process."""

    def __init__(self) -> None:
        self._next_s = 0.0

    def progress(self, done: int, total: int | None, lines: int) -> None:
        """Say how far the work is, a few times a second at most."""
        now_s = time.monotonic()
        if now_s >= self._next_s:
            self._next_s = now_s + _PROGRESS_EVERY_S
            say("progress", {"done": done, "total": total, "lines": lines})

    def report(self, value: Mapping[str, Any]) -> None:
        """Say the result."""
        say("report", value)


def say(key: str, value: object) -> None:
    """Write one object."""
    sys.stdout.write(json.dumps({key: value}) + "\n")
    sys.stdout.flush()


class _Notes(logging.Handler):
    """Passes warnings on as notes."""

    def emit(self, record: logging.LogRecord) -> None:
        """Say the event, and the error that came with it."""
        what = record.getMessage().replace("_", " ")
        error = getattr(record, "error", "")
        say("note", f"{what}: {error}" if error else what)


def run(work: Callable[[Voice], None]) -> int:
    """Do the work and return the exit code; a MovierecError is said as `error`."""
    root = logging.getLogger()
    root.handlers = [_Notes(logging.WARNING)]
    # kafka-python warns of each connection attempt that fails; our own message says it once.
    logging.getLogger("kafka").setLevel(logging.CRITICAL)
    try:
        work(Voice())
    except MovierecError as exc:
        say("error", str(exc))
        return exc.exit_code
    except BrokenPipeError:
        # Nobody listens any more, and the interpreter would flush to it once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return entrypoint.SIGNALLED + 2
    return 0
