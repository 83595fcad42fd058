"""The site as it is now: its world with the films and accounts that came since it opened."""

import time
from collections.abc import Callable
from typing import Final

from simulator.growth_state import GrowthState
from simulator.synthetic_world import World
from simulator.world_growth import GrowingWorld

# Seconds between checks for new films: adding one takes milliseconds.
_CHECK_S: Final = 1.0


class Site:
    """A world that grows: by `movies_per_day`, evenly spaced, and by the accounts of `state`."""

    def __init__(
        self,
        base: World,
        *,
        seed: int = 0,
        movies_per_day: float = 0.0,
        state: GrowthState | None = None,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        self._growing = GrowingWorld(base, seed)
        self._movies_per_day = movies_per_day
        self._state = state or GrowthState()
        self._now_s = now_s
        self._checked_s = -_CHECK_S

    @classmethod
    def of(cls, world: "World | Site") -> "Site":
        """Return the site of a world that does not grow."""
        return world if isinstance(world, Site) else cls(world)

    @property
    def first_users(self) -> int:
        """Return how many users the site opened with; later ids are accounts created since."""
        return len(self._growing.base.users)

    @property
    def first_world(self) -> World:
        """Return the world that the site opened with."""
        return self._growing.base

    @property
    def world(self) -> World:
        """Return the world with the films that are out; it may have rows of users to come."""
        now_s = self._now_s()
        if self._movies_per_day and not 0 <= now_s - self._checked_s < _CHECK_S:
            self._checked_s = now_s
            films = self._state.films_at(now_s, self._movies_per_day, now_s)
            self._growing.grow(films, 0)
        return self._growing.world

    def user_count(self) -> int:
        """Return how many users there are: ids 1..n. Raises UsageError."""
        accounts = self._state.accounts()
        self._growing.grow(0, accounts)
        return self.first_users + accounts

    def create_accounts(self, count: int) -> range:
        """Return the rows of new users. Raises UsageError."""
        before = self._state.claim_accounts(count, self._now_s())
        self._growing.grow(0, before + count)
        first = self.first_users + before
        return range(first, first + count)
