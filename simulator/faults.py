"""What the site writes in place of a list when a request went wrong, in its own words."""

from dataclasses import dataclass
from typing import Final

import numpy as np

FAILED: Final = 0
"""The status of a request that brought no list, whatever the reason."""

OK: Final = 200

TIME_LIMIT_MS: Final = 800
"""The site gives up after this time."""


@dataclass(frozen=True, slots=True)
class Server:
    """The recommender that is asked: `name` is `host:port`, `ip` the host's address."""

    name: str
    ip: str

    @property
    def resolved(self) -> str:
        """Return `host/ip:port`, as Java prints an address that it has looked up."""
        host, _, port = self.name.rpartition(":")
        return f"{host}/{self.ip}:{port}"


def timed_out(server: Server) -> str:
    """Say that no answer came in time."""
    return (
        f"java.util.concurrent.TimeoutException: Request timeout to {server.resolved} "
        f"after {TIME_LIMIT_MS} ms"
    )


def refused(server: Server) -> str:
    """Say that nobody listens there."""
    return f"java.net.ConnectException: Connection refused: {server.resolved}"


def unreachable(server: Server) -> str:
    """Say that no connection came about in time."""
    return f"java.net.ConnectException: connection timed out: {server.resolved}"


def connection_lost(server: Server) -> str:
    """Say that the connection broke off before the answer was whole."""
    return f"java.io.IOException: Remotely closed: {server.resolved}"


def unexpected_status(status: int) -> str:
    """Say that the answer's status was not 200."""
    return f"Unexpected response status: {status}"


def random_fault(server: Server, rng: np.random.Generator) -> tuple[str, int]:
    """Return an error text and a latency in ms that goes with it."""
    kind = rng.random()
    if kind < 0.5:  # noqa: PLR2004  half of the failures seen are timeouts
        return timed_out(server), int(rng.integers(801, 905))
    if kind < 0.75:  # noqa: PLR2004
        return refused(server), int(rng.integers(2, 40))
    if kind < 0.9:  # noqa: PLR2004
        return unreachable(server), int(rng.integers(801, 850))
    return unexpected_status(502), int(rng.integers(2, 60))
