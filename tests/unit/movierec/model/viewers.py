"""A data set with popular movies and niches, large enough for groups to differ by more than chance.

`skewed` has every third user of an occupation; the newest tenth is held out.
"""

import numpy as np

from movierec.model import dataset as datasets
from movierec.model import segments
from movierec.model.dataset import Evidence, Rated, Watched
from movierec.model.dataset_parameters import Parameters
from movierec.model.fitted import top_of
from movierec.model.occupations import Occupations

N_USERS, N_MOVIES, SEEN = 300, 200, 24


def skewed(seed=0, *, days=100, n_users=N_USERS):
    """Return users who watch popular movies more often, by a law of 1 / rank; times up to `days`.

    A longer log goes on where a shorter one ends.
    """
    rng = np.random.default_rng(seed)
    weights = 1 / np.arange(1, N_MOVIES + 1)
    noise = rng.gumbel(size=(n_users, N_MOVIES)) + np.log(weights)
    movies = np.argsort(-noise, axis=1)[:, :SEEN]
    movies = rng.permuted(movies, axis=1).ravel()
    users = np.repeat(np.arange(1, n_users + 1), SEEN)
    at = 1_000 + rng.integers(0, 100 * 86_400, len(users))
    early = at < 1_000 + days * 86_400
    users, movies, at = users[early], movies[early], at[early]
    ids = np.arange(1, n_users + 1)
    groups = segments.group_of(20 + ids % 40, [("F", "M")[i % 2] for i in ids])
    none = np.zeros(0, np.int64)
    evidence = Evidence(
        movie_ids=[f"m{i:03}" for i in range(N_MOVIES)],
        watched=Watched(users, movies, np.full(len(users), 90), at),
        rated=Rated(none, none, none, none),
        runtimes_minutes=np.full(N_MOVIES, 100),
        adult=np.zeros(N_MOVIES, bool),
        user_groups=segments.groups_by_id(ids, groups),
        occupations=Occupations.of(ids[::3], ["artist"] * len(ids[::3])),
    )
    return datasets.build(evidence, Parameters(held_out_share=0.1))


class Scores:
    """A fitted model of given scores, (n_users, n_movies)."""

    def __init__(self, scores):
        self.scores = scores

    def top(self, users, k, exclusions):
        return top_of(lambda rows: self.scores[rows], users, k, exclusions)

    def pair_scores(self, users, movies):
        return self.scores[users, movies]


def likes(dataset, keep):
    """Return 1 for each kept interaction, (n_users, n_movies)."""
    found = np.zeros((len(dataset.user_ids), len(dataset.movie_ids)), np.float32)
    rows = np.repeat(np.arange(len(dataset.user_ids)), np.diff(dataset.indptr))
    found[rows[keep], dataset.movies[keep]] = 1
    return found


def popular(dataset):
    """Return a model that scores movies by their likes in TRAIN, a little different by user."""
    counts = likes(dataset, dataset.part == datasets.TRAIN).sum(axis=0)
    noise = np.random.default_rng(0).random((len(dataset.user_ids), len(counts)))
    return Scores((counts + noise).astype(np.float32))


def random(dataset, seed=1):
    """Return a model that knows nothing."""
    shape = (len(dataset.user_ids), len(dataset.movie_ids))
    return Scores(np.random.default_rng(seed).random(shape).astype(np.float32))
