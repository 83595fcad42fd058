"""Random events of users, as evidence of all of them or of those in a span of time."""

from dataclasses import dataclass

import numpy as np

from movierec.model import segments
from movierec.model.dataset import Evidence, Rated, Watched
from movierec.model.recent import Recent

N_USERS, N_MOVIES, MINUTES = 60, 40, 100


@dataclass(frozen=True)
class Events:
    """One row an event: users 1..N_USERS watch, rate, or both; `rating` 0: none."""

    user: np.ndarray
    movie: np.ndarray
    minute: np.ndarray
    rating: np.ndarray
    at: np.ndarray

    def between(self, first, last):
        keep = (self.at >= first) & (self.at < last)
        return Events(*(values[keep] for values in vars(self).values()))

    def last_by_pair(self, keep, values):
        """Return users, movies, the last of `values`, and its time, of each user and movie."""
        order = np.lexsort((self.at[keep], self.movie[keep], self.user[keep]))
        user, movie, at = (v[keep][order] for v in (self.user, self.movie, self.at))
        last = np.append((np.diff(user) != 0) | (np.diff(movie) != 0), True)[: len(user)]
        return user[last], movie[last], values[keep][order][last], at[last]

    def evidence(self):
        """Return the evidence as the lake's queries give it; every runtime is MINUTES."""
        genders = [("F", "M")[i % 2] for i in range(N_USERS)]
        groups = segments.group_of(10 + np.arange(N_USERS), genders)
        users, movies, minutes, at = self.last_by_pair(self.minute >= 0, self.minute)
        return Evidence(
            movie_ids=[f"m{i:02}" for i in range(N_MOVIES)],
            watched=Watched(users, movies, minutes, at),
            rated=Rated(*self.last_by_pair(self.rating > 0, self.rating)),
            runtimes_minutes=np.full(N_MOVIES, MINUTES),
            adult=np.arange(N_MOVIES) % 7 == 3,
            user_groups=segments.groups_by_id(np.arange(1, N_USERS + 1), groups),
        )

    def recent(self):
        """Return the same as `Recent`."""
        watched, rated = self.evidence().watched, self.evidence().rated
        none = np.zeros(len(rated.user_ids))
        return Recent.merged(
            Recent(
                watched.user_ids,
                watched.movies,
                watched.minutes,
                np.zeros(len(watched.user_ids)),
                watched.last_at,
            ),
            Recent(rated.user_ids, rated.movies, none - 1, rated.ratings, rated.last_at),
        )


def events(seed=0, count=1500, *, ratings=(0, 0, 3, 4, 5), first_at=1):
    """Return random events; watching goes on where it stopped."""
    rng = np.random.default_rng(seed)
    user, movie = rng.integers(1, N_USERS + 1, count), rng.integers(0, N_MOVIES, count)
    rating = rng.choice(ratings, count)
    at = np.arange(count) + first_at
    # The later an event of a pair, the larger its minute.
    minute = np.where(rng.random(count) < 0.8, np.sort(rng.integers(0, MINUTES, count)), -1)
    rating = np.where(minute < 0, np.maximum(rating, ratings[-1]), rating)
    return Events(user, movie, minute, rating, at)
