"""Everybody's list keeps the product's promises: unseen, fit for the age, never empty-handed."""

from dataclasses import replace

import numpy as np
import pytest

from movierec.model import artifact, list_assembly, popularity, segments
from movierec.model.artifact import TOP_K
from movierec.model.dataset import Dataset
from movierec.model.fitted import Factors
from movierec.model.segments import GROUPS, MINORS
from tests.unit.movierec.model.svd_model import SvdModel

N_USERS, N_MOVIES = 40, 30
PAD = 65535


def make(n_movies=N_MOVIES):
    """Return random interactions of users 1..N_USERS; the first five like nothing."""
    rng = np.random.default_rng(4)
    seen = rng.random((N_USERS, n_movies)) < 0.3
    seen[:, 0] = True
    seen[N_USERS - 1] = True
    rows, movies = np.nonzero(seen)
    ids = np.arange(1, N_USERS + 1)
    groups = segments.group_of(ids * 2 - 1, ["F", "M"] * (N_USERS // 2))
    strength = rng.random(len(rows)).astype(np.float32) + 0.01
    strength[rows < 5] = 0
    adult = np.arange(n_movies) % 4 == 1
    return Dataset(
        indptr=np.concatenate(([0], np.cumsum(seen.sum(axis=1)))),
        movies=movies.astype(np.int32),
        strength=strength,
        ratings=np.zeros(len(rows), np.int8),
        last_at=np.zeros(len(rows), np.uint32),
        part=np.zeros(len(rows), np.uint8),
        user_ids=ids,
        movie_ids=tuple(f"m{i}" for i in range(n_movies)),
        adult=adult,
        user_groups=segments.groups_by_id(ids, groups),
    ), seen


def assembled(dataset):
    fitted = SvdModel(dataset, np.ones(len(dataset.movies), bool))
    return list_assembly.assemble(dataset, fitted, fitted.factors)


@pytest.fixture(scope="module")
def both():
    dataset, seen = make()
    return dataset, seen, assembled(dataset)


def rows(built):
    return [[m for m in row if m != PAD] for row in built.topk.tolist()]


def test_the_model_is_a_valid_artifact(both):
    assert artifact.unpack(artifact.pack(both[2])).movie_ids == both[0].movie_ids


def test_nothing_seen_is_listed_and_everything_else_is(both):
    """The catalog is smaller than TOP_K, so that a list is all that is left."""
    dataset, seen, built = both
    minor = np.asarray(MINORS)[segments.groups_of(dataset.user_ids, dataset.user_groups)]
    for user, found in enumerate(rows(built)):
        left = set(np.flatnonzero(~seen[user] & ~(minor[user] & dataset.adult)).tolist())
        assert set(found) == left
        assert len(found) == len(left)


def test_a_user_who_has_seen_everything_has_an_empty_row(both):
    assert rows(both[2])[-1] == []


def test_a_user_who_likes_nothing_gets_the_groups_popular_movies_unseen(both):
    dataset, seen, built = both
    groups = segments.groups_of(dataset.user_ids, dataset.user_groups)
    for user in range(5):
        popular = built.popular.groups[GROUPS[groups[user]]]
        wanted = [m for m in popular if not seen[user][dataset.movie_ids.index(m)]]
        assert [dataset.movie_ids[m] for m in rows(built)[user]] == wanted


def test_popular_lists_count_what_was_liked_not_what_was_seen(both):
    dataset = both[0]
    counts = popularity.likes_by_group(
        dataset, segments.groups_of(dataset.user_ids, dataset.user_groups)
    )
    assert counts.shape == (len(GROUPS), N_MOVIES)
    assert counts.sum() == (dataset.strength > 0).sum()
    assert counts[:, 0].sum() == N_USERS - 5


def test_every_group_has_a_list_and_those_of_minors_are_safe(both):
    dataset, _, built = both
    adult = {dataset.movie_ids[i] for i in np.flatnonzero(dataset.adult)}
    assert set(built.popular.groups) == set(GROUPS)
    for group, minor in zip(GROUPS, MINORS, strict=True):
        assert adult.isdisjoint(built.popular.groups[group]) == minor


def test_many_movies_make_full_rows():
    built = assembled(make(n_movies=400)[0])
    assert built.topk.shape == (N_USERS, TOP_K)
    assert (built.topk[:-1] != PAD).all()


def test_users_beyond_the_known_ids_are_of_unknown_age():
    dataset, _ = make()
    built = assembled(replace(dataset, user_groups=np.zeros(0, np.uint8)))
    adult = set(np.flatnonzero(dataset.adult).tolist())
    assert all(adult.isdisjoint(found) for found in rows(built))


def test_more_movies_than_16_bits_number_have_a_type_of_their_own():
    dataset, _ = make(n_movies=66_000)
    built = assembled(dataset)
    assert built.topk.dtype == np.uint32
    assert (built.topk[:-1] < 66_000).all()
    assert (built.topk[-1] == np.iinfo(np.uint32).max).all()


class _Ranked:
    """Every user's movies in order of their number; counts the users of a call."""

    def __init__(self):
        self.calls = []

    def top(self, users, k, exclusions):
        self.calls.append(len(users))
        lists = np.full((len(users), k), -1, np.int32)
        lists[:, 0] = users % 7
        return lists

    def pair_scores(self, users, movies):
        return np.zeros(len(users), np.float32)


def test_lists_of_many_users_are_made_some_at_a_time():
    n, fitted = 120_000, _Ranked()
    one = np.ones(n, np.float32)
    ids = np.arange(1, n + 1)
    dataset = replace(
        make()[0],
        indptr=np.arange(n + 1),
        movies=np.zeros(n, np.int32),
        strength=one,
        user_ids=ids,
        user_groups=np.zeros(0, np.uint8),
    )
    factors = Factors(np.zeros((n, 1), np.float32), np.zeros((N_MOVIES, 1), np.float32))
    built = list_assembly.assemble(dataset, fitted, factors)
    assert max(fitted.calls) == 50_000
    assert sum(fitted.calls) == n
    assert (built.topk[:, 0] == np.arange(n) % 7).all()
    assert (built.topk[:, 1:] == PAD).all()
