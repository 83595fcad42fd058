"""Diversity of lists with answers that one can work out by hand."""

import math

import numpy as np
import pytest

from movierec.model import list_diversity
from movierec.model.list_diversity import Viewers

# Users 0..3 have seen: {0, 1}, {0, 1}, {0, 2}, {3}.
INDPTR = np.array([0, 2, 4, 6, 7])
MOVIES = np.array([0, 1, 0, 1, 0, 2, 3])
ALL = np.ones(len(MOVIES), bool)


def viewers(keep=ALL):
    return Viewers.of(INDPTR, MOVIES, keep, 5)


def diversity(*movies):
    return viewers().diversities(np.array([movies])).tolist()


def test_movies_with_the_same_viewers_are_alike():
    assert diversity(0, 1) == pytest.approx([1 - 2 / math.sqrt(3 * 2)])
    assert diversity(1, 2) == [1]


def test_a_list_has_the_mean_over_its_pairs():
    pairs = (2 / math.sqrt(6), 1 / math.sqrt(3), 0)
    assert diversity(0, 1, 2) == pytest.approx([1 - sum(pairs) / 3])


def test_padding_makes_no_pairs_and_a_list_of_one_is_left_out():
    lists = np.array([[0, 1, -1], [3, -1, -1], [-1, -1, -1]])
    assert viewers().diversities(lists).tolist() == pytest.approx([1 - 2 / math.sqrt(6)])


def test_a_movie_that_nobody_has_seen_is_like_no_other():
    assert diversity(0, 4) == [1]


def test_only_the_kept_interactions_count():
    keep = ALL.copy()
    keep[1] = False
    assert viewers(keep).diversities(np.array([[0, 1]])) == pytest.approx([1 - 1 / math.sqrt(3)])


def test_the_sample_gives_nearly_the_cosines_of_all_users():
    rng = np.random.default_rng(0)
    seen = rng.random((2 * list_diversity.USERS, 30)) < np.linspace(0.1, 0.5, 30)
    seen[:, 1] |= seen[:, 0]
    indptr = np.concatenate(([0], np.cumsum(seen.sum(axis=1))))
    movies = np.nonzero(seen)[1]
    found = Viewers.of(indptr, movies, np.ones(len(movies), bool), 30)
    lists = np.array([[0, 1, 5, 9], [20, 25, 29, 28]])
    x = seen.astype(float)
    cosines = (x.T @ x) / np.linalg.norm(x, axis=0) / np.linalg.norm(x, axis=0)[:, None]
    upper = np.triu_indices(4, 1)
    expected = [1 - cosines[np.ix_(row, row)][upper].mean() for row in lists]
    assert found.diversities(lists) == pytest.approx(expected, abs=0.01)


def test_no_more_lists_than_the_sample_are_measured():
    lists = np.tile([0, 1], (2 * list_diversity.LISTS, 1))
    assert len(viewers().diversities(lists)) == list_diversity.LISTS
