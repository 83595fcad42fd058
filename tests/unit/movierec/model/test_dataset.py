"""Strength, split and identity of a data set, on numbers that one can check by hand."""

from dataclasses import replace

import numpy as np
import pytest

from movierec.errors import ArtifactError, DatasetError, UsageError
from movierec.model import dataset as datasets
from movierec.model.dataset import LATER, TEST, TRAIN, Evidence, Rated, Watched
from movierec.model.dataset_parameters import Parameters

NONE = np.zeros(0, np.int64)
SMALL = Parameters(min_users=1, min_interactions=1, min_movie_users=1)


def evidence(watched=(), rated=(), runtimes=(), adult=(), movie_ids="abcd"):
    """Rows of `watched` are user, movie, minute, second; of `rated` user, movie, rating, second."""
    w = [np.array(column) for column in zip(*watched, strict=True)] or [NONE] * 4
    r = [np.array(column) for column in zip(*rated, strict=True)] or [NONE] * 4
    n = len(movie_ids)
    return Evidence(
        movie_ids=list(movie_ids),
        watched=Watched(*w),
        rated=Rated(*r),
        runtimes_minutes=np.array(runtimes or [100] * n),
        adult=np.array(adult or [False] * n),
        user_groups=np.zeros(0, np.uint8),
    )


def entries(dataset):
    """Return {(user id, movie id): (strength, rating, last_at, part)}."""
    users = np.repeat(dataset.user_ids, np.diff(dataset.indptr)).tolist()
    movies = [dataset.movie_ids[i] for i in dataset.movies]
    columns = (dataset.strength, dataset.ratings, dataset.last_at, dataset.part)
    values = zip(*(column.tolist() for column in columns), strict=True)
    return dict(zip(zip(users, movies, strict=True), values, strict=True))


VIEWINGS = [(1, 0, 90, 10), (1, 1, 50, 20), (2, 0, 95, 15), (2, 2, 70, 40), (2, 1, 80, 12)]


def test_watching_and_rating_the_same_movie_is_one_interaction():
    found = entries(datasets.build(evidence(VIEWINGS, [(1, 0, 4, 30), (2, 3, 5, 11)]), SMALL))
    assert len(found) == 6
    strength, rating, last_at, _ = found[1, "a"]
    assert strength == pytest.approx((0.9 + 2 / 3) / 2)
    assert (rating, last_at) == (4, 30)
    assert found[2, "d"][:3] == (1.0, 5, 11)


def test_the_order_of_evidence_does_not_matter():
    rated = [(1, 0, 4, 30), (2, 3, 5, 11)]
    one = datasets.pack(datasets.build(evidence(VIEWINGS, rated), SMALL))
    other = datasets.pack(datasets.build(evidence(VIEWINGS[::-1], rated[::-1]), SMALL))
    assert one == other


def test_rows_are_sorted_users_and_their_movies_sorted():
    dataset = datasets.build(evidence(VIEWINGS), SMALL)
    assert dataset.user_ids.tolist() == [1, 2]
    assert dataset.indptr.tolist() == [0, 2, 5]
    assert dataset.movies.tolist() == [0, 1, 0, 1, 2]


@pytest.mark.parametrize(
    ("watched", "rating", "expected"),
    [
        (0.0, 0, 0.0),
        (0.09, 0, 0.0),
        (0.1, 0, 0.1),
        (1.0, 0, 1.0),
        (0.0, 3, 1 / 3),
        (0.0, 5, 1.0),
        (0.05, 5, 0.525),
        (1.0, 3, 2 / 3),
        (1.0, 2, 0.0),
        (0.0, 1, 0.0),
    ],
)
def test_strength_follows_its_formula(watched, rating, expected):
    found = datasets.strengths(np.array([watched]), np.array([rating], np.int8), Parameters())
    assert found.dtype == np.float32
    assert found[0] == pytest.approx(expected)


def test_a_scale_of_ten_is_a_parameter():
    scale = Parameters(min_positive_rating=6, max_rating=10)
    found = datasets.strengths(np.zeros(3), np.array([5, 6, 10]), scale)
    assert found.tolist() == pytest.approx([0, 0.2, 1])


