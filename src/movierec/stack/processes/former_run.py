"""Stops what a version without a daemon has started: it wrote its processes into `run.json`.

For runs of before only. Such a process is known by pid and start time, and what it started by its
environment, which names the run's folder.
"""

import signal
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final

import psutil

from movierec.stack import run_record
from movierec.stack.layout import Run

_MARK: Final = "MOVIEREC_CHILD"
"""Environment variable of every process of such a run: `<run folder>:<who started it>:<name>`."""

# The start time is computed from the time of boot, which moves when the clock is set.
_SAME_START_S: Final = 2.0
_GRACE_S: Final = 2.0
_KILLED_WITHIN_S: Final = 10.0
_POLL_S: Final = 0.05


def stop(run: Run) -> tuple[str, ...]:
    """Stop them, one group after the other, the last started first; return the names that ran."""
    recorded = run_record.load(run).processes
    if not recorded:
        return ()
    found = {entry["name"]: p for entry in recorded if (p := _process(entry)) is not None}
    for group in dict.fromkeys(entry["group"] for entry in reversed(recorded)):
        members = [e for e in recorded if e["group"] == group and e["name"] in found]
        grace_s = max((float(entry["grace_s"]) for entry in members), default=0.0)
        _end([found[entry["name"]] for entry in members], grace_s)
    _end([*_marked(str(run.folder))], _GRACE_S)
    run_record.update(run, lambda before: replace(before, processes=()))
    return tuple(entry["name"] for entry in reversed(recorded) if entry["name"] in found)


def _process(entry: Mapping[str, Any]) -> psutil.Process | None:
    with suppress(psutil.Error):
        found = psutil.Process(entry["pid"])
        if abs(found.create_time() - entry["created_s"]) < _SAME_START_S and _is_alive(found):
            return found
    return None


def _is_alive(process: psutil.Process) -> bool:
    with suppress(psutil.Error):
        return process.status() != psutil.STATUS_ZOMBIE
    return False


def _marked(folder: str) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):  # another user's, or gone
            if process.environ().get(_MARK, "").startswith(f"{folder}:"):
                yield process


def _end(processes: Collection[psutil.Process], grace_s: float) -> None:
    for number, within_s in ((signal.SIGTERM, grace_s), (signal.SIGKILL, _KILLED_WITHIN_S)):
        for process in filter(_is_alive, processes):
            with suppress(psutil.Error):
                process.send_signal(number)
        deadline_s = time.monotonic() + within_s
        while any(map(_is_alive, processes)) and time.monotonic() < deadline_s:
            time.sleep(_POLL_S)
