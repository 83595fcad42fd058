import numpy as np

from functions.train_als import edlae, item_knn
from movierec.model.fitted import Exclusions
from tests.unit.movierec.model.tastes import TASTES, tasteful

DATASET = tasteful()
EVERYTHING = np.ones(len(DATASET.movies), bool)
X = edlae.interactions(DATASET, EVERYTHING, edlae.Parameters())


def cosines():
    x = X.toarray()
    norms = np.linalg.norm(x, axis=0)
    found = x.T @ x / np.outer(norms, norms)
    np.fill_diagonal(found, 0)
    return found


def test_scores_read_the_weights_where_they_are():
    """A product with a sparse row copies a matrix of Fortran's order, all of it."""
    weights = item_knn.weights(X, 3).weights
    assert weights.flags.c_contiguous


def test_weights_are_cosines():
    np.testing.assert_allclose(item_knn.weights(X, 60).weights, cosines(), rtol=1e-5)


def test_only_the_nearest_count():
    expected = cosines()
    for column in expected.T:
        column[column < np.sort(column)[-7]] = 0
    np.testing.assert_allclose(item_knn.weights(X, 60, 7).weights, expected, rtol=1e-5)


def test_lists_are_of_the_users_taste():
    users = np.arange(len(DATASET.user_ids))
    model = item_knn.fit(DATASET, EVERYTHING)
    lists = model.top(users, 5, Exclusions.of(DATASET, EVERYTHING))
    assert (lists % TASTES == (users[:, None] + 1) % TASTES).mean() > 0.95
