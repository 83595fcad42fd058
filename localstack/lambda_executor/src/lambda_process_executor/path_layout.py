"""Paths that a function sees: AWS's (/var/task, /opt, /tmp and so on), or this machine's own.

AWS's paths take a mount namespace (`mount_namespace`). Where the kernel gives none, as in most
containers, a function finds the same folders under other paths.
"""

import functools
import logging
import select
import tempfile
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lambda_process_executor import work_folder
from lambda_process_executor.function_process import Command, FunctionProcess
from lambda_process_executor.python_interpreters import Interpreter

LOG = logging.getLogger(__name__)

SWITCH: Final = "LAMBDA_PROCESS_MOUNTS"
BOOTSTRAP: Final = Path(__file__).with_name("bootstrap")

AWS_SCRATCH: Final = Path("/tmp")  # noqa: S108 - the function's own

_PROBE_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Layout:
    """The paths that a function sees.

    `layers` is None for a function that has none and does not see the empty folder that AWS has
    then; `python` is the interpreter and `bootstrap` the program that starts the runtime client.
    """

    task: Path
    layers: Path | None
    runtime: Path
    scratch: Path
    python: Path
    bootstrap: Path


@dataclass(frozen=True, slots=True)
class HostFolders:
    """Where this machine has a function's code, its merged layers (or none) and its /tmp."""

    task: Path
    layers: Path | None
    scratch: Path


def host_layout(folders: HostFolders, interpreter: Interpreter) -> Layout:
    """Return the layout of a function that sees this machine's paths."""
    return Layout(
        folders.task,
        folders.layers,
        interpreter.packages,
        folders.scratch,
        interpreter.executable,
        BOOTSTRAP / "bootstrap.py",
    )


def aws_layout(folders: HostFolders, interpreter: Interpreter) -> tuple[Layout, tuple[str, ...]]:
    """Return the layout of a function that sees AWS's paths, and the tree that makes it so.

    Code and layers are read-only. Interpreter and runtime client stay as writable as they are:
    uncompiled ones are compiled at the first import.
    """
    layout = Layout(
        Path("/var/task"), Path("/opt"), Path("/var/runtime"), AWS_SCRATCH,
        Path("/var/lang") / interpreter.program, Path("/var/rapid/bootstrap.py"),
    )  # fmt: skip
    mounts = (
        ("ro", folders.task, layout.task),
        ("ro", folders.layers or "", layout.layers),
        ("rw", interpreter.packages, layout.runtime),
        ("rw", interpreter.base, "/var/lang"),
        ("ro", BOOTSTRAP, layout.bootstrap.parent),
        ("rw", folders.scratch, layout.scratch),
    )
    root = work_folder.own_folder() / "root"
    root.mkdir(parents=True, exist_ok=True)
    return layout, (str(root), *(str(part) for mount in mounts for part in mount))


def aws_layout_works(interpreter: Interpreter, env: Mapping[str, str]) -> bool:
    """Tell whether functions of an interpreter can have AWS's paths, and log why not."""
    return env.get(SWITCH, "1") != "0" and _works(interpreter)


@functools.cache
def _works(interpreter: Interpreter) -> bool:
    """Start the interpreter once in such a tree, and try to import the runtime client."""
    with tempfile.TemporaryDirectory() as folder:
        empty = Path(folder)
        layout, tree = aws_layout(HostFolders(empty, None, empty), interpreter)
        argv = (str(layout.python), "-c", "import awslambdaric")
        command = Command(argv, layout.task, {"PYTHONPATH": str(layout.runtime)}, tree)
        with closing(FunctionProcess(command)) as process:
            deadline = time.monotonic() + _PROBE_S
            while process.exit_code is None and time.monotonic() < deadline:
                select.select([process.control], [], [], deadline - time.monotonic())
                process.read_control()
            code, output = process.exit_code, process.read_output().decode(errors="replace")
    if code != 0:
        LOG.warning(
            "functions see this machine's paths, not /var/task, /opt and /tmp: %s",
            output.strip() or f"{interpreter.executable} ended with {code}",
        )
    return code == 0
