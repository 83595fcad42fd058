"""`run.json`: a run's ports, as the next command finds them, and who uses the run now.

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
from typing import Any, Final

from movierec.errors import ConfigError, UnavailableError
from movierec.runtime import atomic_file
from movierec.stack.layout import PRIVATE_FOLDER, Run

_FORMAT: Final = 1


@dataclass(frozen=True, slots=True)
class Record:
    """What run.json holds."""

    ports: Mapping[str, int] = field(default_factory=dict)
    processes: tuple[Mapping[str, Any], ...] = ()
    """What a version without a daemon has started; see `movierec.stack.processes.former_run`."""

    def with_ports(self, ports: Mapping[str, int]) -> "Record":
        """Return a record with these ports added."""
        return replace(self, ports={**self.ports, **ports})


def dump(record: Record) -> str:
    """Return a record as JSON text."""
    return json.dumps({"format": _FORMAT, **asdict(record)}, indent=2) + "\n"


def parse(text: str) -> Record:
    """Return the record that `dump` wrote. Raises ValueError on anything else."""
    body = json.loads(text)
    try:
        if body["format"] != _FORMAT:
            raise ValueError(f"format {body['format']}, not {_FORMAT}")
        ports = {str(name): int(port) for name, port in body["ports"].items()}
        return Record(ports, tuple(dict(entry) for entry in body["processes"]))
    except (KeyError, TypeError, AttributeError) as exc:
        raise ValueError(f"not a run record: {exc!r}") from exc


def load(run: Run) -> Record:
    """Return the run's record, an empty one if there is none. Raises ConfigError if unreadable."""
    return read(run.record, parse, "stop what still runs by hand, then delete it") or Record()


def read[T](path: Path, parsed: Callable[[str], T], remedy: str) -> T | None:
    """Return what a file holds, None if there is none. Raises ConfigError with a remedy."""
    try:
        return parsed(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise ConfigError(f"{path} cannot be read ({exc!r}): {remedy}") from exc


def update(run: Run, change: Callable[[Record], Record]) -> Record:
    """Replace the run's record by `change(record)` and return it."""
    with locked(run.folder / "run.json.lock", fcntl.LOCK_EX):
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
            stack.enter_context(locked(path, fcntl.LOCK_EX | fcntl.LOCK_NB))
        except BlockingIOError as exc:
            holder = path.read_text(encoding="utf-8") or "another process"
            raise UnavailableError(
                f"run {run.name} is in use by {holder}: wait for it, or choose another: --run NAME"
            ) from exc
        path.write_text(f"pid {os.getpid()} ({purpose})", encoding="utf-8")
        yield


@contextmanager
def locked(path: Path, operation: int) -> Iterator[None]:
    """Hold a lock of flock(2) while the block runs; the file is made, and stays."""
    path.parent.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        fcntl.flock(file, operation)
        yield
