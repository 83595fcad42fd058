"""Errors of predicted ratings, against cases worked out by hand, and planted flaws."""

import math
from dataclasses import replace

import numpy as np
import pytest

from movierec.model import rating_evaluation
from movierec.model.dataset import TEST, TRAIN
from movierec.model.popularity import Popularity
from movierec.model.ratings import Biases, Ratings
from movierec.reports import rating_report
from tests.unit.movierec.model.tastes import tasteful


class Planted:
    """Predicts a table of ratings."""

    def __init__(self, table):
        self.table = table

    def predict(self, users, movies):
        return self.table[users, movies]


def planted(data):
    """Return a model that knows every rating, and says 3 elsewhere."""
    table = np.full((len(data.user_ids), len(data.movie_ids)), 3.0)
    ratings = Ratings.of(data, np.ones(len(data.movies), bool))
    table[ratings.users, ratings.movies] = ratings.values
    return Planted(table)


def evaluated(data, model):
    train = data.part == TRAIN
    biases = Biases.fit(Ratings.of(data, train))
    return rating_evaluation.evaluate(data, model, biases, Popularity.overall(data, train))


@pytest.fixture
def data():
    return tasteful(1)


def test_errors_by_hand():
    """Wrong by 0, 1, 1 and 2: squares 0, 1, 1 and 4."""
    found = rating_evaluation.errors(np.array([3.0, 2, 5, 1]), np.array([3.0, 3, 4, 3]))

    assert found == {"rmse": pytest.approx(math.sqrt(1.5)), "mae": 1.0}


def test_calibration_by_hand():
    predicted, given = np.array([1.0, 1.4, 1.5, 4.9, 5.0]), np.array([1.0, 3, 2, 5, 4])

    found = rating_evaluation.calibration(predicted, given)

    assert found == [
        {"from": 1.0, "to": 1.5, "ratings": 2, "predicted": pytest.approx(1.2), "given": 2.0},
        {"from": 1.5, "to": 2.0, "ratings": 1, "predicted": 1.5, "given": 2.0},
        {"from": 4.5, "to": 5.0, "ratings": 2, "predicted": pytest.approx(4.95), "given": 4.5},
    ]


def test_a_model_that_knows_all_has_no_error_and_the_biases_have(data):
    found = evaluated(data, planted(data))

    test = Ratings.of(data, data.part == TEST)
    assert found["test_ratings"] == len(test) > 0
    assert found["model"] == {"rmse": 0.0, "mae": 0.0}
    assert found["baseline"]["rmse"] > 0.5
    assert found["gain"]["mean"] == pytest.approx(found["baseline"]["rmse"] ** 2)
    mean = Ratings.of(data, data.part == TRAIN).values.mean()
    assert found["mean"]["mae"] == pytest.approx(np.abs(test.values - mean).mean())


def test_a_subpopulation_with_worse_predictions_is_seen(data):
    model = planted(data)
    women = np.flatnonzero(data.user_ids % 2 == 1)  # see `tasteful`
    model.table[women] = 6 - model.table[women]

    by_gender = evaluated(data, model)["groups"]["gender"]

    assert by_gender["M"]["model"]["rmse"] == 0
    assert by_gender["F"]["model"]["rmse"] > by_gender["F"]["baseline"]["rmse"]


def test_every_test_rating_is_in_one_group_of_each_kind(data):
    found = evaluated(data, planted(data))

    assert set(found["groups"]) == {"gender", "age", "activity"}
    for groups in found["groups"].values():
        assert sum(group["ratings"] for group in groups.values()) == found["test_ratings"]


def test_lists_get_the_ratings_predicted_for_their_movies(data):
    model = Planted(np.tile([4.2, 2.0, 3.6], (len(data.user_ids), 20)))

    lists = evaluated(data, model)["lists"]

    assert lists["model"] == lists["popularity"]  # here the lists are the popular ones
    shares = lists["model"]["distribution"]
    assert sum(shares.values()) == pytest.approx(1)
    assert lists["users"] == len(data.user_ids)
    expected = 4.2 * shares["4-4.5"] + 2.0 * shares["2-2.5"] + 3.6 * shares["3.5-4"]
    assert lists["model"]["mean"] == pytest.approx(expected)


def test_without_held_out_ratings_there_are_lists_but_no_errors(data):
    known = np.where(data.part == TEST, 0, data.ratings)
    found = evaluated(replace(data, ratings=known), planted(data))

    assert found["test_ratings"] == 0
    assert "model" not in found
    assert set(rating_report.sections(found)) == {
        "Predicted ratings",
        "Predicted ratings of the lists",
    }


def test_the_report_shows_the_errors_of_all_models(data):
    found = evaluated(data, planted(data))

    sections = rating_report.sections(found)

    assert set(sections) >= {"Predicted ratings", "RMSE by gender", "RMSE by activity"}
    shown = "".join(sections["Predicted ratings"])
    assert f"{found['baseline']['rmse']:.4g}" in shown
    assert "stopped early" not in shown
    assert "stopped early" in "".join(
        rating_report.sections({**found, "truncated": True})["Predicted ratings"]
    )


def test_the_report_says_so_when_nobody_has_rated():
    [shown] = rating_report.sections(rating_evaluation.nothing_rated())["Predicted ratings"]

    assert "Nobody had rated a movie" in shown
