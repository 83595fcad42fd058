"""Where a blend has no room, a model of ALS alone is trained, and says so."""

import bisect
import math

import pytest

from functions.train_als import als, capacity, list_choice
from functions.train_als.capacity import Limits, Size
from functions.train_als.training import Training
from movierec.model import item_neighbours
from movierec.runtime.stage_usage import StageUsage
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
