"""A search stays in its space, finds what is better, and goes on as if it had never ended."""

import pytest

from functions.train_als import search
from functions.train_als.als import Parameters
from functions.train_als.search import Space

SPACE = Space(256, 20)


def score_of(parameters):
    """Best at alpha 10, regularization 1, by a smooth function of their logarithms."""
    _, alpha, regularization = SPACE.point(parameters)
    best = SPACE.point({"factors": 16, "alpha": 10.0, "regularization": 1.0})
    return 1 - (alpha - best[1]) ** 2 - (regularization - best[2]) ** 2


def searched(budget, trials=()):
    trials = list(trials)
    while len(trials) < budget:
        found = search.propose(SPACE, trials, budget)
        values = {"factors": found.factors, "alpha": found.alpha}
        values["regularization"] = found.regularization
        trials.append({"parameters": values, "score": score_of(values), "scores": {}})
    return trials


def test_the_defaults_are_tried_first():
    first, default = search.propose(SPACE, [], 10), Parameters()
    assert (first.factors, first.alpha, first.regularization) == (
        default.factors,
        default.alpha,
        default.regularization,
    )


def test_the_best_comes_close_to_the_optimum():
    assert search.best(searched(30))["score"] > 0.995 > search.best(searched(3))["score"]


def test_every_trial_is_within_the_space_and_no_two_are_alike():
    trials = searched(40)
    for trial in trials:
        values = trial["parameters"]
        assert values["factors"] in SPACE.factors
        assert search.ALPHA[0] <= values["alpha"] <= search.ALPHA[1]
        assert search.REGULARIZATION[0] <= values["regularization"] <= search.REGULARIZATION[1]
    assert len({str(trial["parameters"]) for trial in trials}) == 40


@pytest.mark.parametrize("done", [1, 7, 15, 16, 29])
def test_a_search_that_was_broken_off_goes_on_as_it_would_have(done):
    whole = searched(30)
    assert searched(30, whole[:done]) == whole


def test_of_equal_scores_the_first_trial_is_the_best():
    trials = [{"score": 0.1, "n": 1}, {"score": 0.3, "n": 2}, {"score": 0.3, "n": 3}]
    assert search.best(trials)["n"] == 2


def passed(*scores):
    return [{"scores": {"5": 0.0, "10": score}} for score in scores]


def test_a_trial_below_the_median_of_those_before_it_is_hopeless():
    assert search.is_hopeless(passed(0.1, 0.2, 0.3, 0.4, 0.5), 10, 0.29)
    assert not search.is_hopeless(passed(0.1, 0.2, 0.3, 0.4, 0.5), 10, 0.3)


def test_few_trials_or_few_iterations_judge_nobody():
    assert not search.is_hopeless(passed(0.1, 0.2, 0.3, 0.4), 10, 0.0)
    assert not search.is_hopeless(passed(*[0.5] * 9), 5, -1.0)


def test_a_small_lambda_leaves_a_small_space():
    small = Space(8, 3)
    assert (small.factors, small.checkpoints) == ((8,), (3,))
    assert search.propose(small, [], 5).factors == 8
    assert Space(100, 17).factors == (16, 32, 64, 96)
    assert Space(100, 17).checkpoints == (5, 10, 15)
