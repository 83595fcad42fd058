"""Predicted ratings against a sampler that one can read, and at the ends of what there can be."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from functions.train_als import rating_model
from functions.train_als.rating_model import Parameters, RatingModel
from movierec.errors import DatasetError, UsageError
from movierec.model.dataset import TRAIN
from movierec.model.fitted import Exclusions
from movierec.model.popularity import Popularity
from movierec.model.ratings import Biases, Ratings
from tests.unit.movierec.model.tastes import tasteful

N_USERS, N_MOVIES = 40, 30
PLAIN = Parameters(factors=2, iterations=300, burn_in=50, implicit_terms=False)
SHORT = Parameters(factors=3, iterations=8, burn_in=3)


def structured(seed=0, share=0.6, noise=0.3):
    """Return ratings of a few per cent noise, known and held out, from biases and two factors."""
    rng = np.random.default_rng(seed)
    truth = 3 + 0.4 * rng.normal(size=(N_USERS, 1)) + 0.4 * rng.normal(size=(1, N_MOVIES))
    truth = truth + 0.6 * rng.normal(size=(N_USERS, 2)) @ rng.normal(size=(2, N_MOVIES))
    given = truth + noise * rng.normal(size=truth.shape)
    known = rng.random(truth.shape) < share
    return ratings_where(known, given), ratings_where(~known, given)


def ratings_where(cells, given):
    users, movies = np.nonzero(cells)
    return Ratings(users, movies, given[cells], N_USERS, N_MOVIES)


def reference(ratings, pairs, *, factors, iterations, burn_in, seed=0):
    """Return the mean prediction of a Gibbs sampler of biased matrix factorisation.

    Each user's bias and factors are drawn at once, from the normal distribution that they have
    when all else is known, then each movie's; their precisions and the noise's from Gammas.
    """
    rng = np.random.default_rng(seed)
    left = rng.normal(0, 0.1, (ratings.n_users, 1 + factors))
    right = rng.normal(0, 0.1, (ratings.n_movies, 1 + factors))
    mean, precision, total = ratings.values.mean(), 1.0, np.zeros(len(pairs))

    def score(users, movies):
        product = np.einsum("ij,ij->i", left[users, 1:], right[movies, 1:])
        return mean + left[users, 0] + right[movies, 0] + product

    def gamma(squares):
        return rng.gamma((1 + np.size(squares)) / 2, 2 / (1 + np.sum(squares)))

    def draw(mine, other, my_rows, other_rows):
        prior = np.diag([gamma(column**2) for column in mine.T])
        for row in range(len(mine)):
            of_row = my_rows == row
            known = other[other_rows[of_row]]
            design = np.column_stack((np.ones(len(known)), known[:, 1:]))
            residuals = ratings.values[of_row] - mean - known[:, 0]
            covariance = np.linalg.inv(prior + precision * design.T @ design)
            centre = covariance @ (precision * design.T @ residuals)
            mine[row] = rng.multivariate_normal(centre, covariance)

    for i in range(iterations):
        draw(left, right, ratings.users, ratings.movies)
        draw(right, left, ratings.movies, ratings.users)
        precision = gamma((ratings.values - score(ratings.users, ratings.movies)) ** 2)
        if i >= burn_in:
            total += score(pairs.users, pairs.movies)
    return np.clip(total / (iterations - burn_in), 1, 5)


def rmse(predicted, ratings):
    return float(np.sqrt(np.mean((predicted - ratings.values) ** 2)))


def test_predictions_are_those_of_a_sampler_of_the_same_posterior():
    known, held_out = structured()
    slow = reference(known, held_out, factors=2, iterations=300, burn_in=50)

    found = RatingModel.fit(known, PLAIN).predict(held_out.users, held_out.movies)

    assert np.sqrt(np.mean((found - slow) ** 2)) < 0.08  # the noise is 0.3
    assert rmse(found, held_out) == pytest.approx(rmse(slow, held_out), abs=0.02)
    biases = Biases.fit(known).predict(held_out.users, held_out.movies)
    assert rmse(found, held_out) < 0.6 * rmse(biases, held_out)


def test_a_row_of_a_block_is_what_a_factorisation_machine_sums_of_it():
    rng = np.random.default_rng(1)
    block = rng.random((4, 6)) * (rng.random((4, 6)) < 0.6)
    weights, factors = rng.normal(size=6), rng.normal(size=(6, 3))

    biases, sums = rating_model._of_rows(csr_matrix(block), weights, factors)

    for x, bias, p in zip(block, biases, sums, strict=True):
        pairs = itertools.combinations(range(6), 2)
        crossed = sum(x[i] * x[j] * factors[i] @ factors[j] for i, j in pairs)
        assert bias == pytest.approx(x @ weights + crossed)
        np.testing.assert_allclose(p, x @ factors, rtol=1e-6)


def test_a_users_block_has_the_user_and_the_normalised_movies():
    rated = csr_matrix(np.array([[1.0, 1, 0, 1], [0, 1, 0, 0]]))

    block = rating_model._block(rated).toarray()

    third = 1 / np.sqrt(3)
    np.testing.assert_allclose(block, [[1, 0, third, third, 0, third], [0, 1, 0, 1, 0, 0]])


def test_lists_are_the_best_predictions_that_are_not_excluded():
    data = tasteful(1)
    train = data.part == TRAIN
    model = RatingModel.fit(Ratings.of(data, train), SHORT)
    users, exclusions = np.array([5, 70, 119]), Exclusions.of(data, train)

    lists = model.top(users, 7, exclusions)

    everything = np.arange(len(data.movie_ids))
    for user, movies in zip(users, lists, strict=True):
        scores = model.pair_scores(np.full(len(everything), user), everything)
        scores[exclusions.mask(np.array([user]), len(everything))[0]] = -np.inf
        np.testing.assert_allclose(scores[movies], np.sort(scores)[::-1][:7], rtol=1e-5)


def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not():
    known, _ = structured()
    one, two = RatingModel.fit(known, SHORT), RatingModel.fit(known, SHORT)
    other = RatingModel.fit(known, replace(SHORT, seed=1))

    assert one.user_factors.tobytes() == two.user_factors.tobytes()
    assert one.movie_factors.tobytes() == two.movie_factors.tobytes()
    assert one.user_factors.tobytes() != other.user_factors.tobytes()


def test_who_was_not_sampled_gets_the_biases():
    known, _ = structured()
    more = replace(known, n_users=N_USERS + 1, n_movies=N_MOVIES + 2)
    pairs = np.array([N_USERS, 3, N_USERS]), np.array([4, N_MOVIES, N_MOVIES + 1])

    found = RatingModel.fit(more, SHORT)

    assert found.predict(*pairs).tolist() == Biases.fit(more).predict(*pairs).tolist()


def test_biases_may_come_from_more_ratings_than_were_sampled():
    known, _ = structured()
    few = replace(known, users=known.users[:9], movies=known.movies[:9], values=known.values[:9])
    biases = Biases.fit(known)

    found = RatingModel.fit(few, SHORT, biases=biases)

    pair = np.array([N_USERS - 1]), np.array([3])
    assert found.predict(*pair) == biases.predict(*pair)


@pytest.mark.parametrize("calls", [1, 2, 5])
def test_a_fit_that_is_stopped_has_what_was_sampled_so_far(calls):
    known, held_out = structured()
    left = iter([False] * (calls - 1) + [True])

    found = RatingModel.fit(known, SHORT, should_stop=lambda: next(left))

    assert found.iterations == calls
    assert np.isfinite(found.predict(held_out.users, held_out.movies)).all()


def test_of_many_users_every_second_or_third_sample_is_kept(monkeypatch):
    known, held_out = structured()
    long = Parameters(factors=2, iterations=40, burn_in=10)
    whole = RatingModel.fit(known, long)
    monkeypatch.setattr(rating_model, "_MOST_SAMPLES_BYTES", (N_USERS + N_MOVIES) * 2 * 4 * 11)

    found = RatingModel.fit(known, long)

    assert whole.user_factors.shape == (N_USERS, 2 + 30 * 2)
    assert found.user_factors.shape == (N_USERS, 2 + 10 * 2)
    pairs = held_out.users, held_out.movies
    assert rmse(found.predict(*pairs), held_out) < 1.2 * rmse(whole.predict(*pairs), held_out)


@pytest.mark.parametrize(
    ("users", "movies"), [([0], [0]), ([0] * 6, range(6)), (range(6), [0] * 6), ([0, 1], [0, 1])]
)
def test_one_user_or_one_movie_is_enough(users, movies):
    ratings = Ratings(np.array(users), np.array(movies), np.full(len(users), 4.0), 6, 6)

    found = RatingModel.fit(ratings, SHORT).predict(np.arange(6), np.arange(6))

    assert np.isfinite(found).all()
    assert ((found >= 1) & (found <= 5)).all()


def test_equal_ratings_are_predicted_as_they_are():
    known, held_out = structured()
    equal = replace(known, values=np.full(len(known), 4.0))

    found = RatingModel.fit(equal, Parameters()).predict(held_out.users, held_out.movies)

    np.testing.assert_allclose(found, 4.0, atol=0.1)


def test_nothing_rated_is_nothing_to_predict_from():
    none = np.zeros(0, np.int64)

    with pytest.raises(DatasetError, match="nobody has rated"):
        RatingModel.fit(Ratings(none, none, np.zeros(0), 3, 3), SHORT)


def evaluated(data, **more):
    popular = Popularity.overall(data, data.part == TRAIN)
    return rating_model.evaluated(data, popular, SHORT, **more)


def test_an_evaluation_says_what_the_model_was_made_with():
    data = tasteful(1)

    found = evaluated(data)

    assert found["parameters"]["factors"] == 3
    assert found["ratings_used"] == found["train_ratings"] > 0
    assert (found["iterations"], found["truncated"]) == (8, False)
    assert found["model"]["rmse"] > 0
    assert evaluated(data, should_stop=lambda: True)["truncated"] is True


def test_an_evaluation_without_ratings_says_so():
    assert evaluated(tasteful(0)) == {"train_ratings": 0, "test_ratings": 0}


def test_the_fit_keeps_its_progress_to_itself(capsys):
    RatingModel.fit(structured()[0], SHORT)

    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    "wrong",
    [{"factors": 0}, {"iterations": 0}, {"burn_in": 50}, {"most_ratings": 0}, {"seed": -1}],
)
def test_parameters_out_of_range_are_refused(wrong):
    with pytest.raises(UsageError, match=next(iter(wrong))):
        Parameters(**wrong)
