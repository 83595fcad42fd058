import numpy as np
import pytest

from movierec.errors import ArtifactError
from movierec.model.item_neighbours import FILES, NEIGHBOURS, ItemNeighbours

MOVIES = np.array([0, 2, 3], np.int32)
WEIGHTS = np.array([[0, 0.5, -0.1], [0.4, 0, 0.2], [0.3, 0.6, 0]], np.float32)
PADDING = np.iinfo(np.uint16).max


def test_the_strongest_sources_come_first_and_negative_ones_not_at_all():
    found = ItemNeighbours.strongest(MOVIES, WEIGHTS, 5)
    assert found.sources.shape == (5, NEIGHBOURS)
    assert found.sources[:, :3].tolist() == [
        [2, 3, PADDING],
        [PADDING] * 3,
        [3, 0, PADDING],
        [2, PADDING, PADDING],
        [PADDING] * 3,
    ]
    expected = np.array([[0.4, 0.3], [0, 0], [0.6, 0.5], [0.2, 0]])
    np.testing.assert_allclose(found.weights[:4, :2], expected)


def test_only_so_many_are_kept():
    n = NEIGHBOURS + 5
    weights = np.arange(n * n, dtype=np.float32).reshape(n, n)
    found = ItemNeighbours.strongest(np.arange(n, dtype=np.int32), weights, n)
    assert found.sources[0].tolist() == list(range(n - 1, 4, -1))


def test_contributions_are_the_weights_of_what_is_liked_and_sum_to_the_score():
    found = ItemNeighbours.strongest(MOVIES, WEIGHTS, 5)
    liked, strengths = np.array([0, 3]), np.array([1.0, 0.5], np.float32)
    parts = found.contributions(liked, strengths, np.array([2, 4, 3]))
    np.testing.assert_allclose(parts, np.array([[0.5, 0.3], [0, 0], [0, 0]]))
    np.testing.assert_allclose(found.scores(liked, strengths)[[2, 4, 3]], parts.sum(axis=1))


def test_what_is_packed_comes_back():
    found = ItemNeighbours.strongest(MOVIES, WEIGHTS, 5)
    again = ItemNeighbours.unpack(found.pack())
    np.testing.assert_array_equal(again.sources, found.sources)
    np.testing.assert_array_equal(again.weights, found.weights)


def test_arrays_that_disagree_are_refused():
    files = ItemNeighbours.strongest(MOVIES, WEIGHTS, 5).pack()
    other = ItemNeighbours.strongest(MOVIES, WEIGHTS, 4).pack()
    with pytest.raises(ArtifactError, match="item_neighbours"):
        ItemNeighbours.unpack({**files, FILES[1]: other[FILES[1]]})
