"""The live quality metrics, on lists whose figures one can add up by hand; horizon 100 s."""

import math

import numpy as np
import pandas as pd
import pytest

from functions.evaluate_online import outcomes, quality_metrics
from movierec import metrics
from tests.unit.functions.evaluate_online.frames import answer, rated, served, watched

N_MOVIES = 30


def known(*, catalog_size=20, viewings=None, cost_usd=()):
    """Return a catalog of movies 0 to 19; movies 20 to 29 are not in it."""
    return quality_metrics.Movies(
        in_catalog=np.arange(N_MOVIES) < catalog_size,
        catalog_size=catalog_size,
        surprise_bits=quality_metrics.surprise_bits(viewings, N_MOVIES),
        cost_usd=np.array(cost_usd, np.float64),
    )


def measure(lists, viewings, ratings, **catalog):
    met = outcomes.encounters(lists, viewings, ratings, 100)
    hit = outcomes.hits(len(lists.rows), met)
    return quality_metrics.by_version(lists, hit, met, known(viewings=viewings, **catalog))


LISTS = (
    answer(1, 0, [0, 1, 2, 3], "3", ms=10),
    answer(2, 0, [0, 1], "3", ms=30),
    answer(3, 0, [4, 25], "4", ms=5),
)
VIEWINGS = watched((1, 0, 5, 5, 0.6), (1, 1, 5, 5, 0.2), (2, 9, 5, 5, 0.9), (3, 4, 5, 5, 1.0))
RATINGS = rated((1, 2, 50, 4), (2, 9, 50, 5), (2, 0, 60, 3))


def test_the_metrics_of_each_version():
    found = measure(served(*LISTS), VIEWINGS, RATINGS)
    third = found["3"]
    assert list(found) == ["3", "4"]
    assert third["model_version"] == "m3"
    assert third["Requests"] == 2
    assert third["HitRate"] == 0.5
    assert third["WatchFraction"] == pytest.approx((0.6 + 0.2) / 2)
    assert third["MeanRating"] == (4 + 3) / 2
    assert third["ResponseTimeMs"] == 20
    assert third["Coverage"] == 4 / 20
    # Watched 0.6 and 0.2 of places 1 and 2; rated 4 of 5, 3 of 5; a film of no list, 0.9 and 5.
    assert third["Score"] == pytest.approx((0.8 + 0.6 + 4 / 5 + 3 / 5 + 0.001) / 5)


def test_a_movie_that_is_not_in_the_catalog_covers_nothing():
    assert measure(served(*LISTS), VIEWINGS, RATINGS)["4"]["Coverage"] == 1 / 20


def test_novelty_is_the_surprise_of_recommended_movies_in_bits():
    """Of three viewers one saw movie 4; nobody saw 25, which counts as one."""
    assert measure(served(*LISTS), VIEWINGS, RATINGS)["4"]["Novelty"] == pytest.approx(math.log2(3))


def test_a_movie_that_everybody_saw_is_no_news():
    viewings = watched((1, 0, 5, 5, 1), (2, 0, 5, 5, 1), (2, 0, 200, 200, 1))
    assert measure(served(answer(1, 0, [0])), viewings, rated())["3"]["Novelty"] == 0


def encounter(place=1, share=None, rating=None):
    return pd.DataFrame({"place": [place], "share": [share], "rating": [rating]}, dtype=float)


@pytest.mark.parametrize(
    ("place", "score"),
    [(0, 0.001), (1, 1), (5, 1), (6, 0.8), (10, 0.8), (11, 0.5), (15, 0.5), (16, 0.3), (20, 0.3)],
)
def test_the_score_falls_with_the_place(place, score):
    assert quality_metrics.scores(encounter(place, share=1.0, rating=5)) == pytest.approx([score])


@pytest.mark.parametrize(
    ("share", "score"),
    [(0, 0.2), (0.19, 0.2), (0.2, 0.6), (0.49, 0.6), (0.5, 0.8), (0.69, 0.8), (0.7, 1), (1, 1)],
)
def test_the_score_grows_with_what_was_watched(share, score):
    assert quality_metrics.scores(encounter(share=share)) == pytest.approx([score])


def test_the_score_is_a_product_in_which_the_unknown_is_one():
    both = encounter(7, share=0.6, rating=2)
    assert quality_metrics.scores(both) == pytest.approx([0.8 * 0.8 * 0.4])
    assert quality_metrics.scores(encounter(7, rating=2)) == pytest.approx([0.8 * 0.4])


def test_what_cannot_be_told_is_none():
    found = measure(
        served(answer(1, 0, [0])), watched(), rated(), catalog_size=0, cost_usd=np.ones(N_MOVIES)
    )["3"]
    unknown = {name for name, value in found.items() if value is None}
    rates = {"WatchFraction", "MeanRating", "Score", "Coverage", "Novelty"}
    assert unknown == {*rates, "WatchedCostUsd"}
    assert found["HitRate"] == 0


def test_every_declared_metric_is_measured():
    found = measure(served(*LISTS), VIEWINGS, RATINGS)["3"]
    assert set(found) - {"model_version"} == {m.name for m in metrics.QUALITY_METRICS}


def test_availability_is_the_share_of_good_answers():
    assert quality_metrics.availability({200: 3, 0: 1}) == 0.75
    assert quality_metrics.availability({500: 2}) == 0
    assert quality_metrics.availability({}) is None


def test_the_model_that_serves_is_that_of_most_of_the_newest_lists():
    old = [answer(user, -5000, version="2") for user in range(1, 3000)]
    new = [answer(user, user, version="3") for user in range(1, 1200)]
    canary = [answer(user, 2000 + user, version="4") for user in range(1, 100)]
    assert quality_metrics.serving_model(served(*old, *new, *canary)) == "m3"
    assert quality_metrics.serving_model(served()) is None


def test_dollars_of_the_lists_and_of_what_was_watched_from_them():
    """Movie i costs i + 1 dollars; user 1 watched places 1 and 2, user 2 a film of no list."""
    third = measure(served(*LISTS), VIEWINGS, RATINGS, cost_usd=np.arange(N_MOVIES) + 1)["3"]
    assert third["ListCostUsd"] == pytest.approx((2.5 + 1.5) / 2)
    assert third["WatchedCostUsd"] == pytest.approx(1.5)
    assert third["WatchedCostTotalUsd"] == pytest.approx(3)


def test_a_movie_that_was_watched_after_two_lists_is_paid_once():
    lists = served(answer(1, 0, [3], "3"), answer(1, 1, [3], "3"), answer(2, 0, [3], "3"))
    found = measure(lists, watched((1, 3, 5, 5, 0.9), (2, 3, 5, 5, 0.9)), rated(),
                    cost_usd=np.full(N_MOVIES, 2))["3"]  # fmt: skip
    assert found["WatchedCostTotalUsd"] == 4


def test_a_movie_that_was_only_rated_is_not_paid():
    lists = served(answer(1, 0, [3], "3"))
    found = measure(lists, watched(), rated((1, 3, 5, 4)), cost_usd=np.full(N_MOVIES, 2))["3"]
    assert (found["WatchedCostTotalUsd"], found["WatchedCostUsd"]) == (0, None)
    assert found["ListCostUsd"] == 2


def test_without_costs_there_are_no_dollars():
    third = measure(served(*LISTS), VIEWINGS, RATINGS)["3"]
    dollars = ("ListCostUsd", "WatchedCostUsd", "WatchedCostTotalUsd")
    assert [third[name] for name in dollars] == [None] * 3
    assert {name.name for name in metrics.QUALITY_METRICS} >= set(dollars)
