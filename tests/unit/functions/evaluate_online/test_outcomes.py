"""Who gets which hit, and what is a trial: derived by hand, with a horizon of 100 s."""

import numpy as np
import pytest

from functions.evaluate_online import outcomes
from functions.evaluate_online.outcomes import Experiment, Weights
from tests.unit.functions.evaluate_online.frames import answer, at, rated, served, watched

HORIZON_S = 100.0
HALF = Weights((at(-1000),), (50.0,))


def met(lists, viewings=None, ratings=None):
    return outcomes.encounters(
        lists,
        watched() if viewings is None else viewings,
        rated() if ratings is None else ratings,
        HORIZON_S,
    )


def hit(lists, *viewings):
    """Return whether each list is hit, as a list of bool."""
    return outcomes.hits(len(lists.rows), met(lists, watched(*viewings))).tolist()


def trials(lists, *viewings, weights=HALF, settle_s=0.0, until=10_000):
    experiment = Experiment("3", "4", weights, settle_s)
    hits = outcomes.hits(len(lists.rows), met(lists, watched(*viewings)))
    return outcomes.trials(lists, hits, experiment, until=at(until), horizon_s=HORIZON_S)


def sides(trial_set):
    """Return a letter for each trial: s or c, a capital for a hit."""
    found = trial_set.trials
    letters = zip(found.canary.tolist(), found.hit.tolist(), strict=True)
    return "".join("sScC"[2 * canary + hit] for canary, hit in letters)


# Hits


@pytest.mark.parametrize(
    ("second", "expected"),
    [(-1.001, False), (-1, True), (0, True), (50, True), (100, True), (100.001, False)],
)
def test_a_line_counts_from_a_second_before_the_list_to_the_end_of_its_horizon(second, expected):
    assert hit(served(answer(1, 0, [7])), (1, 7, second, second, 0.5)) == [expected]


def test_only_the_lists_own_movies_and_its_own_user_make_a_hit():
    lists = served(answer(1, 0, [7, 8]), answer(2, 0, [9]))
    assert hit(lists, (1, 9, 5, 5, 1), (2, 7, 5, 5, 1)) == [False, False]
    assert hit(lists, (1, 8, 5, 5, 1)) == [True, False]


def test_a_viewing_that_began_before_the_list_is_a_hit_if_it_goes_on_after_it():
    assert hit(served(answer(1, 0, [7])), (1, 7, -60, 30, 0.9)) == [True]
    assert hit(served(answer(1, 0, [7])), (1, 7, -60, -30, 0.9)) == [False]


def test_a_viewing_that_goes_on_past_the_horizon_is_a_hit_if_it_began_within():
    assert hit(served(answer(1, 0, [7])), (1, 7, 90, 185, 0.9)) == [True]


def test_one_viewing_is_a_hit_of_every_list_that_had_the_movie():
    lists = served(answer(1, 0, [7]), answer(1, 40, [7]), answer(1, 45, [8]), answer(1, 300, [7]))
    assert hit(lists, (1, 7, 60, 60, 1)) == [True, True, False, False]


def test_the_place_of_a_movie_is_counted_from_one():
    lists = served(answer(1, 0, [5, 6, 7]), answer(1, 1, [7]))
    found = met(lists, watched((1, 7, 5, 5, 0.3), (1, 4, 5, 5, 0.3)))
    places = {(row.list, row.movie): row.place for row in found.itertuples()}
    assert places == {(0, 7): 3, (0, 4): 0, (1, 7): 1, (1, 4): 0}


def test_of_several_viewings_the_furthest_counts_and_of_ratings_the_last():
    lists = served(answer(1, 0, [7]))
    viewings = watched((1, 7, 5, 9, 0.3), (1, 7, 60, 99, 0.8), (1, 7, 150, 180, 1))
    (row,) = met(lists, viewings, rated((1, 7, 80, 2), (1, 7, 20, 5), (1, 7, 101, 1))).itertuples()
    assert (row.share, row.rating) == (pytest.approx(0.8), 2)


def test_a_rating_alone_is_an_encounter_and_no_hit():
    lists = served(answer(1, 0, [7]))
    found = met(lists, ratings=rated((1, 7, 20, 5)))
    assert np.isnan(found["share"]).all()
    assert not outcomes.hits(1, found).any()


def test_without_lists_or_lines_there_is_nothing():
    assert hit(served()) == []
    assert hit(served(), (1, 7, 5, 5, 1)) == []
    assert hit(served(answer(1, 0, [7]))) == [False]
    assert sides(trials(served())) == ""


# Attribution


def test_a_list_belongs_to_a_version_if_it_was_answered_by_one():
    lists = served(
        answer(1, 0),
        answer(2, 0, source="popular"),
        answer(3, 0, source="fallback", version=""),
        answer(4, 0, status=503),
        answer(5, 0, version=""),
    )
    assert lists.rows["user_id"].tolist() == [1, 2]


def test_movies_stay_with_their_list_when_rows_are_put_in_order():
    lists = served(answer(2, 5, [1]), answer(1, 9, [2, 3]), answer(9, 0, status=500), answer(1, 3))
    assert lists.rows["user_id"].tolist() == [1, 1, 2]
    assert lists.movies.tolist() == [[-1, -1], [2, 3], [1, -1]]


