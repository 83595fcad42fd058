"""What the command line says, as values."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from movierec.errors import UsageError
from simulator import movielens, world
from simulator.corruption import Rates
from simulator.faults import Server
from simulator.world import World

DEFAULT_RATE: Final = 5.0
DEFAULT_EVENTS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class WorldSpec:
    """How to build the world, the same in every process."""

    users: int
    movies: int
    seed: int
    movielens: Path | None

    def build(self) -> World:
        """Return the world. Raises UsageError when the MovieLens folder is none."""
        if self.movielens is not None:
            return movielens.load(self.movielens, self.seed)
        return world.generate(self.users, self.movies, self.seed)


@dataclass(frozen=True, slots=True)
class LiveSpec:
    """How the site lives: requests a second, viewing sped up, until when."""

    proxy: str
    rate: float
    poisson: bool
    speedup: float
    duration_s: float | None
    max_rating: int


@dataclass(frozen=True, slots=True)
class SiteSpec:
    """Where the user and movie APIs answer."""

    host: str
    port: int
    tagline: bool


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that a run needs to know; None: that part is not wanted."""

    world: WorldSpec
    site: SiteSpec | None
    live: LiveSpec | None
    backfill_days: float | None
    events: int
    workers: int
    rates: Rates
    max_user_id: int
    max_rating: int
    check_catalog: bool
    bootstrap: str | None
    topic: str
    partitions: int
    server: Server
    ledger: Path | None
    continue_ledger: bool


def server_of(proxy: str) -> Server:
    """Return the server that log lines name. Raises UsageError when the URL has no port."""
    try:
        parts = urlsplit(proxy)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if host is None or port is None or parts.scheme not in ("http", "https"):
        raise UsageError(f"--proxy {proxy}: give a URL with a port, such as http://127.0.0.1:8082")
    return Server(f"{host}:{port}", "127.0.0.1" if host == "localhost" else host)
