"""The closed form against normal equations that are solved movie by movie."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from functions.train_als import als, edlae
from functions.train_als.edlae import ItemToItemModel, Parameters
from movierec.errors import UsageError
from movierec.model.fitted import Exclusions
from tests.unit.movierec.model.tastes import N_MOVIES, TASTES, tasteful

PARAMETERS = Parameters(dropout=0.4, regularization=0.1, user_exponent=0.5)


def interactions(seed=3, users=40, movies=9):
    rng = np.random.default_rng(seed)
    return csr_matrix((rng.random((users, movies)) < 0.3).astype(np.float32))


def reference(x, parameters):
    """b_j minimises, over all drops in the mean, sum_u w_u (x_uj - d_u' b_j)^2 + lambda |b_j|^2.

    d_u is u's row without movie j, an entry kept with probability 1 - p and then divided by it:
    E[d d'] is G off the diagonal, and diag(G) / (1 - p) on it.
    """
    dense = np.asarray(x.todense(), np.float64)
    lengths = dense.sum(axis=1)
    w = np.maximum(lengths, 1) ** -parameters.user_exponent
    w *= lengths.sum() / (w @ lengths)
    gram = dense.T @ np.diag(w) @ dense
    reg = parameters.regularization * als.bai_yin_edge(x) ** 2
    second = gram + np.diag(np.diag(gram) * (1 / (1 - parameters.dropout) - 1))
    weights = np.zeros_like(gram)
    for j in range(len(gram)):
        rest = np.arange(len(gram)) != j
        left = second[np.ix_(rest, rest)] + reg * np.eye(len(gram) - 1)
        weights[rest, j] = np.linalg.solve(left, gram[rest, j])
    return weights


@pytest.mark.parametrize(
    "parameters",
    [PARAMETERS, replace(PARAMETERS, dropout=0.0), replace(PARAMETERS, user_exponent=0.0)],
)
def test_the_weights_are_those_of_the_normal_equations(parameters):
    x = interactions()
    found = edlae.fit(x, parameters)
    np.testing.assert_array_equal(found.movies, np.arange(9))
    np.testing.assert_allclose(found.weights, reference(x, parameters), rtol=1e-4, atol=1e-6)


def test_only_the_most_watched_movies_have_weights():
    x = interactions()
    found = edlae.fit(x, replace(PARAMETERS, movies=4))
    counts = np.bincount(x.indices, minlength=9)
    assert len(found.movies) == 4
    assert counts[found.movies].min() >= np.delete(counts, found.movies).max()
    model = ItemToItemModel.of(found, x)
    scores = model.score_rows(np.arange(40))
    assert scores.shape == (40, 9)
    assert not np.delete(scores, found.movies, axis=1).any()


def test_a_list_is_of_the_users_taste_and_unseen():
    dataset = tasteful()
    everything = np.ones(len(dataset.movies), bool)
    model = ItemToItemModel.fit(dataset, everything, Parameters())
    users = np.arange(len(dataset.user_ids))
    lists = model.top(users, 5, Exclusions.of(dataset, everything))
    assert (lists % TASTES == (users[:, None] + 1) % TASTES).mean() > 0.95
    for user in users:
        seen = dataset.movies[dataset.indptr[user] : dataset.indptr[user + 1]]
        assert not set(seen) & set(lists[user])


def test_scores_of_pairs_are_those_of_rows():
    model = ItemToItemModel.fit(tasteful(), np.ones(len(tasteful().movies), bool), Parameters())
    rng = np.random.default_rng(0)
    users, movies = rng.integers(0, 120, 5_000), rng.integers(0, N_MOVIES, 5_000)
    expected = model.score_rows(np.arange(120))[users, movies]
    np.testing.assert_allclose(model.pair_scores(users, movies), expected, rtol=1e-5)


def test_strengths_weigh_as_much_as_they_are_asked_to():
    dataset = tasteful(1)
    keep = dataset.strength > 0
    plain = edlae.interactions(dataset, keep, Parameters())
    half = edlae.interactions(dataset, keep, Parameters(strength_share=0.5))
    assert set(plain.data) == {1.0}
    np.testing.assert_allclose(half.data, 0.5 + 0.5 * dataset.strength[keep])


@pytest.mark.parametrize(
    "values", [{"dropout": 1.0}, {"movies": 0}, {"regularization": 0.0}, {"user_exponent": 2.0}]
)
def test_parameters_out_of_range_are_refused(values):
    with pytest.raises(UsageError, match=next(iter(values))):
        Parameters.read(values)
