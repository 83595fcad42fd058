"""The variables that a function sees (AWS: "Using Lambda environment variables").

Nothing of the emulator's own environment is among them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

# Between LocalStack and the init program of its containers; AWS's functions see none of these.
_INTERNAL: Final = frozenset(
    {
        "AWS_LAMBDA_FUNCTION_TIMEOUT",
        "LOCALSTACK_FUNCTION_ACCOUNT_ID",
        "LOCALSTACK_INIT_LOG_LEVEL",
        "LOCALSTACK_MAX_PAYLOAD_SIZE",
        "LOCALSTACK_POST_INVOKE_WAIT_MS",
        "LOCALSTACK_RUNTIME_ENDPOINT",
        "LOCALSTACK_RUNTIME_ID",
        "LOCALSTACK_USER",
        "_AWS_XRAY_DAEMON_ADDRESS",
        "_AWS_XRAY_DAEMON_PORT",
    }
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a function's things are: on AWS /var/task, /opt, /var/runtime and /tmp.

    `layers` is None for a function without layers; `programs` is the interpreter's own folder.
    """

    task: Path
    layers: Path | None
    runtime: Path
    scratch: Path
    programs: Path


def function_environment(
    given: Mapping[str, object], own: Mapping[str, str], place: Place, *, runtime: str, api: str
) -> dict[str, str]:
    """Return the whole environment of a function's process.

    `given` is what LocalStack prepared, `own` what the function's configuration sets; as on AWS,
    that wins over everything but the reserved names. `runtime` is `python3.13` and the like, and
    `api` the Runtime API's `host:port`.
    """
    prepared = {name: str(value) for name, value in given.items() if name not in _INTERNAL}
    reserved = {
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{runtime}",
        "AWS_LAMBDA_RUNTIME_API": api,
        "LAMBDA_RUNTIME_DIR": str(place.runtime),
        "LAMBDA_TASK_ROOT": str(place.task),
    }
    return _defaults(place, runtime) | prepared | dict(own) | reserved


def _defaults(place: Place, runtime: str) -> dict[str, str]:
    task, layers = place.task, place.layers
    programs = [place.programs, Path("/usr/local/bin"), Path("/usr/bin"), Path("/bin")]
    libraries = [task, task / "lib"]
    modules: list[Path] = []
    if layers is not None:
        programs.append(layers / "bin")
        libraries.append(layers / "lib")
        modules = [layers / "python/lib" / runtime / "site-packages", layers / "python"]
    return {
        # A function must not read the settings and credentials of whoever started the emulator.
        "HOME": str(place.scratch),
        "LANG": "en_US.UTF-8",
        "LD_LIBRARY_PATH": _path(libraries),
        "PATH": _path(programs),
        "PYTHONPATH": _path([*modules, place.runtime]),
        "TMPDIR": str(place.scratch),
        "TZ": ":UTC",
    }


def _path(folders: list[Path]) -> str:
    return ":".join(str(folder) for folder in folders)
