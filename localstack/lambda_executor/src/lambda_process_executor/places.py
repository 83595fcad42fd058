"""Where a function's things are: at AWS's paths, or where this machine has them.

AWS's paths take a mount namespace (`file_tree`). Where the kernel gives none, as in most
containers, a function finds the same folders under other paths.
"""

import functools
import logging
import select
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lambda_process_executor import storage
from lambda_process_executor.interpreters import Interpreter
from lambda_process_executor.process import Command, FunctionProcess, Mount, Tree

LOG = logging.getLogger(__name__)

SWITCH: Final = "LAMBDA_PROCESS_MOUNTS"
BOOTSTRAP: Final = Path(__file__).with_name("bootstrap")

_TASK: Final = Path("/var/task")
_LAYERS: Final = Path("/opt")
_RUNTIME: Final = Path("/var/runtime")
_LANGUAGE: Final = Path("/var/lang")
_BOOTSTRAP: Final = Path("/var/rapid")
AWS_SCRATCH: Final = Path("/tmp")  # noqa: S108 - the function's own

_PROBE_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Place:
    """Where a function finds its things.

    `layers` is None for a function that has none and does not see the empty folder that AWS has
    then; `python` is the interpreter and `bootstrap` the program that starts the runtime client.
    """

    task: Path
    layers: Path | None
    runtime: Path
    scratch: Path
    python: Path
    bootstrap: Path

    @property
    def programs(self) -> Path:
        """The interpreter's own folder."""
        return self.python.parent


@dataclass(frozen=True, slots=True)
class Folders:
    """Where this machine has a function's code, its merged layers (or none) and its /tmp."""

    task: Path
    layers: Path | None
    scratch: Path


def here(folders: Folders, interpreter: Interpreter) -> Place:
    """Return the place of a function that sees this machine's paths."""
    return Place(
        folders.task,
        folders.layers,
        interpreter.packages,
        folders.scratch,
        interpreter.executable,
        BOOTSTRAP / "bootstrap.py",
    )


def as_on_aws(folders: Folders, interpreter: Interpreter) -> tuple[Place, Tree]:
    """Return the place of a function that sees AWS's paths, and the tree that makes it so.

    Code and layers are read-only. Interpreter and runtime client stay as writable as they are:
    uncompiled ones are compiled at the first import.
    """
    mounts = (
        Mount("ro", folders.task, _TASK),
        Mount("ro", folders.layers, _LAYERS),
        Mount("rw", interpreter.packages, _RUNTIME),
        Mount("rw", interpreter.base, _LANGUAGE),
        Mount("ro", BOOTSTRAP, _BOOTSTRAP),
        Mount("rw", folders.scratch, AWS_SCRATCH),
    )
    place = Place(
        _TASK, _LAYERS, _RUNTIME, AWS_SCRATCH,
        _LANGUAGE / interpreter.program, _BOOTSTRAP / "bootstrap.py",
    )  # fmt: skip
    return place, Tree(_mount_point(), mounts)


def can_be_as_on_aws(interpreter: Interpreter, env: Mapping[str, str]) -> bool:
    """Tell whether functions of an interpreter can have AWS's paths, and log why not."""
    return env.get(SWITCH, "1") != "0" and _works(interpreter)


@functools.cache
def _works(interpreter: Interpreter) -> bool:
    """Start the interpreter once in such a tree, and see whether it finds the runtime client."""
    with tempfile.TemporaryDirectory() as folder:
        empty = Path(folder)
        place, tree = as_on_aws(Folders(empty, None, empty), interpreter)
        argv = (str(place.python), "-c", "import awslambdaric")
        command = Command(argv, place.task, {"PYTHONPATH": str(place.runtime)}, tree)
        code, said = _run(command)
    if code != 0:
        LOG.warning(
            "functions see this machine's paths, not /var/task, /opt and /tmp: %s",
            said.strip() or f"{interpreter.executable} ended with {code}",
        )
    return code == 0


def _run(command: Command) -> tuple[int | None, str]:
    process = FunctionProcess(command)
    deadline = time.monotonic() + _PROBE_S
    try:
        while process.exit_code is None and time.monotonic() < deadline:
            select.select([process.control], [], [], deadline - time.monotonic())
            process.take_control()
        return process.exit_code, process.take_output().decode(errors="replace")
    finally:
        process.close()


def _mount_point() -> Path:
    folder = storage.own_folder() / "root"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
