"""Where a blend has no room, a model of ALS alone is trained, and says so."""

import bisect
import dataclasses
import math
from dataclasses import replace

import numpy as np
import pytest

from functions.train_als import als, capacity, list_choice
from functions.train_als.capacity import Limits, Size
from functions.train_als.training import Training
from movierec.model import artifact, item_neighbours, license_cost
from movierec.model.encoding import load_npy
from movierec.model.license_cost import Costs
from movierec.model.texts import Description, MovieText, Texts
from movierec.reports import model_report
from movierec.runtime.stage_usage import StageUsage
from movierec.taste import taste_map
from movierec.taste.taste_map import TasteMap
from tests.unit.movierec.model.tastes import tasteful

DATASET = tasteful(1)
PLAN = als.Parameters(factors=4, iterations=3)
BESIDE = list_choice.Parameters.read({})
SIZE = Size.of(DATASET)


def carries(memory_bytes):
    return not capacity.lacks_for_blend(SIZE, BESIDE.items.movies, PLAN, Limits(memory_bytes))


# The least memory that carries the blend, found by halving.
BOTH = bisect.bisect_left(range(10**9), True, key=carries)


def trained(memory_bytes):
    usage = StageUsage(lambda: 1, lambda: None)
    training = Training(DATASET, usage, lambda: math.inf, memory_bytes, threads=1)
    return training.train(training.evaluate(PLAN, BESIDE, None)), usage.stages


def test_without_memory_for_the_blend_als_is_published_alone():
    found, stages = trained(BOTH - 1)
    assert found.facts["lists_from"] == list_choice.ALS
    assert "for want of memory" in found.facts["lists_reason"]
    assert found.facts["blend_gain"] is None
    assert found.facts["als_regularization"] > 0
    assert not found.optional_files
    assert "fit_items_train" not in stages
    assert len(found.model.topk) == len(DATASET.user_ids)


@pytest.mark.parametrize("memory_bytes", [BOTH, 10 * BOTH])
def test_with_room_both_are_compared_and_neighbours_published(memory_bytes):
    found, stages = trained(memory_bytes)
    assert found.facts["blend_gain"] is not None
    assert set(found.optional_files) == set(item_neighbours.FILES)
    assert {"fit_items_train", "fit_items_all"} <= set(stages)


def described():
    """Return the data set, its users' tastes written down: a user's is the row's id modulo 3."""
    words = ("submarines", "ballrooms", "volcanoes")
    texts = Texts(
        np.arange(len(DATASET.user_ids), dtype=np.int32),
        tuple(Description(f"only {words[i % 3]}, please") for i in DATASET.user_ids.tolist()),
        tuple(MovieText(f"Tale {i}") for i in DATASET.movie_ids),
    )
    return dataclasses.replace(DATASET, texts=texts)


def trained_on(data, remaining_s=lambda: math.inf):
    training = Training(data, StageUsage(lambda: 1, lambda: None), remaining_s, 10**10, threads=1)
    evaluated = training.evaluate(PLAN, BESIDE, None)
    return evaluated, training.train(evaluated)


def test_a_map_of_tastes_is_published_where_users_have_written_something():
    evaluated, found = trained_on(described())
    taste = TasteMap.unpack(found.optional_files)
    assert found.facts["taste"]["learned_from"] == len(DATASET.user_ids)
    x = taste.users([Description("Submarines!")])[0]
    best = np.argsort(-(found.model.item_factors @ x))[:10]
    wanted = next(i for i in range(3) if (DATASET.user_ids[i] % 3) == 0)
    assert set((best % 3).tolist()) == {int(DATASET.user_ids[wanted] % 3)}
    worth = evaluated.metrics["taste"]
    assert worth["ndcg"] > worth["group_ndcg"] + 2 * worth["gain"]["stderr"]
    assert worth["users"] == worth["understood"] > 0


def test_the_report_says_what_texts_are_worth():
    worth = trained_on(described())[0].metrics["taste"]
    (section,) = model_report.taste_sections(worth).items()
    assert section[0] == "Lists by self-descriptions"
    assert f"{worth['users']:,} users whose texts were held out" in section[1][0]
    assert not model_report.taste_sections({})
    assert not model_report.taste_sections({"users": 0})


