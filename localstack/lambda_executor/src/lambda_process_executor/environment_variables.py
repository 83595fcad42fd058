"""Environment variables of a function (AWS: "Using Lambda environment variables").

Nothing of the emulator's own environment is among them.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from lambda_process_executor.path_layout import AWS_SCRATCH, Layout
from lambda_process_executor.subreaper import TELEMETRY

# Between LocalStack and the init program of its containers; AWS's functions see none of these.
_INTERNAL: Final = ("AWS_LAMBDA_FUNCTION_TIMEOUT", "LOCALSTACK_", "_AWS_XRAY_")


def function_environment(
    given: Mapping[str, object], own: Mapping[str, str], layout: Layout, *, runtime: str, api: str
) -> dict[str, str]:
    """Return the whole environment of a function's process.

    `given` is what LocalStack prepared, `own` what the function's configuration sets; as on AWS,
    that wins over everything but the reserved names. `runtime` is `python3.13` and the like, and
    `api` the Runtime API's `host:port`.
    """
    prepared = {
        name: str(value)
        for name, value in given.items()
        if name == "LOCALSTACK_HOSTNAME" or not name.startswith(_INTERNAL)
    }
    if "AWS_LAMBDA_LOG_LEVEL" in prepared:
        prepared["AWS_LAMBDA_LOG_LEVEL"] = prepared["AWS_LAMBDA_LOG_LEVEL"].upper()
    reserved = {
        "_LAMBDA_TELEMETRY_LOG_FD": str(TELEMETRY),
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{runtime}",
        "AWS_LAMBDA_RUNTIME_API": api,
        "LAMBDA_RUNTIME_DIR": str(layout.runtime),
        "LAMBDA_TASK_ROOT": str(layout.task),
    }
    return _defaults(layout, runtime) | prepared | dict(own) | reserved


def _defaults(layout: Layout, runtime: str) -> dict[str, str]:
    task, layers = layout.task, layout.layers
    programs = [layout.python.parent, Path("/usr/local/bin"), Path("/usr/bin"), Path("/bin")]
    libraries = [task, task / "lib"]
    modules: list[Path] = []
    if layers is not None:
        programs.append(layers / "bin")
        libraries.append(layers / "lib")
        modules = [layers / "python/lib" / runtime / "site-packages", layers / "python"]
    # Where /tmp is not the function's own, it has to be told of the folder that is.
    scratch = {} if layout.scratch == AWS_SCRATCH else {"TMPDIR": str(layout.scratch)}
    return scratch | {
        # A function must not read the settings and credentials of whoever started the emulator.
        "HOME": str(layout.scratch),
        "LANG": "en_US.UTF-8",
        "LD_LIBRARY_PATH": _path(libraries),
        "PATH": _path(programs),
        "PYTHONPATH": _path([*modules, layout.runtime]),
        "TZ": ":UTC",
    }


def _path(folders: list[Path]) -> str:
    return ":".join(str(folder) for folder in folders)
