"""The library's factors against a solver that one can read beside the paper."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from functions.train_als import als
from functions.train_als.als import AlsModel, Parameters
from movierec.errors import DatasetError, UsageError
from movierec.model.fitted import Exclusions, Factors
from movierec.model.sparse_rows import SparseRows


def reference(confidence, parameters):
    """Solve by the normal equations, row by row, in float64: Hu, Koren & Volinsky 2008, eq. 4, 5.

    Starts where `implicit` does: uniform in 0..0.01, users first, from the seed.
    """
    rng = np.random.default_rng(parameters.seed)
    k, reg = parameters.factors, parameters.regularization * als.bai_yin_edge(confidence)
    users = rng.random((confidence.shape[0], k), dtype=np.float32).astype(np.float64) * 0.01
    movies = rng.random((confidence.shape[1], k), dtype=np.float32).astype(np.float64) * 0.01
    c = np.asarray(confidence.todense(), np.float64)
    for _ in range(parameters.iterations):
        users = solve(c, movies, reg)
        movies = solve(c.T, users, reg)
    return users, movies


def solve(c, y, reg):
    """x_u = (Y' C^u Y + lambda I)^-1 Y' C^u p(u) for every u; C^u is 1 where nothing is stored."""
    rows = []
    for stored in c:
        preference = (stored > 0).astype(np.float64)
        weights = np.diag(np.where(stored > 0, stored, 1))
        left = y.T @ weights @ y + reg * np.eye(y.shape[1])
        rows.append(np.linalg.solve(left, y.T @ weights @ preference))
    return np.array(rows)


def confidences(seed=3, shape=(40, 25), density=0.2):
    rng = np.random.default_rng(seed)
    values = np.where(rng.random(shape) < density, 1 + 4 * rng.random(shape), 0)
    return csr_matrix(values.astype(np.float32))


SMALL = Parameters(factors=5, iterations=8, regularization=0.2)


def test_exact_factors_match_the_reference():
    users, movies = reference(confidences(), SMALL)
    found = als.fit(confidences(), SMALL, threads=2, exact=True)
    np.testing.assert_allclose(found.users, users, rtol=2e-3, atol=2e-4)
    np.testing.assert_allclose(found.movies, movies, rtol=2e-3, atol=2e-4)


def loss(confidence, users, movies, reg):
    c = np.asarray(confidence.todense(), np.float64)
    errors = np.where(c > 0, c, 1) * ((c > 0) - users @ movies.T) ** 2
    return errors.sum() + reg * ((users**2).sum() + (movies**2).sum())


def test_conjugate_gradients_reach_the_references_loss():
    parameters = replace(SMALL, iterations=60)
    reg = parameters.regularization * als.bai_yin_edge(confidences())
    found = als.fit(confidences(), parameters, threads=1)
    users, movies = reference(confidences(), parameters)
    best = loss(confidences(), users, movies, reg)
    reached = loss(confidences(), found.users.astype(float), found.movies.astype(float), reg)
    assert reached == pytest.approx(best, rel=0.01)


def test_one_seed_gives_the_same_bytes_with_any_number_of_threads():
    one, again, threaded = (als.fit(confidences(), SMALL, threads=n) for n in (1, 1, 3))
    assert one.users.tobytes() == again.users.tobytes() == threaded.users.tobytes()
    assert one.movies.tobytes() == threaded.movies.tobytes()
    other = als.fit(confidences(), replace(SMALL, seed=1), threads=1)
    assert other.users.tobytes() != one.users.tobytes()


def test_users_without_a_positive_interaction_have_no_factors():
    confidence = confidences().tolil()
    confidence[7] = 0
    found = als.fit(csr_matrix(confidence), SMALL, threads=1)
    assert not found.users[7].any()


def test_factors_that_are_no_numbers_are_refused():
    broken = confidences()
    broken.data[:] = 3e38
    with pytest.raises(DatasetError, match="regularization"):
        als.fit(broken, SMALL, threads=1)


def test_the_noise_edge_covers_the_singular_values_of_noise():
    """All but the first, which is the mean and no noise."""
    noise = confidences(shape=(400, 300), density=0.1)
    noise.data[:] = 1
    largest = np.linalg.svd(noise.todense(), compute_uv=False)[1]
    assert 0.85 < largest / als.bai_yin_edge(noise) <= 1.02


def top(factors, seen, restricted, k=4, adult=(0, 2)):
    exclusions = Exclusions(
        SparseRows(seen.indptr, seen.indices), np.array(restricted), np.array(adult, np.int32)
    )
    return AlsModel(factors, threads=1, regularization=1.0).top(
        np.arange(len(restricted)), k, exclusions
    )


def test_lists_equal_a_full_sort_without_what_is_seen_or_forbidden():
    rng = np.random.default_rng(5)
    factors = Factors(*(rng.random((n, 3), dtype=np.float32) for n in (30, 12)))
    seen = confidences(shape=(30, 12))
    restricted = rng.random(30) < 0.5
    lists = top(factors, seen, restricted, k=12)
    scores = factors.users @ factors.movies.T
    for user, found in enumerate(lists.tolist()):
        forbidden = set(seen[user].indices) | ({0, 2} if restricted[user] else set())
        wanted = [m for m in np.argsort(-scores[user]).tolist() if m not in forbidden]
        assert found == wanted + [-1] * (12 - len(wanted))


def test_fewer_movies_than_places_are_padded():
    factors = Factors(np.ones((2, 1), np.float32), np.ones((3, 1), np.float32))
    found = top(factors, csr_matrix((2, 3), dtype=np.float32), [False, True], k=5)
    assert sorted(found[0].tolist()) == [-1, -1, 0, 1, 2]
    assert found[1].tolist() == [1, -1, -1, -1, -1]


def test_a_list_is_never_of_movies_with_negative_scores_withheld():
    """A low score is a score: only what is seen or forbidden is left out."""
    factors = Factors(-np.ones((1, 1), np.float32), np.array([[1], [2]], np.float32))
    empty = csr_matrix((1, 2), dtype=np.float32)
    assert top(factors, empty, [False], k=2).tolist() == [[0, 1]]


@pytest.mark.parametrize(
    "values", [{"factors": 0}, {"alpha": -1.0}, {"regularization": 0}, {"iterations": 0}, {"x": 1}]
)
def test_a_wrong_parameter_is_named(values):
    with pytest.raises(UsageError, match=next(iter(values))):
        Parameters.read(values)
