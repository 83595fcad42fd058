"""Check that a broker accepts TCP connections, without a Kafka client."""

import socket
from collections.abc import Iterable


def reachable(servers: Iterable[str], *, timeout_s: float) -> bool:
    """Return whether any of these servers, `host:port` each, accepts connections."""
    return any(_accepts(server, timeout_s) for server in servers)


def _accepts(server: str, timeout_s: float) -> bool:
    host, _, port = server.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=timeout_s):
            return True
    except OSError:
        return False
