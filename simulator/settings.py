"""Settings of a run, as values."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from movierec.errors import UsageError
from movierec.model.rating_scale import RatingScale
from simulator import movielens_loader, synthetic_world
from simulator.growing_site import Site
from simulator.growth_state import GrowthState
from simulator.line_corruption import CorruptionRates
from simulator.local_clock import UTC_CLOCK, LocalClock
from simulator.request_errors import Server
from simulator.site_faults import SiteFaults
from simulator.synthetic_world import World

DEFAULT_RATE: Final = 5.0
DEFAULT_EVENTS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class WorldSpec:
    """Parameters of the world, which each process builds for itself."""

    users: int
    movies: int
    seed: int
    movielens: Path | None

    def build(self) -> World:
        """Return the world. Raises UsageError when the MovieLens folder is none."""
        if self.movielens is not None:
            return movielens_loader.load(self.movielens, self.seed)
        return synthetic_world.generate(self.users, self.movies, self.seed)


@dataclass(frozen=True, slots=True)
class LiveSpec:
    """Live traffic: requests a second, speed-up of viewing, duration."""

    proxy: str
    rate: float
    poisson: bool
    speedup: float
    duration_s: float | None
    scale: RatingScale
    clock: LocalClock = UTC_CLOCK
    new_accounts: float = 0.0
    """Share of the visits that are by users who sign up first."""
    incomplete: float = 0.0
    max_user_id: int = synthetic_world.MAX_USERS
    """Nobody signs up beyond it: the reader would not take the lines."""


@dataclass(frozen=True, slots=True)
class SiteSpec:
    """The user and movie APIs: address, what documents hold, and faults."""

    host: str
    port: int
    tagline: bool
    cost: bool = False
    described: float = 0.0
    faults: SiteFaults = field(default_factory=SiteFaults)


@dataclass(frozen=True, slots=True)
class GrowthSpec:
    """How the site grows; `state` is the file that its processes share."""

    movies_per_day: float = 0.0
    new_accounts: float = 0.0
    state: Path | None = None

    def open(self, world: World, seed: int, state: GrowthState) -> Site:
        """Return the site of a world, in this state."""
        return Site(world, seed=seed, movies_per_day=self.movies_per_day, state=state)


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of a run; None disables that part."""

    world: WorldSpec
    site: SiteSpec | None
    live: LiveSpec | None
    backfill_days: float | None
    events: int
    workers: int
    rates: CorruptionRates
    max_user_id: int
    scale: RatingScale
    check_catalog: bool
    bootstrap: str | None
    topic: str
    partitions: int
    server: Server
    ledger: Path | None
    continue_ledger: bool
    clock: LocalClock = UTC_CLOCK
    incomplete: float = 0.0
    """Share of the documents that are incomplete, whoever answers them."""
    growth: GrowthSpec = field(default_factory=GrowthSpec)


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
