"""`run.json`: a run's ports and processes, as the next command finds them.

Written whole and renamed into place, under a lock: a reader sees the old or the new one, and of
two writers neither loses the other's change.
"""

import fcntl
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from movierec.errors import ConfigError, UnavailableError
from movierec.runtime import atomic_file
from movierec.stack.layout import PRIVATE_FOLDER, Run

_FORMAT: Final = 1


@dataclass(frozen=True, slots=True)
class Process:
    """A started child, and the supervisor, its owner, that started it.

    The pid alone would not do: pids are reused, a pid and a start time not.
    """

    name: str
    group: str
    pid: int
    created_s: float
    log: str
    command: tuple[str, ...]
    grace_s: float = 10.0
    owner: str = ""
    restarts: int = 0
    """How often it was started again after it had died."""
    stopping: bool = False
    """Whether it is being stopped on purpose, so that nobody starts it again."""


@dataclass(frozen=True, slots=True)
class Record:
    """What run.json holds; processes in the order in which they were first started."""

    ports: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    processes: tuple[Process, ...] = ()

    def with_ports(self, ports: Mapping[str, int]) -> "Record":
        """Return a record with these ports added."""
        return replace(self, ports={**self.ports, **ports})

    def with_process(self, process: Process) -> "Record":
        """Return a record with the process added, or in the place of the one of that name."""
        if all(p.name != process.name for p in self.processes):
            return replace(self, processes=(*self.processes, process))
        instead = (process if p.name == process.name else p for p in self.processes)
        return replace(self, processes=tuple(instead))

    def find(self, name: str) -> Process | None:
        """Return the process of that name, dead or alive."""
        return next((p for p in self.processes if p.name == name), None)

    def stopping(self, *processes: Process) -> "Record":
        """Return a record that says of these processes that they are being stopped."""
        marked = (replace(p, stopping=True) if p in processes else p for p in self.processes)
        return replace(self, processes=tuple(marked))

    def without(self, *stopped: Process) -> "Record":
        """Return a record without these processes; one that took a name over meanwhile stays."""
        gone = {(p.name, p.pid, p.created_s) for p in stopped}
        kept = (p for p in self.processes if (p.name, p.pid, p.created_s) not in gone)
        return replace(self, processes=tuple(kept))


def dump(record: Record) -> str:
    """Return a record as JSON text."""
    body = {
        "format": _FORMAT,
        "ports": dict(record.ports),
        "processes": [asdict(process) for process in record.processes],
    }
    return json.dumps(body, indent=2) + "\n"


def parse(text: str) -> Record:
    """Return the record that `dump` wrote. Raises ValueError on anything else."""
    body = json.loads(text)
    try:
        if body["format"] != _FORMAT:
            raise ValueError(f"format {body['format']}, not {_FORMAT}")
        ports = {str(name): int(port) for name, port in body["ports"].items()}
        return Record(ports, tuple(_process(entry) for entry in body["processes"]))
    except (KeyError, TypeError, AttributeError) as exc:
        raise ValueError(f"not a run record: {exc!r}") from exc


def _process(entry: Mapping[str, Any]) -> Process:
    return Process(**{**entry, "command": tuple(entry["command"])})


def load(run: Run) -> Record:
    """Return the run's record, an empty one if there is none. Raises ConfigError if unreadable."""
    try:
        return parse(run.record.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Record()
    except (OSError, ValueError) as exc:
        raise ConfigError(
            f"{run.record} cannot be read ({exc}): stop what still runs by hand, then delete it"
        ) from exc


def update(run: Run, change: Callable[[Record], Record]) -> Record:
    """Replace the run's record by `change(record)` and return it."""
    with _locked(run.folder / "run.json.lock", fcntl.LOCK_EX):
        record = change(load(run))
        write_atomically(run.record, dump(record))
        return record


def write_atomically(path: Path, text: str) -> None:
    """Write a file whole or not at all, for its owner alone: it may hold a broker's password.

    Raises ConfigError when the disk refuses.
    """
    try:
        atomic_file.write_whole(path, text, mode=atomic_file.PRIVATE)
    except OSError as exc:
        raise ConfigError(f"cannot write {path}: {exc.strerror}; free or unlock the disk") from exc


@contextmanager
def exclusive(run: Run, purpose: str) -> Iterator[None]:
    """Hold the run for one command. Raises UnavailableError, naming who has it, if it is held.

    The lock belongs to this process and ends with it, however it ends; children do not inherit it.
    """
    path = run.folder / "lock"
    with ExitStack() as stack:
        try:
            stack.enter_context(_locked(path, fcntl.LOCK_EX | fcntl.LOCK_NB))
        except BlockingIOError as exc:
            holder = path.read_text(encoding="utf-8") or "another process"
            raise UnavailableError(
                f"run {run.name} is in use by {holder}: wait for it, or choose another: --run NAME"
            ) from exc
        path.write_text(f"pid {os.getpid()} ({purpose})", encoding="utf-8")
        yield


@contextmanager
def _locked(path: Path, operation: int) -> Iterator[None]:
    path.parent.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        fcntl.flock(file, operation)
        yield