# Trials


def test_every_users_first_list_is_a_trial_of_its_version():
    lists = served(answer(1, 0, [7]), answer(2, 1, [7], "4"), answer(3, 2, [7], "4"))
    assert sides(trials(lists, (1, 7, 3, 3, 1), (3, 7, 3, 3, 1))) == "ScC"


def test_lists_inside_a_window_are_no_trials_and_earn_it_no_hit():
    """The second list's movie was watched, not the first's: the window's own list missed."""
    lists = served(answer(1, 0, [7]), answer(1, 30, [8], "4"), answer(1, 60, [8]))
    assert sides(trials(lists, (1, 8, 70, 70, 1))) == "s"


def test_a_window_ends_with_its_horizon_and_the_next_list_opens_another():
    lists = served(
        answer(1, 0),
        answer(1, 99.9, version="4"),
        answer(1, 100, version="4"),
        answer(1, 150),
        answer(1, 450),
        answer(1, 530, version="4"),
    )
    assert sides(trials(lists)) == "scs"


def test_another_users_lists_do_not_touch_a_window():
    lists = served(answer(1, 0), answer(2, 50, version="4"), answer(3, 99, version="4"))
    assert sides(trials(lists)) == "scc"


def test_popular_lists_are_trials_and_fallbacks_open_no_window():
    lists = served(
        answer(1, 0, source="fallback", version=""),
        answer(1, 10, version="4", source="popular"),
    )
    assert sides(trials(lists)) == "c"


def test_other_versions_lists_are_no_trials_and_open_no_window():
    lists = served(answer(1, 0, version="2"), answer(1, 10, version="4"))
    assert sides(trials(lists)) == "c"


def test_a_list_recorded_twice_is_one_trial():
    assert sides(trials(served(answer(1, 0), answer(1, 0, number=1)))) == "s"


def test_windows_of_both_versions_are_counted_as_mixed():
    lists = served(
        *(answer(1, 0), answer(1, 50, version="4")),
        *(answer(2, 0, version="4"), answer(2, 50, version="4")),
        *(answer(3, 0, version="4"), answer(3, 50)),
        *(answer(4, 0), answer(4, 100, version="4")),
    )
    trial_set = trials(lists)
    assert sides(trial_set) == "sccsc"
    assert trial_set.mixed == 2


@pytest.mark.parametrize(("until", "expected"), [(99.9, ""), (100, "S"), (149.9, "S"), (150, "SC")])
def test_a_trial_counts_when_its_horizon_is_over_even_if_it_is_a_hit_already(until, expected):
    lists = served(answer(1, 0, [7]), answer(2, 50, [7], "4"))
    viewings = ((1, 7, 1, 1, 1), (2, 7, 51, 51, 1))
    assert sides(trials(lists, *viewings, until=until)) == expected


def test_a_list_whose_horizon_is_not_over_still_mixes_a_window_that_is():
    assert trials(served(answer(1, 0), answer(1, 50, version="4")), until=100).mixed == 1


def test_trials_come_in_order_of_serving():
    lists = served(answer(1, 60), answer(2, 0, version="4"), answer(3, 30))
    assert sides(trials(lists)) == "css"


# Weights

HISTORY = Weights((at(0), at(1000), at(2000), at(3000)), (5.0, 25.0, 25.0, 100.0))


def test_a_trials_weight_is_the_share_in_force_when_it_was_served():
    lists = served(
        *(answer(1, 0), answer(2, 999.9), answer(3, 1000), answer(4, 2500), answer(5, 2999.9))
    )
    assert trials(lists, weights=HISTORY).trials.weight.tolist() == [0.05, 0.05, 0.25, 0.25, 0.25]


def test_before_the_first_weight_and_at_none_or_all_there_are_no_trials():
    lists = served(answer(1, -1), answer(2, 10), answer(3, 3000), answer(4, 5000))
    assert len(trials(lists, weights=HISTORY).trials) == 1
    ended = Weights((at(0), at(1000)), (5.0, 0.0))
    assert len(trials(served(answer(1, 999), answer(2, 1000)), weights=ended).trials) == 1
    assert len(trials(served(answer(1, 999)), weights=Weights((), ())).trials) == 0


@pytest.mark.parametrize(
    ("second", "counts"),
    [(29.9, False), (30, True), (970, True), (970.1, False), (1029.9, False), (1030, True)],
)
def test_trials_near_a_change_of_weight_are_left_out(second, counts):
    found = trials(served(answer(1, second)), weights=HISTORY, settle_s=30.0).trials
    assert len(found) == counts


def test_the_same_weight_set_again_is_no_change():
    assert len(trials(served(answer(1, 2000)), weights=HISTORY, settle_s=30.0).trials) == 1


def test_what_is_left_out_holds_its_window_all_the_same():
    """Otherwise who opens a window would depend on when, and lists be trials twice."""
    lists = served(answer(1, 980), answer(1, 1040, version="4"))
    assert len(trials(lists, weights=HISTORY, settle_s=30.0).trials) == 0
