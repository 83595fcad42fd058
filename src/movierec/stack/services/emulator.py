"""LocalStack as a child process, with functions as processes and a state that survives it."""

import http
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from movierec.errors import ConfigError, UnavailableError
from movierec.stack import loopback_ports
from movierec.stack.layout import Run
from movierec.stack.processes import child_environment
from movierec.stack.processes.spec import Readiness, Spec

LOG_EVENTS: Final = 50_000
"""Of each log group, the newest: all are a kilobyte for each invocation, in each save too."""

# A cold start took 4 s; the first one after an installation compiles 12,000 modules.
_READY_WITHIN_S: Final = 90.0
# It stops its Lambda environments, then it saves its state; LocalStack alone would have 5 s for it.
_SHUTDOWN_S: Final = 40
_GRACE_S: Final = 45.0

_ASKED_WITHIN_S: Final = 5.0
# A save writes what has changed, some megabytes; a disk may be slow.
_SAVED_WITHIN_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Kept:
    """What an emulator says of its state on the disk; see localstack/keeper/README.md."""

    generation: int
    """Newest whole state of all services but S3, 0 if there is none; S3 is never behind."""
    saved_at_s: float | None
    """When that was made, Unix seconds."""
    unsaved: tuple[str, ...]
    """Services that may have changed since."""
    lost: tuple[str, ...]
    """Services whose state did not load when it started."""


def kept(port: int) -> Kept:
    """Return what the emulator on a port has on the disk. Raises UnavailableError."""
    return _ask(port, "GET", _ASKED_WITHIN_S)


def save(port: int) -> Kept:
    """Have all state saved now, and return what there is then. Raises UnavailableError."""
    return _ask(port, "POST", _SAVED_WITHIN_S)


def _ask(port: int, method: str, within_s: float) -> Kept:
    path = "/_localstack/keeper"
    status, body = loopback_ports.request(port, path, method=method, timeout_s=within_s)
    if status != http.HTTPStatus.OK:
        raise UnavailableError(f"emulator on port {port}: its state: status {status}")
    try:
        said: dict[str, Any] = json.loads(body)
        named = {name: tuple(said[name]) for name in ("unsaved", "lost")}
        return Kept(generation=said["generation"], saved_at_s=said["saved_at_s"], **named)
    except (ValueError, KeyError, TypeError) as exc:
        raise UnavailableError(f"emulator on port {port}: its state: {exc!r}; see its log") from exc


def spec(run: Run, inherited: Mapping[str, str]) -> Spec:
    """Return how to start a run's emulator. Raises ConfigError when it is not installed."""
    program = run.project.localstack / ".venv" / "bin" / "localstack-supervisor"
    function_python = run.project.localstack / "runtime" / ".venv" / "bin" / "python"
    for needed in (program, function_python):
        if not needed.exists():
            raise ConfigError(f"{needed} is missing: run `make setup`")
    port = loopback_ports.port(run, loopback_ports.EMULATOR)
    return Spec(
        name=loopback_ports.EMULATOR,
        command=(str(program),),
        env=child_environment.basic(inherited, path=(program.parent,))
        | _settings(run, port, str(function_python)),
        cwd=run.emulator,
        ready=Readiness(port, "/_localstack/health"),
        ready_within_s=_READY_WITHIN_S,
        grace_s=_GRACE_S,
        restart=True,
    )


def _settings(run: Run, port: int, function_python: str) -> dict[str, str]:
    return {
        "GATEWAY_LISTEN": f"{loopback_ports.HOST}:{port}",
        "LOCALSTACK_HOST": f"{loopback_ports.HOST}:{port}",
        "FILESYSTEM_ROOT": str(run.emulator),
        "KEEPER_FOLDER": str(run.emulator_state),
        "KEEPER_LOG_EVENTS": str(LOG_EVENTS),
        "SHUTDOWN_TIMEOUT": str(_SHUTDOWN_S),
        "LAMBDA_RUNTIME_EXECUTOR": "process",
        "LAMBDA_PROCESS_PYTHON_3_13": function_python,
        # Nothing of the emulator calls out of this machine, and its own DNS server wants port 53.
        "DNS_ADDRESS": "0",
        "SKIP_SSL_CERT_DOWNLOAD": "1",
        "DISABLE_EVENTS": "1",
        "EAGER_SERVICE_LOADING": "0",
        # Its services call each other in the process, not over HTTP: a fifth of each API request.
        "IN_MEMORY_CLIENT": "1",
        # An idle function keeps its process, and its memory, this long.
        "LAMBDA_KEEPALIVE_MS": "600000",
        "TMPDIR": str(run.tmp),
        # Its cache of entry points, kept elsewhere, would not know a plugin installed since.
        "XDG_CACHE_HOME": str(run.emulator / "cache"),
    }
