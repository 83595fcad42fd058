"""A user's factors from the movies' alone, against the equation written out."""

import numpy as np
import pytest

from movierec.model import fold_in
from movierec.model.fold_in import FoldIn
from movierec.model.sparse_rows import SparseRows

N_USERS, N_MOVIES, K, REG = 300, 80, 6, 0.7


@pytest.fixture(scope="module")
def case():
    rng = np.random.default_rng(8)
    movies = rng.normal(size=(N_MOVIES, K)).astype(np.float32)
    likes = rng.random((N_USERS, N_MOVIES)) < rng.random((N_USERS, 1)) ** 3
    likes[[0, 9]] = False
    rows, columns = np.nonzero(likes)
    indptr = np.concatenate(([0], np.cumsum(np.bincount(rows, minlength=N_USERS))))
    return movies, SparseRows(indptr, columns), 1 + 5 * rng.random(len(columns))


def solved(case):
    movies, liked, confidences = case
    return FoldIn(movies, REG).factors(liked, confidences)


def written_out(case, user):
    movies, liked, confidences = case
    entries = slice(liked.indptr[user], liked.indptr[user + 1])
    y, c, p = movies.astype(np.float64), np.ones(N_MOVIES), np.zeros(N_MOVIES)
    c[liked.columns[entries]] = confidences[entries]
    p[liked.columns[entries]] = 1
    left = y.T @ np.diag(c) @ y + REG * np.eye(K)
    return np.linalg.solve(left, y.T @ np.diag(c) @ p)


@pytest.mark.parametrize("entries_a_chunk", [1, 500, 125_000])
def test_every_user_solves_the_equation_however_users_are_batched(
    case, entries_a_chunk, monkeypatch
):
    monkeypatch.setattr(fold_in, "_ENTRIES_A_CHUNK", entries_a_chunk)
    found = solved(case)
    wanted = np.array([written_out(case, user) for user in range(N_USERS)])
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


def test_a_user_who_likes_nothing_has_no_factors(case):
    found = solved(case)
    assert not found[[0, 9]].any()
    assert found[np.diff(case[1].indptr) > 0].any(axis=1).all()


def test_nobody_is_no_error(case):
    none = SparseRows(np.zeros(1, np.int64), np.zeros(0, np.int64))
    assert FoldIn(case[0], REG).factors(none, np.zeros(0)).shape == (0, K)


def test_contributions_sum_to_the_score(case):
    movies, liked, confidences = case
    user = int(np.argmax(np.diff(liked.indptr) > 2))
    entries = slice(liked.indptr[user], liked.indptr[user + 1])
    found = FoldIn(movies, REG)
    parts = found.contributions(liked.columns[entries], confidences[entries], np.arange(N_MOVIES))
    assert parts.shape == (N_MOVIES, entries.stop - entries.start)
    np.testing.assert_allclose(parts.sum(axis=1), movies @ solved(case)[user], atol=1e-4)
