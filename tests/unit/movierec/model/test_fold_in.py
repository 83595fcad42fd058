"""A user's factors from the movies' alone, against the equation written out."""

import numpy as np
import pytest

from movierec.model import fold_in
from movierec.model.fold_in import FoldIn, Prior
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


@pytest.mark.parametrize(
    ("entries_a_chunk", "numbers_a_chunk"),
    [(1, 8_000_000), (500, 8_000_000), (125_000, 8_000_000), (125_000, 7 * K**2)],
)
def test_every_user_solves_the_equation_however_users_are_batched(
    case, entries_a_chunk, numbers_a_chunk, monkeypatch
):
    monkeypatch.setattr(fold_in, "_ENTRIES_A_CHUNK", entries_a_chunk)
    monkeypatch.setattr(fold_in, "_NUMBERS_A_CHUNK", numbers_a_chunk)
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


def prior(weight, means=None):
    drawn = np.random.default_rng(3).normal(size=(N_USERS, K)).astype(np.float32)
    return Prior(drawn if means is None else means, np.full(N_USERS, weight))


def test_with_a_prior_every_user_solves_its_equation(case):
    movies, liked, confidences = case
    expected = prior(0.4)
    found = FoldIn(movies, REG).factors(liked, confidences, expected)
    gram = movies.T.astype(np.float64) @ movies + REG * np.eye(K)
    for user in range(N_USERS):
        entries = slice(liked.indptr[user], liked.indptr[user + 1])
        y, c, p = movies.astype(np.float64), np.ones(N_MOVIES), np.zeros(N_MOVIES)
        c[liked.columns[entries]] = confidences[entries]
        p[liked.columns[entries]] = 1
        left = y.T @ np.diag(c) @ y + REG * np.eye(K) + 0.4 * gram
        right = y.T @ np.diag(c) @ p + 0.4 * gram @ expected.means[user]
        np.testing.assert_allclose(found[user], np.linalg.solve(left, right), rtol=1e-5, atol=1e-5)


def test_a_prior_of_no_weight_or_no_mean_changes_nothing(case):
    movies, liked, confidences = case
    without = solved(case)
    for nothing in (prior(0.0), prior(0.7, np.zeros((N_USERS, K), np.float32))):
        found = FoldIn(movies, REG).factors(liked, confidences, nothing)
        np.testing.assert_allclose(found, without, atol=1e-5)


def test_without_likes_the_prior_ranks_and_with_many_it_fades(case):
    movies, liked, confidences = case
    expected, counts = prior(0.4), np.diff(liked.indptr)
    found = FoldIn(movies, REG).factors(liked, confidences, expected)
    np.testing.assert_allclose(found[[0, 9]], expected.means[[0, 9]] * 0.4 / 1.4, rtol=1e-6)
    away = np.linalg.norm(found - solved(case), axis=1)
    assert away[counts > 40].mean() < away[(counts > 0) & (counts < 3)].mean() / 2


def test_contributions_with_a_prior_sum_to_the_score(case):
    movies, liked, confidences = case
    user = int(np.argmax(np.diff(liked.indptr) > 2))
    entries = slice(liked.indptr[user], liked.indptr[user + 1])
    model, everybody = FoldIn(movies, REG), prior(0.4)
    own = Prior(everybody.means[[user]], everybody.weights[[user]])
    every = np.arange(N_MOVIES)
    parts = model.contributions(liked.columns[entries], confidences[entries], every, own)
    assert parts.shape == (N_MOVIES, entries.stop - entries.start + 1)
    x = model.factors(liked, confidences, everybody)[user]
    np.testing.assert_allclose(parts.sum(axis=1), movies @ x, atol=1e-4)
