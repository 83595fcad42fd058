"""Lists come from the blend only where it is better beyond doubt."""

from dataclasses import replace

import numpy as np
import pytest

from functions.train_als import als, blend, edlae, list_choice
from functions.train_als.als import AlsModel
from functions.train_als.list_choice import ALS, BLEND, Choice, Parameters
from movierec.errors import UsageError
from movierec.model.dataset import TRAIN
from movierec.model.fitted import Factors
from tests.unit.movierec.model.tastes import tasteful

PARAMETERS = Parameters(edlae.Parameters(), blend.Parameters())


def fitted(dataset, parameters=PARAMETERS):
    train = dataset.part == TRAIN
    factors = AlsModel.fit(dataset, train, als.Parameters(factors=4, iterations=3), threads=1)
    return list_choice.blended(dataset, train, factors, parameters)


def noise(mixed):
    """Return factors that know nothing."""
    rng = np.random.default_rng(1)
    shapes = mixed.als.factors.users.shape, mixed.als.factors.movies.shape
    made = (rng.normal(size=shape).astype(np.float32) for shape in shapes)
    return replace(mixed.als, factors=Factors(*made))


def test_a_blend_that_adds_much_gives_the_lists():
    dataset = tasteful()
    mixed = fitted(dataset)
    mixed = replace(mixed, als=noise(mixed), als_share=0.1)
    choice = list_choice.choose(dataset, mixed)
    assert choice.lists_from == BLEND
    assert choice.gain
    assert 0 < choice.gain["low"] < choice.gain["ndcg"] < choice.gain["high"]
    assert choice.model(mixed.als, mixed) is mixed


def test_a_blend_that_is_the_same_does_not():
    dataset = tasteful()
    mixed = replace(fitted(dataset), als_share=1.0, discount=np.ones(60, np.float32))
    choice = list_choice.choose(dataset, mixed)
    assert choice.lists_from == ALS
    assert choice.gain
    assert choice.gain["ndcg"] == 0
    assert choice.model(mixed.als, mixed) is mixed.als


def test_the_manifest_says_whose_lists_and_why():
    dataset = tasteful()
    mixed = fitted(dataset)
    facts = list_choice.choose(dataset, mixed).facts(PARAMETERS)
    assert facts["lists_from"] in (ALS, BLEND)
    assert "NDCG@20" in facts["lists_reason"]
    assert set(facts["blend_gain"]) == {"ndcg", "low", "high"}
    assert facts["item_to_item"]["movies"] == 6000


def test_only_so_many_users_are_compared():
    dataset = tasteful()
    reason = list_choice.choose(dataset, fitted(dataset), most_users=30).reason
    assert int(reason.split(" on ")[1].split()[0]) <= 30


def test_parameters_come_from_the_event_by_name():
    found = Parameters.read({"item_to_item": {"movies": 7}, "blend": {"als_share": 0.2}})
    assert (found.items.movies, found.blend.als_share) == (7, 0.2)
    with pytest.raises(UsageError, match="als_shar"):
        Parameters.read({"blend": {"als_shar": 0.2}})


def test_without_a_blend_the_manifest_says_why():
    facts = Choice.of_als("time: about 9 s of 3").facts(PARAMETERS)
    assert facts["lists_from"] == ALS
    assert facts["lists_reason"].endswith("not fitted, for want of time: about 9 s of 3")
    assert facts["blend_gain"] is None
