"""Costs that are not to be believed are the median, and lists trade taste for cost."""

from dataclasses import replace

import numpy as np
import pytest

from movierec.errors import UsageError
from movierec.model import license_cost
from movierec.model.artifact import TOP_K
from movierec.model.dataset import TRAIN
from movierec.model.fitted import Exclusions, top_of
from movierec.model.license_cost import CANDIDATES, CostAware, Costs, Penalty, cost_aware
from tests.unit.movierec.model.svd_model import SvdModel
from tests.unit.movierec.model.tastes import tasteful
from tests.unit.movierec.model.viewers import N_MOVIES, N_USERS, Scores, skewed

DATASET = skewed()
EVERYBODY = np.arange(N_USERS)
RULES = Exclusions.of(DATASET, DATASET.part == TRAIN)


def model(seed=0):
    scores = np.random.default_rng(seed).normal(size=(N_USERS, N_MOVIES)).astype(np.float32)
    return Scores(scores)


def priced(given):
    found = Costs.of(np.asarray(given, np.float32))
    assert found is not None
    return found


def costs(seed=1):
    return priced(np.random.default_rng(seed).lognormal(0, 0.6, N_MOVIES))


def paid(found, lists):
    return float(found.usd[lists[lists >= 0]].mean())


# Costs ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", [np.inf, -np.inf, -1, 0, 201, 1e30, 0.0199])
def test_an_absurd_cost_is_the_median_and_counted(wrong):
    found = priced(np.array([1, 2, 2, 2, 3, wrong], np.float32))
    assert found.usd.tolist() == [1, 2, 2, 2, 3, 2]
    assert (found.missing, found.absurd) == (0, 1)


def test_a_missing_cost_is_the_median_and_counted_apart():
    found = priced(np.array([1, 2, 6, np.nan, np.nan, -3], np.float32))
    assert found.usd.tolist() == [1, 2, 6, 2, 2, 2]
    assert found.facts() == {"movies": 6, "missing": 2, "absurd": 1, "median_usd": 2.0}


def test_costs_at_the_edge_of_what_is_believed_stay():
    given = np.array([0.02, 2, 2, 2, 200], np.float32)
    assert priced(given).usd.tolist() == given.tolist()


@pytest.mark.parametrize("given", [None, np.full(3, np.nan), np.array([0, -1, np.inf]), []])
def test_without_any_cost_there_are_none(given):
    assert Costs.of(None if given is None else np.array(given, np.float32)) is None


def test_the_median_stays_that_of_the_costs_that_are_believed():
    """The API takes it from the file for movies that came later."""
    rng = np.random.default_rng(2)
    given = rng.lognormal(0, 1, 501).astype(np.float32)
    given[:100] = np.nan
    given[100:110] = 1e9
    found = priced(given)
    assert np.median(found.usd) == pytest.approx(found.median_usd)


@pytest.mark.parametrize("value", [-0.1, 101, "1", True, np.nan, [1]])
def test_a_weight_that_is_none_is_refused(value):
    with pytest.raises(UsageError, match="cost_weight is"):
        license_cost.read_weight(value)


def test_the_default_weight_is_nothing():
    assert license_cost.read_weight(None) == license_cost.read_weight(0) == 0.0
    assert license_cost.read_weight(1) == 1.0


def test_the_manifest_says_whether_costs_counted():
    assert license_cost.facts(costs(), 0.5)["applied"]
    assert not license_cost.facts(costs(), 0)["applied"]
    assert license_cost.facts(None, 0.5) == {
        "cost_weight": 0.5,
        "applied": False,
        "reason": license_cost.NO_COSTS,
    }


# Lists ----------------------------------------------------------------------------------------


def test_without_a_weight_or_costs_the_model_is_itself():
    inner = model()
    assert cost_aware(inner, costs(), 0) is inner
    assert cost_aware(inner, None, 0.5) is inner


def test_lists_get_cheaper_with_the_weight():
    found = costs()
    lists = [cost_aware(model(), found, w).top(EVERYBODY, 20, RULES) for w in (0, 0.2, 0.5, 1, 5)]
    spent = [paid(found, one) for one in lists]
    assert spent == sorted(spent, reverse=True)
    assert spent[-1] < 0.8 * spent[0]


