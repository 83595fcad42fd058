"""Metrics with answers that one can work out by hand."""

import math

import numpy as np
import pytest
from implicit.evaluation import ranking_metrics_at_k
from scipy.sparse import csr_matrix

from movierec.model import offline_metrics as om

LISTS = np.array([[0, 1, 2], [3, 4, -1]])
ROWS = np.array([0, 0, 1])
ITEMS = np.array([1, 4, 0])
BITS = np.array([1.0, 2.0, 3.0, 4.0, 5.0])


def judged():
    return om.per_user(LISTS, ROWS, ITEMS, BITS)


def test_hits_are_the_users_own():
    assert om.hits(LISTS, ROWS, ITEMS, 5).tolist() == [[False, True, False], [False] * 3]


def test_recall_is_the_share_of_liked_movies_found():
    assert judged().recall.tolist() == [0.5, 0]


def test_ndcg_discounts_the_second_place_and_compares_with_the_best_possible():
    best = 1 + 1 / math.log2(3)
    assert judged().ndcg.tolist() == pytest.approx([(1 / math.log2(3)) / best, 0])


def test_a_perfect_list_scores_one():
    found = om.per_user(np.array([[2, 0, 1]]), np.array([0, 0]), np.array([0, 2]), BITS)
    assert (found.recall[0], found.ndcg[0], found.map[0], found.hit_rate[0]) == (1, 1, 1, 1)


def test_more_liked_movies_than_places_do_not_keep_a_full_list_from_ndcg_one():
    found = om.per_user(np.array([[0, 1]]), np.zeros(5, int), np.arange(5), BITS)
    assert found.ndcg[0] == pytest.approx(1)
    assert found.map[0] == pytest.approx(1)
    assert found.recall[0] == pytest.approx(0.4)


def test_average_precision_counts_from_the_top():
    found = om.per_user(np.array([[9, 1, 9, 2]]) % 5, np.array([0, 0]), np.array([1, 2]), BITS)
    assert found.map[0] == pytest.approx((1 / 2 + 2 / 4) / 2)


def test_the_reciprocal_rank_is_of_the_first_liked_movie():
    found = om.per_user(
        np.array([[3, 1, 2], [0, 1, 2]]), np.array([0, 0, 1]), np.array([1, 2, 4]), BITS
    )
    assert found.mrr.tolist() == [0.5, 0]


def test_equal_exposure_has_a_gini_of_zero_and_one_movie_for_all_nearly_one():
    assert om.gini(np.array([[0, 1], [2, 3]]), 4) == 0
    assert om.gini(np.array([[1], [1], [1]]), 4) == pytest.approx(3 / 4)
    # Exposure 0, 1, 3: (-2 * 0 + 0 * 1 + 2 * 3) / (3 * 4)
    assert om.gini(np.array([[0, 1], [0, -1], [0, -1]]), 3) == pytest.approx(0.5)
    assert om.gini(np.full((2, 2), -1), 3) == 0


class Listed:
    """Given lists as a recommender of `implicit`."""

    def __init__(self, lists):
        self.lists = lists

    def recommend(self, users, _seen, N, **_options):  # noqa: N803  the library's name
        return self.lists[users, :N], np.zeros((len(users), N))


def test_ndcg_and_map_agree_with_another_library():
    rng = np.random.default_rng(3)
    lists = rng.permuted(np.tile(np.arange(40), (25, 1)), axis=1)[:, :10].astype(np.int32)
    liked = rng.random((25, 40)) < 0.2
    liked[:, 0] = True
    rows, items = np.nonzero(liked)
    theirs = ranking_metrics_at_k(
        Listed(lists),
        csr_matrix((25, 40)),
        csr_matrix(liked.astype(np.float32)),
        K=10,
        show_progress=False,
        num_threads=1,
    )
    ours = om.summarise(om.per_user(lists, rows, items, np.zeros(40)))
    assert ours["ndcg"] == pytest.approx(theirs["ndcg"])
    assert ours["map"] == pytest.approx(theirs["map"])


def test_with_one_liked_movie_average_precision_is_the_reciprocal_rank():
    rng = np.random.default_rng(4)
    lists = rng.permuted(np.tile(np.arange(12), (30, 1)), axis=1)[:, :8]
    found = om.per_user(lists, np.arange(30), rng.integers(0, 12, 30), np.zeros(12))
    assert found.mrr.tolist() == found.map.tolist()


def test_padding_is_neither_hit_nor_novel():
    assert judged().novelty.tolist() == pytest.approx([2.0, 4.5])
    assert om.coverage(LISTS, 10) == 0.5


def test_surprise_is_minus_log2_of_the_share_who_have_seen_it():
    assert om.surprise(np.array([8, 4, 0]), 8).tolist() == [0, 1, 3]


def test_a_summary_has_means_and_their_standard_errors():
    found = om.summarise(judged())
    assert found["users"] == 2
    assert found["recall"] == 0.25
    assert found["recall_stderr"] == pytest.approx(np.std([0.5, 0], ddof=1) / math.sqrt(2))


def test_a_group_is_summarised_alone_and_an_empty_one_says_so():
    groups = {"one": np.array([True, False]), "none": np.array([False, False])}
    found = om.by_group(judged(), groups)
    assert found["one"]["recall"] == 0.5
    assert found["one"]["recall_stderr"] == 0
    assert found["none"] == {"users": 0}


def test_a_difference_is_taken_user_by_user():
    found = judged()
    assert om.difference(found, found, "ndcg") == {"mean": 0, "stderr": 0}


def test_the_parts_of_users_go_together():
    assert om.concatenate([judged(), judged()]).recall.tolist() == [0.5, 0, 0.5, 0]


def test_the_mean_rating_is_of_recommended_movies_alone():
    ratings = np.array([5, 1, 2])
    assert om.mean_hit_rating(LISTS, ROWS, ITEMS, ratings, 5) == 5
    assert om.mean_hit_rating(LISTS, ROWS[1:], ITEMS[1:], ratings[1:], 5) is None


@pytest.mark.parametrize(
    ("rows", "scores", "ratings", "expected"),
    [
        ([0, 0], [1.0, 2.0], [1, 5], 1),
        ([0, 0], [2.0, 1.0], [1, 5], 0),
        ([0, 0], [1.0, 1.0], [1, 5], 0.5),
        ([0, 0], [1.0, 2.0], [3, 3], None),
        ([0, 1], [1.0, 2.0], [1, 5], None),
        ([], [], [], None),
        ([0, 0, 0, 1, 1], [1.0, 2.0, 3.0, 9.0, 1.0], [1, 3, 2, 1, 5], 2 / 4),
    ],
)
def test_concordance_is_over_pairs_of_one_user(rows, scores, ratings, expected):
    found = om.rating_concordance(np.array(rows), np.array(scores), np.array(ratings))
    assert found == expected
