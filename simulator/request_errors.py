"""Error texts that the site logs for failed recommendation requests."""

from dataclasses import dataclass
from typing import Final

import numpy as np

FAILED: Final = 0
"""The status of a failed request, whatever the reason."""

OK: Final = 200

TIME_LIMIT_MS: Final = 800
"""The site's timeout for a request."""


@dataclass(frozen=True, slots=True)
class Server:
    """The recommender's address: `name` is `host:port`, `ip` the host's address."""

    name: str
    ip: str

    @property
    def resolved(self) -> str:
        """Return `host/ip:port`, as Java prints an address that it has looked up."""
        host, _, port = self.name.rpartition(":")
        return f"{host}/{self.ip}:{port}"


def timed_out(server: Server) -> str:
    """Return the text of a request that timed out."""
    return (
        f"java.util.concurrent.TimeoutException: Request timeout to {server.resolved} "
        f"after {TIME_LIMIT_MS} ms"
    )


def refused(server: Server) -> str:
    """Return the text of a refused connection."""
    return f"java.net.ConnectException: Connection refused: {server.resolved}"


def unreachable(server: Server) -> str:
    """Return the text of a connection that timed out."""
    return f"java.net.ConnectException: connection timed out: {server.resolved}"


def connection_lost(server: Server) -> str:
    """Return the text of a connection that closed before the response was complete."""
    return f"java.io.IOException: Remotely closed: {server.resolved}"


def unexpected_status(status: int) -> str:
    """Return the text of a response whose status is not 200."""
    return f"Unexpected response status: {status}"


def random_error(server: Server, rng: np.random.Generator) -> tuple[str, int]:
    """Return an error text and a latency in ms that goes with it."""
    kind = rng.random()
    if kind < 0.5:  # noqa: PLR2004  half of the failures seen are timeouts
        return timed_out(server), int(rng.integers(801, 905))
    if kind < 0.75:  # noqa: PLR2004
        return refused(server), int(rng.integers(2, 40))
    if kind < 0.9:  # noqa: PLR2004
        return unreachable(server), int(rng.integers(801, 850))
    return unexpected_status(502), int(rng.integers(2, 60))