def test_without_texts_there_is_no_map():
    evaluated, found = trained_on(DATASET)
    assert "taste" not in evaluated.metrics
    assert "taste" not in found.facts
    assert not set(taste_map.FILES) & set(found.optional_files)


def test_a_late_training_fits_the_map_and_does_not_test_it():
    evaluated, found = trained_on(described(), lambda: 1.0)
    assert "taste" not in evaluated.metrics
    assert found.facts["taste"]["texts"] == len(DATASET.user_ids)


# License cost ---------------------------------------------------------------------------------

N_MOVIES = len(DATASET.movie_ids)
PRICES = np.random.default_rng(4).lognormal(0, 0.6, N_MOVIES).astype(np.float32)
PRICES[:3] = np.nan, -1, 1e9
PRICED = replace(DATASET, costs=PRICES)
COSTS = Costs.of(PRICES) or Costs(PRICES, 0, 0, 0)


def priced(weight, data=PRICED, remaining_s=lambda: math.inf):
    usage = StageUsage(lambda: 1, lambda: None)
    training = Training(data, usage, remaining_s, 10 * BOTH, threads=1)
    beside = list_choice.Parameters.read({"cost_weight": weight})
    evaluated = training.evaluate(PLAN, beside, None)
    return evaluated, training.train(evaluated), usage.stages


def mean_cost(model):
    listed = model.topk[:, :20]
    return COSTS.usd[listed[listed < N_MOVIES]].mean()


def test_a_cost_weight_makes_the_published_lists_cheaper():
    _, off, _ = priced(None)
    _, on, _ = priced(2.0)
    assert mean_cost(on.model) < mean_cost(off.model)
    assert on.facts["license_cost"]["applied"]
    assert on.facts["license_cost"]["cost_weight"] == 2.0


def test_without_a_weight_costs_change_no_list_and_are_published():
    _, off, _ = priced(None)
    _, without, _ = priced(None, DATASET)
    assert (off.model.topk == without.model.topk).all()
    usd = load_npy(artifact.COSTS_FILE, off.optional_files[artifact.COSTS_FILE])
    assert (usd == COSTS.usd).all()
    assert off.facts["license_cost"]["missing"] == 1
    assert off.facts["license_cost"]["absurd"] == 2
    assert not off.facts["license_cost"]["applied"]


def test_without_costs_a_weight_does_nothing_and_the_manifest_says_so():
    evaluated, found, stages = priced(2.0, DATASET)
    assert artifact.COSTS_FILE not in found.optional_files
    assert found.facts["license_cost"]["reason"] == license_cost.NO_COSTS
    assert evaluated.metrics["license_cost"] == {"skipped": license_cost.NO_COSTS}
    assert "license_cost" not in stages


def test_what_is_evaluated_is_what_is_published_and_the_curve_has_both():
    evaluated, _, stages = priced(2.0)
    curve = evaluated.metrics["license_cost"]
    by_weight = {point["cost_weight"]: point for point in curve["points"]}
    assert by_weight[2.0]["ndcg"] == pytest.approx(evaluated.metrics["model"]["ndcg"], abs=1e-6)
    assert by_weight[0.0]["predicted_rating"] is not None
    assert "license_cost" in stages


def test_a_late_training_leaves_the_curve_out():
    """Time runs out once the first fits are done."""
    left = iter([10_000.0] * 5)
    evaluated, _, _ = priced(None, remaining_s=lambda: next(left, 1.0))
    assert evaluated.metrics["license_cost"] == {"skipped": "the training had no time left for it"}


def test_lists_by_cost_have_their_time_set_aside():
    """The blend is left out where it would fit without a cost weight."""
    more_s = capacity.reranked_s(SIZE, blends=True)
    assert more_s > capacity.reranked_s(SIZE, blends=False) > 0

    def lacks(left_s):
        limits = Limits(10 * BOTH, left_s)
        return bool(capacity.lacks_for_blend(SIZE, BESIDE.items.movies, PLAN, limits))

    enough_s = bisect.bisect_left(range(10**9), True, key=lambda ms: not lacks(ms / 1e3)) / 1e3
    left_s = enough_s + more_s / 2
    _, off, _ = priced(None, remaining_s=lambda: left_s)
    _, on, _ = priced(1.0, remaining_s=lambda: left_s)
    assert off.facts["blend_gain"] is not None
    assert on.facts["lists_reason"].startswith("the blend was not fitted, for want of time")
