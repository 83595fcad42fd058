"""Loopback ports: which one each server of a run has, free ones, taken ones, and who answers.

The runs `default` and `demo` have the well-known ones; any other run, free ones that it then keeps,
so that several stacks live side by side and an address noted down stays true.
"""

import http.client
import secrets
import socket
from collections.abc import Callable, Mapping
from contextlib import closing
from typing import Final

import psutil

from movierec.errors import UnavailableError
from movierec.stack import run_record
from movierec.stack.layout import DEFAULT_RUN, DEMO_RUN, Run

HOST: Final = "127.0.0.1"

EMULATOR: Final = "emulator"
KAFKA: Final = "kafka"
PROXY: Final = "proxy"
SITE: Final = "site"
INGEST: Final = "ingest"
CONSOLE: Final = "console"

WELL_KNOWN: Final[Mapping[str, int]] = {
    EMULATOR: 4566,
    KAFKA: 9092,
    PROXY: 8082,
    SITE: 8080,
    INGEST: 8083,
    CONSOLE: 8084,
}

# A newcomer looks for the demo where everything else says the service is.
_WELL_KNOWN_RUNS: Final = frozenset({DEFAULT_RUN, DEMO_RUN})

# Below 32768, Linux's first ephemeral port (49152 elsewhere), so that between its choice and its
# use no outgoing connection takes it.
_FREE: Final = range(20_000, 32_768)
_TRIES: Final = 200


def port(run: Run, name: str) -> int:
    """Return the run's port of that name, as `ports` does."""
    return ports(run, (name,))[name]


def ports(run: Run, names: tuple[str, ...] = tuple(WELL_KNOWN)) -> Mapping[str, int]:
    """Return a port for each name, those that the run has already and new ones for the rest.

    New ones are recorded in run.json. Nothing is checked for being free now: see `require_free`.
    """

    def add(before: run_record.Record) -> run_record.Record:
        chosen = dict(before.ports)
        known = WELL_KNOWN if run.name in _WELL_KNOWN_RUNS else {}
        for name in names:
            if name not in chosen:
                chosen[name] = known.get(name) or free_port(taken=frozenset(chosen.values()))
        return before.with_ports(chosen)

    found = run_record.load(run).ports
    if any(name not in found for name in names):
        found = run_record.update(run, add).ports
    return {name: found[name] for name in names}


def url(port: int) -> str:
    """Return the address of a server on a port."""
    return f"http://{HOST}:{port}"


def are_foreign(run: Run, servers: str) -> bool:
    """Say whether Kafka servers, `host:port` with commas, are none of the run's own.

    Be they on this machine or not: the near end of a tunnel is.
    """
    own = run_record.load(run).ports.get(KAFKA)
    return servers != "" and f"{HOST}:{own}" not in servers.split(",")


def require_free(run: Run, name: str) -> None:
    """Raise UnavailableError, naming the run's port and who has it, unless it is free."""
    wanted = port(run, name)
    if not is_free(wanted):
        holder = _listener(wanted) or "a process of somebody else"
        raise UnavailableError(
            f"port {wanted}, wanted by {name} of run {run.name}, is in use by {holder}: stop it "
            "(`movierec down` if it is an earlier run's), or use another run with --run NAME"
        )


def is_free(port: int) -> bool:
    """Say whether a server could listen on the port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as server:
        # As servers do: a port whose last connection lingers in TIME_WAIT is free.
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            server.bind((HOST, port))
        except OSError:
            return False
    return not is_open(port)


def free_port(*, taken: frozenset[int] = frozenset(), free: Callable[[int], bool] = is_free) -> int:
    """Return a free port that is not in `taken`. Raises UnavailableError when none is found."""
    for _ in range(_TRIES):
        port = secrets.choice(_FREE)
        if port not in taken and free(port):
            return port
    raise UnavailableError(
        f"no free port between {_FREE[0]} and {_FREE[-1]} in {_TRIES} tries: stop other servers"
    )


def _listener(port: int) -> str | None:
    """Return `pid 123 (java)` for the process that listens on a port, None if it cannot be seen."""
    try:
        connections = psutil.net_connections(kind="tcp")
        listening = [c for c in connections if c.status == psutil.CONN_LISTEN]
        pids = {c.pid for c in listening if getattr(c.laddr, "port", None) == port}
        pid = next((pid for pid in pids if pid is not None), None)
        return f"pid {pid} ({psutil.Process(pid).name()})" if pid is not None else None
    except (psutil.Error, OSError):  # macOS asks for root
        return None


def is_open(port: int) -> bool:
    """Say whether somebody accepts connections on the port."""
    try:
        with socket.create_connection((HOST, port), timeout=0.5):
            return True
    except OSError:
        return False


def answers(port: int, path: str, *, timeout_s: float = 2.0) -> bool:
    """Say whether `GET path` on the port is answered with a status 200."""
    try:
        return request(port, path, timeout_s=timeout_s)[0] == http.HTTPStatus.OK
    except UnavailableError:
        return False


def request(
    port: int, path: str, *, method: str = "GET", timeout_s: float = 2.0
) -> tuple[int, bytes]:
    """Return the status and the body of an answer. Raises UnavailableError when there is none."""
    with closing(http.client.HTTPConnection(HOST, port, timeout=timeout_s)) as connection:
        try:
            connection.request(method, path)
            answer = connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException) as exc:
            raise UnavailableError(f"no answer at {HOST}:{port}{path}: {exc}") from exc
