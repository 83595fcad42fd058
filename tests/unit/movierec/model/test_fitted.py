"""Lists from dense scores: the best that may be shown, in order, of any number of users."""

import numpy as np
import pytest

from movierec.model.fitted import Exclusions, top_of
from movierec.model.popularity import Popularity
from movierec.model.sparse_rows import SparseRows

N_USERS, N_MOVIES = 1_100, 40


@pytest.fixture(scope="module")
def exclusions():
    rng = np.random.default_rng(1)
    seen = rng.random((N_USERS, N_MOVIES)) < rng.random((N_USERS, 1))
    rows, columns = np.nonzero(seen)
    indptr = np.concatenate(([0], np.cumsum(np.bincount(rows, minlength=N_USERS))))
    return Exclusions(SparseRows(indptr, columns), rng.random(N_USERS) < 0.5, np.array([3, 4]))


def wanted(scores, user, exclusions, k):
    seen = exclusions.seen.columns[exclusions.seen.indptr[user] : exclusions.seen.indptr[user + 1]]
    shut = {*seen.tolist(), *(exclusions.adult.tolist() if exclusions.restricted[user] else ())}
    found = [m for m in np.argsort(-scores, kind="stable").tolist() if m not in shut][:k]
    return found + [-1] * (k - len(found))


@pytest.mark.parametrize("k", [1, 20, N_MOVIES, N_MOVIES + 5])
def test_lists_equal_a_full_sort_of_what_is_left(exclusions, k):
    scores = np.random.default_rng(2).random((N_USERS, N_MOVIES), dtype=np.float32)
    users = np.random.default_rng(3).permutation(N_USERS)
    found = top_of(lambda rows: scores[rows], users, k, exclusions)
    expected = [wanted(scores[user], user, exclusions, k) for user in users.tolist()]
    assert found.tolist() == expected


@pytest.mark.parametrize("n_movies", [40 * 64, 40 * 64 + 1, 41 * 64 - 1])
def test_of_many_movies_the_best_are_found_wherever_they_are(n_movies):
    rng = np.random.default_rng(6)
    scores = rng.random((600, n_movies), dtype=np.float32)
    scores[:300, -3:] += 1
    nothing = SparseRows(np.zeros(601, np.int64), np.zeros(0, np.int32))
    exclusions = Exclusions(nothing, np.arange(600) % 2 == 0, np.arange(n_movies - 2, n_movies))
    found = top_of(lambda rows: scores[rows], np.arange(600), 20, exclusions)
    expected = [wanted(scores[user], user, exclusions, 20) for user in range(600)]
    assert found.tolist() == expected


@pytest.mark.parametrize("k", [1, 20, N_MOVIES + 5])
def test_popular_lists_equal_a_full_sort_of_the_own_groups_scores(exclusions, k):
    scores = np.random.default_rng(4).integers(0, 9, (3, N_MOVIES)).astype(np.float64)
    groups = np.arange(N_USERS) % 3
    users = np.random.default_rng(5).permutation(N_USERS)[:700]
    found = Popularity(scores, groups).top(users, k, exclusions)
    expected = [wanted(scores[groups[user]], user, exclusions, k) for user in users.tolist()]
    assert found.tolist() == expected


def test_a_low_score_is_a_score(exclusions):
    lowest = np.full((N_USERS, N_MOVIES), np.finfo(np.float32).min)
    found = top_of(lambda rows: lowest[rows], np.arange(3), 2, exclusions)
    assert found.tolist() == [wanted(lowest[user], user, exclusions, 2) for user in range(3)]


def test_rows_are_taken_in_any_order_and_twice(exclusions):
    rows = exclusions.seen.take(np.array([7, 2, 7]))
    parts = [rows.columns[a:b].tolist() for a, b in zip(rows.indptr, rows.indptr[1:], strict=False)]
    whole = exclusions.seen
    each = [whole.columns[whole.indptr[i] : whole.indptr[i + 1]].tolist() for i in (7, 2)]
    assert parts == [each[0], each[1], each[0]]
    assert rows.row_numbers().tolist() == [0] * len(each[0]) + [1] * len(each[1]) + [2] * len(
        each[0]
    )
