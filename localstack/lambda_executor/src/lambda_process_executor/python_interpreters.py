"""Find the Python interpreter for a Lambda runtime."""

import functools
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lambda_process_executor.error_responses import ExecutorError

_PROBE: Final = (
    "import sys, awslambdaric as a; from pathlib import Path as P; "
    "print(*sys.version_info[:2], sep='.'); print(P(a.__file__).parent.parent); "
    "print(P(sys.base_prefix).resolve()); print(P(sys._base_executable).resolve())"
)
_PROBE_S: Final = 30
_VARIABLE: Final = "LAMBDA_PROCESS_PYTHON_"


@dataclass(frozen=True, slots=True)
class Interpreter:
    """A Python that has AWS's runtime interface client. `packages` is where that is installed.

    `base` is the installation that a virtual environment is of, `program` the interpreter in it.
    """

    executable: Path
    version: str
    packages: Path
    base: Path
    program: Path


def supported(env: Mapping[str, str]) -> tuple[str, ...]:
    """Return the runtimes that have an interpreter here, such as `python3.13`."""
    named = [Path(path) for name, path in env.items() if name.startswith(_VARIABLE) and path]
    found = filter(None, map(probe, (*named, Path(sys.executable))))
    return tuple(sorted({f"python{interpreter.version}" for interpreter in found}))


def find(runtime: str, env: Mapping[str, str]) -> Interpreter:
    """Return the interpreter for a Lambda runtime such as `python3.13`.

    In this order: the one that `LAMBDA_PROCESS_PYTHON_<MAJOR>_<MINOR>` names, `python<version>`
    on PATH, the emulator's own. The version must be the runtime's and awslambdaric must be
    installed. Raises ExecutorError.
    """
    match = re.fullmatch(r"python(\d+\.\d+)", runtime)
    if match is None:
        raise ExecutorError(
            f"runtime {runtime}: only Python functions can run without Docker; "
            f"supported here: {', '.join(supported(env)) or 'none'}"
        )
    version = match[1]
    variable = _VARIABLE + version.replace(".", "_")
    if named := env.get(variable):
        found = probe(Path(named))
        if found is None:
            raise ExecutorError(f"{variable}={named}: not a Python that has awslambdaric")
        if found.version != version:
            raise ExecutorError(f"{variable}={named}: is Python {found.version}, not {version}")
        return found
    on_path = shutil.which(f"python{version}", path=env.get("PATH", ""))
    for candidate in filter(None, (on_path, sys.executable)):
        found = probe(Path(candidate))
        if found is not None and found.version == version:
            return found
    raise ExecutorError(
        f"runtime {runtime}: no Python {version} with awslambdaric on PATH; install awslambdaric "
        f"into one and set {variable} to its path"
    )


def probe(executable: Path) -> Interpreter | None:
    """Ask an interpreter for its version and for awslambdaric; None when it has not got it."""
    try:
        return _query(executable)
    except (OSError, ValueError, subprocess.SubprocessError):
        return None


# What fails is not remembered: it may be installed meanwhile.
@functools.cache
def _query(executable: Path) -> Interpreter:
    done = subprocess.run(
        [executable, "-I", "-c", _PROBE],
        capture_output=True, text=True, env={}, timeout=_PROBE_S, check=True,
    )  # fmt: skip
    version, packages, base, program = done.stdout.splitlines()
    relative = Path(program).relative_to(base)
    return Interpreter(executable, version, Path(packages), Path(base), relative)
