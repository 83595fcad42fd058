"""Loopback ports: free ones, taken ones, and waiting for one."""

import http.client
import random
import socket
from collections.abc import Callable
from typing import Final

import psutil

from movierec.errors import UnavailableError

HOST: Final = "127.0.0.1"

# Below 32768, Linux's first ephemeral port (49152 elsewhere), so that between its choice and its
# use no outgoing connection takes it.
_FIRST_FREE: Final = 20_000
_LAST_FREE: Final = 32_767
_TRIES: Final = 200


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


def free_port(
    random_source: random.Random,
    *,
    taken: frozenset[int] = frozenset(),
    free: Callable[[int], bool] = is_free,
) -> int:
    """Return a free port that is not in `taken`. Raises UnavailableError when none is found."""
    for _ in range(_TRIES):
        port = random_source.randint(_FIRST_FREE, _LAST_FREE)
        if port not in taken and free(port):
            return port
    raise UnavailableError(
        f"no free port between {_FIRST_FREE} and {_LAST_FREE} in {_TRIES} tries: stop other servers"
    )


def require_free(port: int, *, wanted_by: str, advice: str) -> None:
    """Raise UnavailableError, naming the port and who has it, unless the port is free."""
    if not is_free(port):
        holder = listener(port) or "a process of somebody else"
        raise UnavailableError(
            f"port {port}, wanted by {wanted_by}, is in use by {holder}: {advice}"
        )


def listener(port: int) -> str | None:
    """Return `pid 123 (java)` for the process that listens on a port, None if it cannot be seen."""
    try:
        connections = psutil.net_connections(kind="tcp")
        listening = [c for c in connections if c.status == psutil.CONN_LISTEN]
        pids = {c.pid for c in listening if getattr(c.laddr, "port", None) == port}
        pid = next((pid for pid in pids if pid is not None), None)
        return f"pid {pid} ({psutil.Process(pid).name()})" if pid is not None else None
    except (psutil.Error, OSError):  # macOS asks for root
        return None


def is_open(port: int, *, host: str = HOST, timeout_s: float = 0.5) -> bool:
    """Say whether somebody accepts connections on the port."""
    try:
        with socket.create_connection((host, port), timeout=timeout_s):
            return True
    except OSError:
        return False


def answers(port: int, path: str, *, timeout_s: float = 2.0) -> bool:
    """Say whether `GET path` on the port is answered with a status 200."""
    connection = http.client.HTTPConnection(HOST, port, timeout=timeout_s)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
