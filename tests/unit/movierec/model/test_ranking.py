"""An answer holds what the artifact says, for anybody who asks."""

import numpy as np
import pytest

from movierec.errors import ArtifactError
from movierec.model import artifact, encoding, ranking, sealed_folder
from movierec.model.artifact import TOP_K, Model, Popular
from movierec.model.ranking import Ranked, Recommender

GROUPS = ["unknown", "F:0-17", "F:18-24"]
PAD = 65535


@pytest.fixture
def files():
    """Users 7, 8, 30 have rows; users 1 and 2 are known by group alone."""
    topk = np.full((3, TOP_K), PAD, np.uint16)
    topk[0] = np.arange(TOP_K)
    topk[1, :2] = [5, 3]
    groups = np.zeros(31, np.uint8)
    groups[[1, 2]] = [1, 2]
    popular = Popular(
        ("adult", "a", "b"),
        ("a", "b"),
        {"unknown": ("a",), "F:0-17": ("b",), "F:18-24": ("adult",)},
    )
    files = artifact.pack(
        Model(
            topk=topk,
            user_ids=np.array([7, 8, 30]),
            movie_ids=tuple(f"m{i}" for i in range(60)),
            popular=popular,
            user_groups=groups,
            user_factors=np.ones((3, 2), np.float32),
            item_factors=np.ones((60, 2), np.float32),
        )
    )
    files[sealed_folder.MANIFEST_FILE] = sealed_folder.seal(files, {"groups": GROUPS})
    return {name: files[name] for name in artifact.SERVING_FILES}


def recommender(files):
    arrays = {n: encoding.load_npy(n, body) for n, body in files.items() if n.endswith(".npy")}
    return Recommender.of(files, arrays)


def test_a_known_user_gets_the_first_movies_of_the_row(files):
    assert recommender(files).recommend(7, 3) == Ranked(("m0", "m1", "m2"), "model")
    assert len(recommender(files).recommend(7).movie_ids) == 20


def test_padding_is_no_movie(files):
    assert recommender(files).recommend(8) == Ranked(("m5", "m3"), "model")


def test_a_user_with_little_left_gets_that_and_nothing_watched(files):
    """The two of the row are all that user 8 has not seen: `a` and `b` are no filling."""
    assert recommender(files).recommend(8, 20).movie_ids == ("m5", "m3")


@pytest.mark.parametrize(("group", "expected"), [(0, ("a",)), (1, ("b",)), (2, ("adult",))])
def test_a_user_who_has_seen_everything_gets_the_popular_list_of_the_group(files, group, expected):
    groups = np.zeros(31, np.uint8)
    groups[30] = group
    files[artifact.USER_GROUPS_FILE] = encoding.dump_npy(groups)
    assert recommender(files).recommend(30) == Ranked(expected, "popular")


def test_a_group_whose_list_is_empty_gets_the_one_for_everybody(files):
    lists = {"overall": ["a"], "kids": ["a"], "groups": {group: [] for group in GROUPS}}
    files[artifact.POPULAR_FILE] = encoding.dump_json(lists)
    assert recommender(files).recommend(2) == Ranked(("a",), "popular")


def test_an_unknown_user_gets_the_list_of_the_group(files):
    assert recommender(files).recommend(1) == Ranked(("b",), "popular")
    assert recommender(files).recommend(2) == Ranked(("adult",), "popular")


@pytest.mark.parametrize("user_id", [0, -1, 3, 31, 10**6, 2**63, 10**30])
def test_a_user_of_unknown_age_is_shown_no_adult_movie(files, user_id):
    answer = recommender(files).recommend(user_id)
    assert answer.source == "popular"
    assert answer.movie_ids
    assert "adult" not in answer.movie_ids


def test_the_popular_list_is_for_everybody(files):
    assert recommender(files).popular() == Ranked(("a", "b"), "popular")
    assert recommender(files).popular(1) == Ranked(("a",), "popular")


def test_a_group_without_a_list_of_its_own_is_answered_like_minors(files):
    files[sealed_folder.MANIFEST_FILE] = sealed_folder.seal(
        {}, {"groups": [*GROUPS[:2], "new group"]}
    )
    assert recommender(files).recommend(2) == Ranked(("a", "b"), "popular")


def test_files_of_different_versions_are_refused(files):
    files[artifact.USER_IDS_FILE] = encoding.dump_npy(np.arange(4))
    with pytest.raises(ArtifactError, match="different versions"):
        recommender(files)


def test_top_k_prefers_the_lower_index_of_equals():
    assert ranking.top_k(np.array([1, 3, 3, 0]), 3).tolist() == [1, 2, 0]
    assert ranking.top_k(np.array([1, 2]), 9).tolist() == [1, 0]


def test_compact_closes_gaps_and_pads():
    rows = ranking.compact(
        np.array([[4, 5, 6], [1, 2, 3]]),
        np.array([[False, True, True], [False, False, False]]),
        k=4,
        dtype=np.dtype(np.uint16),
    )
    assert rows.tolist() == [[5, 6, PAD, PAD], [PAD] * 4]


def test_lists_of_minors_hold_no_adult_movie():
    counts = np.array([[0, 0, 0], [9, 1, 0], [9, 0, 1]])
    lists = ranking.popular_lists(
        counts, adult=np.array([True, False, False]), minors=np.array([True, True, False])
    )
    assert lists.overall.tolist() == [0, 1, 2]
    assert lists.kids.tolist() == [1, 2]
    assert [found.tolist() for found in lists.groups] == [[1, 2], [1, 2], [0, 2, 1]]


@pytest.mark.parametrize(("own", "first"), [(2, 0), (100_000, 2)])
def test_a_small_group_leans_on_everybody_and_a_large_one_on_itself(own, first):
    lists = ranking.popular_lists(
        np.array([[300_000, 50_000, 10], [0, 0, own]]),
        adult=np.zeros(3, bool),
        minors=np.zeros(2, bool),
    )
    assert lists.groups[1].tolist()[0] == first


def test_lists_are_named_by_group_and_movie():
    lists = ranking.popular_lists(
        np.array([[1, 2]]), adult=np.array([False, True]), minors=np.array([True])
    )
    named = ranking.name_lists(lists, movie_ids=["x", "y"], groups=["unknown"])
    assert named == Popular(("y", "x"), ("x",), {"unknown": ("x",)})


# Costs ----------------------------------------------------------------------------------------


def test_a_model_without_costs_knows_none(files):
    assert recommender(files).cost_of(("m1",)) is None


def test_the_cost_of_a_list_is_the_mean_of_its_movies(files):
    files[artifact.COSTS_FILE] = encoding.dump_npy(np.arange(60, dtype=np.float32))
    found = recommender(files)
    assert found.cost_of(found.recommend(8).movie_ids) == 4
    assert found.cost_of(()) is None


def test_a_movie_that_came_after_the_model_costs_the_median(files):
    files[artifact.COSTS_FILE] = encoding.dump_npy(np.arange(60, dtype=np.float32))
    assert recommender(files).cost_of(("m1", "later")) == (1 + 29.5) / 2


def test_costs_of_another_version_are_refused(files):
    files[artifact.COSTS_FILE] = encoding.dump_npy(np.zeros(59, np.float32))
    with pytest.raises(ArtifactError, match=r"movie_costs\.npy has 59 costs for the 60"):
        recommender(files)
