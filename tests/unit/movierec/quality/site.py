"""A site's data set, sampled: users with ages and habits, movies with genres and a popularity."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from movierec.model.dataset import Dataset
from movierec.quality.profile import Attributes, Clock, profile

N_USERS, N_MOVIES = 2000, 300
GENRES = np.array(["Drama", "Comedy", "Action", "Horror"])
HOURS = 1 + np.sin((np.arange(24) - 14) * np.pi / 12)


@dataclass(frozen=True)
class Site:
    """What of it has moved since; as it is by default."""

    rating_shift: int = 0
    swaps_ages: bool = False
    flat: bool = False
    hours_moved: int = 0
    offset: str = "60"
    horror: bool = False
    days: float = 30.0

    def sample(self, seed):
        """Return dataset, attributes, clock, ratings and kinds of new users."""
        rng = np.random.default_rng(seed)
        weights = np.ones(N_MOVIES) if self.flat else 1 / (5 + np.arange(N_MOVIES))
        sizes = np.minimum(1 + rng.geometric(0.08, N_USERS), 60)
        rows = [
            np.sort(rng.choice(N_MOVIES, size, replace=False, p=weights / weights.sum()))
            for size in sizes
        ]
        movies = np.concatenate(rows).astype(np.int32)
        n = len(movies)
        ratings = rng.choice([0, 1, 2, 3, 4, 5], n, p=[0.5, 0.03, 0.06, 0.13, 0.17, 0.11])
        rated = ratings > 0
        ratings[rated] = np.clip(ratings[rated] + self.rating_shift, 1, 5)
        ages = rng.choice([15, 20, 30, 40, 50, 70], N_USERS, p=[0.1, 0.3, 0.3, 0.15, 0.1, 0.05])
        if self.swaps_ages:
            ages = np.select([ages == 20, ages == 70], [70, 20], ages)
        clock = rng.multinomial(20 * n, HOURS / HOURS.sum())
        dataset = Dataset(
            indptr=np.concatenate(([0], np.cumsum(sizes))),
            movies=movies,
            strength=rng.random(n).astype(np.float32),
            ratings=ratings.astype(np.int8),
            last_at=(1_790_000_000 + rng.integers(0, 86_400 * 30, n)).astype(np.uint32),
            part=np.zeros(n, np.uint8),
            user_ids=np.arange(1, N_USERS + 1),
            movie_ids=tuple(f"m{i:03}" for i in range(N_MOVIES)),
            adult=np.zeros(N_MOVIES, np.bool_),
            user_groups=np.zeros(0, np.uint8),
        )
        genres = GENRES[np.arange(N_MOVIES) % (4 if self.horror else 3)]
        attributes = Attributes(
            np.ones(N_MOVIES, np.bool_),
            [f"{name}|Any" for name in genres],
            np.linspace(1950, 2020, N_MOVIES),
            np.full(N_MOVIES, 100.0),
            np.full(N_MOVIES, 7.0),
            np.ones(N_USERS, np.bool_),
            ages.astype(np.float64),
        )
        hours = Clock(
            (np.arange(24) + self.hours_moved) % 24,
            [self.offset] * 24,
            ["found"] * 24,
            clock,
            self.days,
        )
        counts = np.bincount(ratings, minlength=6)
        by_rating = {str(i): int(counts[i]) for i in range(1, 6) if counts[i]}
        return dataset, attributes, hours, by_rating, {"watch": 20 * n, "rate": int(rated.sum())}

    def profile(self, seed):
        """Return a sample's profile."""
        return profile(*self.sample(seed))


def without_rows(attributes, share, *, movies=False, users=False):
    """Return attributes of a table that has lost a share of its rows."""
    rng = np.random.default_rng(3)
    changed: dict[str, Any] = {}
    if movies:
        changed["movies_known"] = rng.random(N_MOVIES) >= share
    if users:
        changed["users_known"] = rng.random(N_USERS) >= share
    return replace(attributes, **changed)