@pytest.mark.parametrize(
    ("low", "high", "rating", "native"), [(1, 10, 9, 4.5556), (0, 10, 0, 1.0), (1, 100, 100, 5.0)]
)
def test_a_rating_of_another_scale_weighs_as_its_like_of_one_to_five(low, high, rating, native):
    parameters = replace(SMALL, site_min_rating=low, site_max_rating=high)
    found = entries(datasets.build(evidence(VIEWINGS, [(1, 0, rating, 30)]), parameters))
    strength, stored, _, _ = found[1, "a"]
    assert stored == pytest.approx(native, abs=1e-4)
    liking = (0.9 + (native - 2) / 3) / 2 if native >= 3 else 0
    assert strength == pytest.approx(liking, abs=1e-4)
    assert found[2, "a"][1] == 0


def test_the_same_data_on_another_scale_is_the_same_but_for_its_type():
    native = [(1, 0, 1, 30), (1, 1, 3, 31), (2, 0, 5, 32), (2, 3, 2, 11)]
    wide = [(user, movie, 10 * (rating - 1), at) for user, movie, rating, at in native]
    parameters = replace(SMALL, site_min_rating=0, site_max_rating=40)
    one = datasets.pack(datasets.build(evidence(VIEWINGS, native), SMALL))
    other = datasets.pack(datasets.build(evidence(VIEWINGS, wide), parameters))
    assert {name for name in one if one[name] != other[name]} == {"ratings.npy"}
    assert datasets.unpack(one).ratings.dtype == np.int8
    assert datasets.unpack(other).ratings.tolist() == datasets.unpack(one).ratings.tolist()


def test_a_rating_past_the_type_of_a_scale_that_is_not_set_does_not_wrap_around():
    found = entries(datasets.build(evidence(VIEWINGS, [(1, 0, 256, 30)]), SMALL))
    assert found[1, "a"][1] == 127


