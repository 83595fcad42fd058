"""LocalStack as a child process, with Lambda functions as processes of their own."""

from collections.abc import Mapping
from typing import Final

from movierec.errors import ConfigError
from movierec.stack import addresses, environment, sockets
from movierec.stack.layout import Run
from movierec.stack.processes import Spec

NAME: Final = "emulator"

# A cold start took 4 s; the first one after an installation compiles 12,000 modules.
_READY_WITHIN_S: Final = 90.0
# It stops its Lambda environments first.
_GRACE_S: Final = 15.0


def endpoint_url(port: int) -> str:
    """Return the emulator's address, the value of AWS_ENDPOINT_URL."""
    return f"http://{sockets.HOST}:{port}"


def spec(run: Run, inherited: Mapping[str, str]) -> Spec:
    """Return how to start a run's emulator. Raises ConfigError when it is not installed."""
    program = run.project.localstack / ".venv" / "bin" / "localstack-supervisor"
    function_python = run.project.localstack / "runtime" / ".venv" / "bin" / "python"
    for needed in (program, function_python):
        if not needed.exists():
            raise ConfigError(f"{needed} is missing: run `make setup`")
    port = addresses.ports(run, (addresses.EMULATOR,))[addresses.EMULATOR]
    return Spec(
        name=NAME,
        command=(str(program),),
        env=environment.basic(inherited, path=(program.parent,))
        | _settings(run, port, str(function_python)),
        cwd=run.emulator,
        ready=lambda: sockets.answers(port, "/_localstack/health"),
        ready_within_s=_READY_WITHIN_S,
        grace_s=_GRACE_S,
    )


def _settings(run: Run, port: int, function_python: str) -> dict[str, str]:
    return {
        "GATEWAY_LISTEN": f"{sockets.HOST}:{port}",
        "LOCALSTACK_HOST": f"{sockets.HOST}:{port}",
        "FILESYSTEM_ROOT": str(run.emulator),
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
