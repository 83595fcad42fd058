"""A data set with a structure that a model must find, small enough for unit tests."""

import numpy as np

from movierec.model import dataset as datasets
from movierec.model import segments
from movierec.model.dataset import Evidence, Rated, Watched
from movierec.model.dataset_parameters import Parameters

N_USERS, N_MOVIES, TASTES = 120, 60, 3


def tasteful(seed=0, *, adult=()):
    """Return a data set of users who watch one third of the movies only: the own taste's."""
    rng = np.random.default_rng(seed)
    users = np.repeat(np.arange(1, N_USERS + 1), 12)
    within = rng.permuted(np.tile(np.arange(N_MOVIES // TASTES), (N_USERS, 1)), axis=1)[:, :12]
    movies = within.ravel() * TASTES + users % TASTES
    at = rng.permutation(len(users)) + 1
    none = np.zeros(0, np.int64)
    flags = np.zeros(N_MOVIES, bool)
    flags[list(adult)] = True
    genders = [("F", "M")[i % 2] for i in range(N_USERS)]
    groups = segments.group_of(10 + np.arange(N_USERS) % 60, genders)
    evidence = Evidence(
        movie_ids=[f"m{i:03}" for i in range(N_MOVIES)],
        watched=Watched(users, movies, np.full(len(users), 90), at),
        rated=Rated(users[:200], movies[:200], rng.integers(1, 6, 200), at[:200])
        if seed
        else Rated(none, none, none, none),
        runtimes_minutes=np.full(N_MOVIES, 100),
        adult=flags,
        user_groups=segments.groups_by_id(np.arange(1, N_USERS + 1), groups),
    )
    return datasets.build(evidence, Parameters(held_out_share=0.2))