@pytest.mark.parametrize("largest", [399_999_999_999_983, 999_999_999_999_999_999])
def test_users_with_large_ids_have_interactions_of_their_own(largest):
    """27,000 movies times such ids are more than an int64 holds."""
    movie_ids = [f"m{i:05}" for i in range(27_000)]
    step = (2**64 // 27_000) + 1
    users = [largest - step * back for back in range(3)] + [7]
    watched = [
        (user, (number * 6_000 + 13 * i) % 27_000, 60 + i, 100 * i + number)
        for number, user in enumerate(users)
        for i in range(4)
    ]
    found = datasets.build(evidence(watched, movie_ids=movie_ids), SMALL)
    assert sorted(users) == found.user_ids.tolist()
    expected = {(user, movie_ids[movie]): at for user, movie, _, at in watched}
    assert {pair: values[2] for pair, values in entries(found).items()} == expected


def test_a_disliked_movie_is_kept_as_seen():
    found = entries(datasets.build(evidence(VIEWINGS, [(1, 0, 1, 30)]), SMALL))
    assert found[1, "a"][:2] == (0.0, 1)


def test_nobody_watches_more_than_all_of_a_movie():
    share = datasets.watched_share(np.array([101, -1]), np.array([0, 0]), np.array([100]))
    assert share.tolist() == [1.0, 0.0]


def test_an_unknown_runtime_is_what_nine_of_ten_viewers_stay_at_most():
    minutes = np.array([*range(91, 101), 9999])
    share = datasets.watched_share(minutes, np.zeros(11, int), np.array([0]))
    assert share.tolist() == pytest.approx([m / 100 for m in range(91, 101)] + [1])


def test_a_movie_that_everybody_leaves_at_once_was_not_seen_to_its_end():
    share = datasets.watched_share(np.array([4, 5, 5]), np.zeros(3, int), np.array([0]))
    assert share.max() == pytest.approx(5 / 40)


def test_movies_of_too_few_users_are_left_out_and_the_rest_renumbered():
    dataset = datasets.build(
        evidence(VIEWINGS, adult=[True, False, False, False]), replace(SMALL, min_movie_users=2)
    )
    assert dataset.movie_ids == ("a", "b")
    assert set(dataset.movies.tolist()) == {0, 1}
    assert dataset.adult.tolist() == [True, False]


def test_the_newest_are_held_out_of_users_known_before():
    last_at = np.array([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
    rows = np.array([0, 0, 0, 0, 0, 1, 1, 1, 0, 2])
    part = datasets.split(last_at, rows, np.ones(10), 0.2)
    assert part.tolist() == [TRAIN] * 8 + [TEST, LATER]


def test_an_earlier_dislike_is_no_ground_to_test_a_user():
    part = datasets.split(np.array([1, 2, 9]), np.array([0, 1, 0]), np.array([0, 1, 1]), 0.3)
    assert part.tolist() == [TRAIN, TRAIN, LATER]


def test_no_event_of_training_is_newer_than_any_held_out():
    rng = np.random.default_rng(1)
    last_at, rows = rng.integers(0, 50, 500), rng.integers(0, 30, 500)
    part = datasets.split(last_at, rows, np.ones(500), 0.1)
    assert last_at[part == TRAIN].max() < last_at[part != TRAIN].min()
    assert 0.1 <= (part != TRAIN).mean() < 0.15


@pytest.mark.parametrize(
    ("viewings", "parameters", "complaint"),
    [
        ([], SMALL, "0 users"),
        (VIEWINGS, replace(SMALL, min_users=3), "2 users"),
        (VIEWINGS, replace(SMALL, min_interactions=6), "5 interactions"),
        ([(1, 0, 9, 1), (2, 1, 9, 1)], SMALL, "none can be held out"),
        ([(1, 0, 99, 1), (2, 1, 99, 2)], SMALL, "none can be held out"),
    ],
)
def test_too_little_data_is_refused_with_what_to_do(viewings, parameters, complaint):
    with pytest.raises(DatasetError, match=f"(?s){complaint}.*(longer|more days)"):
        datasets.build(evidence(viewings), parameters)


def test_unpacked_is_what_was_packed():
    dataset = datasets.build(evidence(VIEWINGS), SMALL)
    files = datasets.pack(dataset)
    assert set(files) == set(datasets.FILES)
    assert datasets.pack(datasets.unpack(files)) == files


def test_a_missing_file_is_named():
    files = datasets.pack(datasets.build(evidence(VIEWINGS), SMALL))
    del files["part.npy"]
    with pytest.raises(ArtifactError, match=r"part\.npy"):
        datasets.unpack(files)


def test_an_id_depends_on_content_parameters_and_lake_version_alone():
    files = datasets.pack(datasets.build(evidence(VIEWINGS), SMALL))
    one = datasets.dataset_id(files, SMALL, {"events": 3})
    assert one == datasets.dataset_id({**files, "report.json": b"x"}, SMALL, {"events": 3})
    others = [
        datasets.dataset_id({**files, "part.npy": b"x"}, SMALL, {"events": 3}),
        datasets.dataset_id(files, replace(SMALL, min_users=2), {"events": 3}),
        datasets.dataset_id(files, SMALL, {"events": 4}),
    ]
    assert len({one, *others}) == 4


@pytest.mark.parametrize(
    "values",
    [
        {"no_such": 1},
        {"min_users": "3"},
        {"min_users": True},
        {"min_users": 0},
        {"min_users": 1.5},
        {"held_out_share": 1},
        {"min_watched_share": 0},
        {"since": "yesterday"},
        {"since": "20261120"},
        {"since": "2026-11-20' or 1=1"},
        {"min_positive_rating": 6},
        {"max_rating": 1000},
    ],
)
def test_a_wrong_parameter_is_named(values):
    with pytest.raises(UsageError, match=next(iter(values))):
        Parameters.read(values)


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"site_min_rating": 5}, "site_min_rating"),
        ({"site_max_rating": 40_000}, "site_min_rating"),
        ({"site_min_rating": -1}, "site_min_rating"),
        ({"site_max_rating": 10, "max_rating": 10, "min_positive_rating": 6}, "max_rating"),
        ({"earliest_event_time": "long ago"}, "earliest_event_time"),
    ],
)
def test_a_scale_that_cannot_be_is_named(values, named):
    with pytest.raises(UsageError, match=named):
        Parameters.read(values)


def test_parameters_that_came_later_are_named_where_they_are_not_the_default():
    assert "site_max_rating" not in Parameters().to_json()
    assert Parameters.read(Parameters().to_json()) == Parameters()
    changed = Parameters(site_max_rating=10, earliest_event_time="2020-01-01")
    assert changed.to_json().items() >= {("site_max_rating", 10)}
    assert Parameters.read(changed.to_json()) == changed


def test_parameters_have_defaults_and_an_integer_is_a_number():
    assert Parameters.read({}) == Parameters()
    assert Parameters.read({"since": "2026-11-20", "min_users": 3}).min_users == 3
