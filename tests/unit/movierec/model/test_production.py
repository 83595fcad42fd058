"""The model in production is compared where neither model has seen the held-out window."""

import functools
from datetime import UTC, datetime

import numpy as np

from movierec.model import artifact, encoding, offline_evaluation, production, publishing
from movierec.model import dataset as datasets
from movierec.model.fitted import Factors
from movierec.model.held_out import HeldOut
from movierec.model.list_assembly import assemble
from movierec.model.sealed_folder import MANIFEST_FILE, seal
from movierec.testing.memory import MemoryStore
from tests.unit.movierec.model.viewers import popular, random, skewed

VERSION = "20260101T000000Z-abc-def"
TODAY = skewed()


def published(store, dataset, fitted, *, version=VERSION, ended_day=None, held_out=True):
    """Publish a model of a data set, whose manifest says when its events end."""
    evaluated = offline_evaluation.judge(dataset, fitted)
    factors = Factors(
        np.zeros((len(dataset.user_ids), 1), np.float32),
        np.zeros((len(dataset.movie_ids), 1), np.float32),
    )
    facts = {"model_version": version, "dataset_id": "old", "metrics": evaluated.metrics}
    model = assemble(dataset, fitted, factors)
    publishing.publish(store, model, facts, b"", evaluated.files if held_out else None)
    if ended_day is not None:
        lake = {"lake": {"event_time_us": {"last": (1_000 + ended_day * 86_400) * 1_000_000}}}
        store.objects[datasets.key("old", MANIFEST_FILE)] = seal({}, lake)
    return store


def compared(store, fitted=None):
    found = production.load(store, VERSION, TODAY)
    return offline_evaluation.evaluate(TODAY, fitted or popular(TODAY), production=found)


def test_lists_from_before_the_window_are_compared_as_served():
    before = skewed(days=60)
    found = compared(published(MemoryStore(), before, random(before), ended_day=60))
    assert found["production"]["basis"] == "served"
    assert found["production"]["known_until_s"] < found["held_out_from_s"]
    assert found["others"]["production"]["users"] == found["test_users"]
    gain = found["differences"]["production"]["ndcg"]
    assert gain["low"] > 0
    assert gain["users"] == found["test_users"]


def test_of_a_model_of_the_same_data_the_held_out_lists_are_compared():
    """What it serves excludes all that was held out: its users have seen that."""
    found = compared(published(MemoryStore(), TODAY, popular(TODAY), ended_day=100))
    assert found["production"]["basis"] == "held out"
    assert found["differences"]["production"]["ndcg"]["mean"] == 0
    assert found["differences"]["production"]["ndcg"]["users"] == found["test_users"]


def test_a_worse_model_is_worse_than_production_by_subpopulation_too():
    store = published(MemoryStore(), TODAY, popular(TODAY), ended_day=100)
    found = compared(store, random(TODAY))
    assert found["differences"]["production"]["ndcg"]["high"] < 0
    women = found["groups"]["gender"]["F"]
    assert women["differences"]["production"]["ndcg"]["high"] < 0
    assert women["production"]["users"] == women["model"]["users"]


def test_lists_are_filtered_by_what_the_user_has_seen_since():
    before = skewed(days=60)
    store = published(MemoryStore(), before, popular(before), ended_day=60)
    lists = production.load(store, VERSION, TODAY).lists
    assert lists is not None
    train = TODAY.part == datasets.TRAIN
    exclusions = HeldOut.of(TODAY, 1_000).exclusions
    found = lists.top(np.arange(len(TODAY.user_ids)), 20, exclusions)
    for user in range(0, len(TODAY.user_ids), 17):
        row = slice(TODAY.indptr[user], TODAY.indptr[user + 1])
        assert not set(TODAY.movies[row][train[row]].tolist()) & set(found[user].tolist())


def test_users_whom_production_does_not_know_are_left_out():
    before = skewed(days=60, n_users=150)
    found = compared(published(MemoryStore(), before, popular(before), ended_day=60))
    assert 0 < found["others"]["production"]["users"] < found["test_users"]
    assert found["model"]["users"] == found["test_users"]


def test_an_artifact_of_before_is_compared_only_if_its_data_ended_in_time():
    store = published(MemoryStore(), TODAY, popular(TODAY), ended_day=100, held_out=False)
    found = compared(store)
    assert found["production"]["basis"] is None
    assert "earlier code" in found["production"]["reason"]
    assert "production" not in found["differences"]


def test_without_its_data_set_the_time_of_training_counts():
    store = published(MemoryStore(), TODAY, popular(TODAY), held_out=False)
    found = production.load(store, VERSION, TODAY)
    trained = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
    assert found.lists is None
    assert trained > production.held_out_from(TODAY)


def test_a_model_that_held_out_less_has_learned_from_this_window():
    store = published(MemoryStore(), TODAY, popular(TODAY), ended_day=100)
    earlier = skewed(days=80)
    found = production.load(store, VERSION, earlier)
    assert (found.lists, found.reason) == (None, production.LATER)


def test_a_model_that_cannot_be_read_is_said_to_be_so():
    found = production.load(MemoryStore(), VERSION, TODAY)
    assert found.lists is None
    assert found.reason.startswith("it cannot be read")
    store = published(MemoryStore(), TODAY, popular(TODAY), ended_day=100)
    store.objects[artifact.key(VERSION, artifact.HELD_OUT_TOPK_FILE)] = b"cut"
    assert production.load(store, VERSION, TODAY).reason.startswith("it cannot be read")


def test_the_held_out_lists_are_those_of_the_test_users():
    store = published(MemoryStore(), TODAY, popular(TODAY))
    key = functools.partial(artifact.key, VERSION)
    users = encoding.load_npy("", store.get(key(artifact.HELD_OUT_USERS_FILE)))
    lists = encoding.load_npy("", store.get(key(artifact.HELD_OUT_TOPK_FILE)))
    assert lists.shape == (len(users), artifact.TOP_K)
    assert lists.dtype == artifact.index_type(len(TODAY.movie_ids))
    assert set(users) <= set(TODAY.user_ids)
    assert lists.max() < len(TODAY.movie_ids)