def test_a_list_is_of_its_users_candidates_without_repetition():
    inner, found = model(), costs()
    candidates = inner.top(EVERYBODY, CANDIDATES, RULES)
    lists = cost_aware(inner, found, 0.7).top(EVERYBODY, 20, RULES)
    for mine, allowed in zip(lists.tolist(), candidates.tolist(), strict=True):
        assert len(set(mine)) == 20
        assert set(mine) <= set(allowed)


def test_what_a_list_must_not_hold_it_does_not_hold():
    dataset = tasteful(0, adult=range(0, 60, 2))
    inner = SvdModel(dataset, dataset.part == TRAIN)
    free = priced(np.where(np.arange(60) % 2, 1.0, 0.02).astype(np.float32))
    rules = Exclusions.of(dataset, dataset.part == TRAIN)
    users = np.arange(len(dataset.user_ids))
    lists = cost_aware(inner, free, 5).top(users, 20, rules)
    closed = rules.mask(users, 60)
    assert not any(closed[user, movie] for user in users for movie in lists[user] if movie >= 0)


def test_a_shorter_list_is_the_start_of_a_longer_one():
    mixed = cost_aware(model(), costs(), 0.5)
    longer = mixed.top(EVERYBODY, TOP_K, RULES)
    assert (mixed.top(EVERYBODY, 20, RULES) == longer[:, :20]).all()


def test_a_users_list_is_the_same_whoever_else_is_asked_for():
    mixed = cost_aware(model(), costs(), 0.5)
    all_ = mixed.top(EVERYBODY, 20, RULES)
    assert (mixed.top(EVERYBODY[7:9], 20, RULES) == all_[7:9]).all()


def test_costs_that_are_all_alike_change_nothing():
    inner = model()
    alike = priced(np.full(N_MOVIES, 3, np.float32))
    lists = cost_aware(inner, alike, 0.5).top(EVERYBODY, 20, RULES)
    assert (lists == inner.top(EVERYBODY, 20, RULES)).all()


def test_users_for_whom_little_is_left_get_all_of_it():
    inner, found = model(), costs()
    allowed = np.arange(N_MOVIES - 7)
    narrow = replace(RULES, restricted=np.ones(N_USERS, bool), adult=allowed.astype(np.int32))
    lists = cost_aware(inner, found, 1).top(EVERYBODY, 20, narrow)
    expected = inner.top(EVERYBODY, 20, narrow)
    assert (np.sort(lists) == np.sort(expected)).all()
    assert ((lists >= 0).sum(axis=1) <= 7).all()


def test_scores_that_are_all_alike_are_ordered_by_cost_at_last():
    """Nothing is known of taste but the order, which outweighs a small difference alone."""
    penalty = Penalty(np.array([3, 1, 2], np.float32), 5.0)
    found = penalty.reranked(np.array([[0, 1, 2, -1]]), np.zeros((1, 4), np.float32))
    assert found.tolist() == [[1, 2, 0, -1]]


def test_the_order_is_that_of_the_formula():
    candidates, scores = np.array([[2, 0, 1]]), np.array([[4.0, 3.0, 1.0]])
    relative = np.array([1.0, 0.2, 3.0], np.float32)
    z = (scores[0] - scores.mean()) / scores.std()
    worth = np.exp(0.75 * z) / np.arange(1, 4) ** 0.25 - 0.9 * relative[candidates[0]]
    found = Penalty(relative, 0.9).reranked(candidates, scores)
    assert found[0].tolist() == candidates[0][np.argsort(-worth)].tolist()


def test_dense_scores_and_a_fitted_model_give_the_same_lists():
    """Of a refresh and of a training."""
    inner, found = model(), costs()
    penalty = Penalty(found.relative, 0.6)
    dense = top_of(lambda rows: inner.scores[rows], EVERYBODY, 20, RULES, penalty)
    assert (dense == CostAware(inner, penalty).top(EVERYBODY, 20, RULES)).all()


def test_the_scores_stay_those_of_taste():
    users, movies = np.array([1, 2]), np.array([3, 4])
    inner = model()
    assert (
        cost_aware(inner, costs(), 1).pair_scores(users, movies) == inner.pair_scores(users, movies)
    ).all()
