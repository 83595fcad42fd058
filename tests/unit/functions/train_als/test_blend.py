"""A blend ranks by the sum of standardised scores."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from functions.train_als.als import AlsModel
from functions.train_als.blend import Blend, Parameters
from functions.train_als.edlae import ItemToItemModel, ItemWeights
from movierec.errors import UsageError
from movierec.model import standard_scores
from movierec.model.fitted import Exclusions, Factors
from movierec.model.sparse_rows import SparseRows

USERS = np.array([[1.0, 0.0], [0.5, 1.0]], np.float32)
MOVIES = np.array([[1, 0], [0.5, 0.5], [0, 1], [0.2, 0.1]], np.float32)
WEIGHTS = np.array([[0, 0.5, 0.1], [0.4, 0, 0.2], [0.3, 0.6, 0]], np.float32)
X = csr_matrix(np.array([[1, 0, 0, 0], [0, 1, 0, 0]], np.float32))
LIKES = np.array([8, 4, 2, 1])

NOTHING_SEEN = SparseRows(np.zeros(3, np.int64), np.zeros(0, np.int32))
NOBODY, NO_MOVIE = np.zeros(2, bool), np.zeros(0, np.int32)


def made(**parameters):
    als_model = AlsModel(Factors(USERS, MOVIES), 1, 1.0)
    items = ItemToItemModel.of(ItemWeights(np.arange(3, dtype=np.int32), WEIGHTS, 4), X)
    return Blend.of(als_model, items, LIKES, Parameters(**parameters))


def standardised(scores, liked):
    """Return each row, standardised over what is not liked, movie by movie."""
    rows = []
    for row, own in zip(scores, liked, strict=True):
        others = [s for i, s in enumerate(row) if i not in own]
        rows.append((row - np.mean(others)) / np.std(others))
    return np.array(rows)


@pytest.mark.parametrize("exponent", [0.0, 0.3])
def test_the_score_is_the_weighted_sum_of_standardised_ones(exponent):
    by_items = np.array([[0, 0.5, 0.1], [0.4, 0, 0.2]])
    discount = LIKES[:3] ** -exponent
    liked = [{0}, {1}]
    expected = 0.7 * standardised(USERS @ MOVIES[:3].T * discount, liked)
    expected += 0.3 * standardised(by_items * discount, liked)
    model = made(als_share=0.7, popularity_exponent=exponent)
    found = model.score_rows(np.arange(2))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(
        model.pair_scores(np.array([1, 0]), np.array([0, 2])), expected[[1, 0], [0, 2]], rtol=1e-4
    )


def test_its_lists_hold_nothing_that_is_excluded():
    seen = SparseRows(X.indptr, X.indices)
    exclusions = Exclusions(seen, np.array([False, True]), np.array([2]))
    lists = made().top(np.arange(2), 4, exclusions)
    assert sorted(lists[0].tolist()) == [-1, -1, 1, 2]
    assert sorted(lists[1].tolist()) == [-1, -1, -1, 0]


def test_a_movie_without_weights_is_below_all_others():
    found = made().pair_scores(np.array([0, 0, 0]), np.array([1, 2, 3]))
    assert found[2] < found[:2].min()
    assert 3 not in made().top(np.array([1]), 4, Exclusions(NOTHING_SEEN, NOBODY, NO_MOVIE))


def test_lists_of_movies_that_are_apart_name_the_right_ones():
    """Columns of the weights are not the data set's."""
    als_model = AlsModel(Factors(USERS, MOVIES), 1)
    ranked = np.array([0, 2, 3], np.int32)
    items = ItemToItemModel.of(ItemWeights(ranked, WEIGHTS, 4), X)
    model = Blend.of(als_model, items, LIKES, Parameters(als_share=1.0, popularity_exponent=0.0))
    lists = model.top(np.array([1, 0]), 2, Exclusions(NOTHING_SEEN, NOBODY, NO_MOVIE))
    scores = USERS[[1, 0]] @ MOVIES[ranked].T
    np.testing.assert_array_equal(lists, ranked[np.argsort(-scores, axis=1)[:, :2]])


def test_scores_that_are_all_alike_say_nothing():
    scale = standard_scores.scale_of(
        np.full((1, 4), 2.0, np.float32), SparseRows(np.array([0, 0]), X.indices[:0])
    )
    assert scale.mean[0] == pytest.approx(2.0)
    assert scale.deviation[0] > 0


def test_a_share_out_of_range_is_refused():
    with pytest.raises(UsageError, match="als_share"):
        Parameters.read({"als_share": 1.5})
