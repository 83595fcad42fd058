"""The baseline of rating models against the equations that define it."""

from dataclasses import replace

import numpy as np
import pytest

from movierec.errors import DatasetError
from movierec.model.dataset import TRAIN
from movierec.model.ratings import Biases, Ratings
from tests.unit.movierec.model.tastes import tasteful


def some_ratings(seed=0, n_users=12, n_movies=9, n=70):
    rng = np.random.default_rng(seed)
    cells = np.sort(rng.choice(n_users * n_movies, n, replace=False))
    values = rng.integers(1, 6, n).astype(float)
    return Ratings(cells // n_movies, cells % n_movies, values, n_users, n_movies)


def test_biases_are_those_of_the_normal_equations():
    ratings = some_ratings()
    design = np.zeros((len(ratings), 12 + 9))
    design[np.arange(len(ratings)), ratings.users] = 1
    design[np.arange(len(ratings)), 12 + ratings.movies] = 1
    penalty = np.diag([15.0] * 12 + [10.0] * 9)
    residuals = ratings.values - ratings.values.mean()
    solved = np.linalg.solve(design.T @ design + penalty, design.T @ residuals)

    found = Biases.fit(ratings)

    np.testing.assert_allclose([*found.users, *found.movies], solved, atol=1e-6)


def test_an_unknown_user_and_movie_get_the_mean():
    ratings = replace(some_ratings(), n_users=13, n_movies=10)
    found = Biases.fit(ratings)

    assert found.predict(np.array([12]), np.array([9])) == pytest.approx(ratings.values.mean())


def test_predictions_stay_on_the_scale():
    biases = Biases(3.0, np.array([2.5, -4.0]), np.array([0.0]))

    assert biases.predict(np.array([0, 1]), np.array([0, 0])).tolist() == [5.0, 1.0]
    assert biases.scores(np.array([0, 1]), np.array([0, 0])).tolist() == [5.5, -1.0]


def test_the_newest_ratings_are_used():
    data = tasteful(1)
    everything = np.ones(len(data.movies), bool)

    ratings = Ratings.of(data, everything)
    newest = Ratings.of(data, everything, newest=50)

    last_at = np.sort(data.last_at[data.ratings > 0])
    chosen = (data.ratings > 0) & (data.last_at >= last_at[-50])
    assert len(ratings) == 200
    assert newest.values.tolist() == data.ratings[chosen].tolist()
    assert newest.movies.tolist() == data.movies[chosen].tolist()


def test_only_kept_interactions_that_were_rated_count():
    data = tasteful(1)

    ratings = Ratings.of(data, data.part == TRAIN)

    assert 0 < len(ratings) == int(((data.part == TRAIN) & (data.ratings > 0)).sum()) < 200


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_a_rating_that_is_no_number_is_refused(wrong):
    data = tasteful(1)
    values = data.ratings.astype(np.float32)
    values[np.flatnonzero(values)[3]] = wrong

    with pytest.raises(DatasetError, match="1 of 200 ratings are no numbers"):
        Ratings.of(replace(data, ratings=values), np.ones(len(values), bool))
