"""A blend ranks by the sum of standardised scores."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from functions.train_als import blend
from functions.train_als.als import AlsModel
from functions.train_als.blend import Blend, Parameters
from functions.train_als.edlae import ItemToItemModel, ItemWeights
from movierec.errors import UsageError
from movierec.model.fitted import Exclusions, Factors
from movierec.model.sparse_rows import SparseRows

USERS = np.array([[1.0, 0.0], [0.5, 1.0]], np.float32)
MOVIES = np.array([[1, 0], [0.5, 0.5], [0, 1], [0.2, 0.1]], np.float32)
WEIGHTS = np.array([[0, 0.5, 0.1], [0.4, 0, 0.2], [0.3, 0.6, 0]], np.float32)
X = csr_matrix(np.array([[1, 0, 0, 0], [0, 1, 0, 0]], np.float32))
LIKES = np.array([8, 4, 2, 1])


def made(**parameters):
    als_model = AlsModel(Factors(USERS, MOVIES), 1, 1.0)
    items = ItemToItemModel.of(ItemWeights(np.arange(3, dtype=np.int32), WEIGHTS, 4), X)
    return Blend.of(als_model, items, X, LIKES, Parameters(**parameters))


def standardised(scores, liked):
    """Return each row, standardised over what is not liked, movie by movie."""
    rows = []
    for row, own in zip(scores, liked, strict=True):
        others = [s for i, s in enumerate(row) if i not in own]
        rows.append((row - np.mean(others)) / np.std(others))
    return np.array(rows)


@pytest.mark.parametrize("exponent", [0.0, 0.5])
def test_the_score_is_the_weighted_sum_of_standardised_ones(exponent):
    by_items = np.array([[0, 0.5, 0.1, 0], [0.4, 0, 0.2, 0]])
    discount = LIKES**-exponent
    liked = [{0}, {1}]
    expected = 0.7 * standardised(USERS @ MOVIES.T * discount, liked)
    expected += 0.3 * standardised(by_items * discount, liked)
    model = made(als_share=0.7, popularity_exponent=exponent)
    found = model.score_rows(np.arange(2))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(
        model.pair_scores(np.array([1, 0]), np.array([3, 2])), expected[[1, 0], [3, 2]], rtol=1e-4
    )


def test_its_lists_hold_nothing_that_is_excluded():
    seen = SparseRows(X.indptr, X.indices)
    exclusions = Exclusions(seen, np.array([False, True]), np.array([2]))
    lists = made().top(np.arange(2), 4, exclusions)
    assert set(lists[0].tolist()) == {1, 2, 3, -1}
    assert set(lists[1].tolist()) == {0, 3, -1}


def test_scores_that_are_all_alike_say_nothing():
    scale = blend.scale_of(
        np.full((1, 4), 2.0, np.float32), SparseRows(np.array([0, 0]), X.indices[:0])
    )
    assert scale.mean[0] == pytest.approx(2.0)
    assert scale.deviation[0] > 0


def test_a_share_out_of_range_is_refused():
    with pytest.raises(UsageError, match="als_share"):
        Parameters.read({"als_share": 1.5})
