"""The curve of taste against dollars says what the lists would be worth and cost."""

from dataclasses import replace

import numpy as np
import pytest

from movierec.model import cost_curve, offline_metrics
from movierec.model.dataset import TEST, TRAIN
from movierec.model.held_out import HeldOut
from movierec.model.license_cost import Costs, cost_aware
from movierec.reports import cost_report
from tests.unit.movierec.model.svd_model import SvdModel
from tests.unit.movierec.model.tastes import N_MOVIES, tasteful

DATASET = tasteful(1)


def priced(given):
    found = Costs.of(given.astype(np.float32))
    assert found is not None
    return found


COSTS = priced(np.random.default_rng(3).lognormal(0, 0.7, N_MOVIES))


class Three:
    """Predicts 3 stars, 4 of every even movie."""

    def predict(self, users, movies):
        return 3.0 + (movies % 2 == 0)


@pytest.fixture(scope="module")
def inner():
    return SvdModel(DATASET, DATASET.part == TRAIN)


@pytest.fixture(scope="module")
def found(inner):
    return cost_curve.of(DATASET, inner, COSTS, Three(), 0.3)


def point(found, weight):
    return next(one for one in found["points"] if one["cost_weight"] == weight)


def test_without_a_weight_it_is_the_models_own_lists(found, inner):
    test = HeldOut.of(DATASET, 10_000)
    lists = inner.top(test.users, 20, test.exclusions)
    per_user = offline_metrics.per_user(
        lists, test.liked_rows, test.liked, np.zeros(len(COSTS.usd))
    )
    first = point(found, 0)
    assert first["ndcg"] == pytest.approx(per_user.ndcg.mean(), abs=1e-6)
    assert first["ndcg_difference"] == {"mean": 0.0, "stderr": 0.0}
    by_rank = [
        np.average(COSTS.usd[row[row >= 0]], weights=1 / np.log2(np.arange((row >= 0).sum()) + 2))
        for row in lists
    ]
    assert first["usd_a_play"] == pytest.approx(np.mean(by_rank))
    flat = [COSTS.usd[row[row >= 0]].mean() for row in lists]
    assert first["usd_a_list"] == pytest.approx(np.mean(flat))


def test_the_published_weight_is_on_the_curve_as_its_lists_are(found, inner):
    test = HeldOut.of(DATASET, 10_000)
    lists = cost_aware(inner, COSTS, 0.3).top(test.users, 20, test.exclusions)
    flat = [COSTS.usd[row[row >= 0]].mean() for row in lists]
    assert point(found, 0.3)["usd_a_list"] == pytest.approx(np.mean(flat))
    liked = (DATASET.part == TEST) & (DATASET.strength > 0)
    assert found["users"] == len(test.users) > 0
    assert liked.any()


def test_dollars_fall_with_the_weight(found):
    for name in ("usd_a_play", "usd_a_list"):
        spent = [one[name] for one in found["points"]]
        assert spent == sorted(spent, reverse=True)


def test_the_weight_that_saves_lies_between_those_tried():
    points = [
        {"cost_weight": w, "usd_a_play": usd, "usd_a_list": 1.0}
        for w, usd in ((0.0, 2.0), (0.4, 1.8), (0.8, 1.4))
    ]
    assert cost_curve.weight_saving(points, "usd_a_play") == pytest.approx(0.6)
    assert cost_curve.weight_saving(points, "usd_a_list") is None


def test_what_a_saving_costs_is_that_of_the_lists_with_its_weight(found, inner):
    for dollars in ("usd_a_play", "usd_a_list"):
        at = found["at_saving"][dollars]
        exact = point(cost_curve.of(DATASET, inner, COSTS, Three(), at["cost_weight"]),
                      at["cost_weight"])  # fmt: skip
        assert at["ndcg"] == pytest.approx(exact["ndcg"] / point(found, 0)["ndcg"] - 1)
        assert at[dollars] < -0.1


def test_where_all_costs_are_alike_nothing_is_saved(inner):
    alike = priced(np.full(N_MOVIES, 2))
    found = cost_curve.of(DATASET, inner, alike, None, 0)
    assert found["at_saving"] == {"usd_a_play": None, "usd_a_list": None}
    assert point(found, 0)["predicted_rating"] is None
    assert "No weight that was tried saves 20%" in "".join(
        cost_report.sections(found)["License cost"]
    )


def test_the_sample_is_bounded(inner):
    assert cost_curve.of(DATASET, inner, COSTS, None, 0, most_users=10)["users"] <= 10


def test_the_report_draws_the_curve_and_says_what_a_fifth_costs(found):
    shown = "".join(cost_report.sections(found)["License cost"])
    assert "<svg" in shown
    assert "saves 20% of the cost of a play, by rank: NDCG" in shown
    assert "cost weight 0.3" in shown


def test_the_report_counts_costs_that_are_not_believed(found):
    costs = replace(COSTS, missing=7, absurd=2).facts()
    shown = "".join(cost_report.sections({**found, "costs": costs})["License cost"])
    assert "7 without one and 2 with an absurd one" in shown


def test_the_report_says_why_there_is_no_curve():
    shown = "".join(cost_report.sections(cost_curve.skipped("nobody knows"))["License cost"])
    assert "Not measured: nobody knows." in shown
