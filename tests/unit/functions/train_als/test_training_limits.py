"""What breaks a training, or ends it early, is refused with what would help, or said."""

import math
import re
from dataclasses import replace

import numpy as np
import pytest
from aws_lambda_powertools import Logger, Metrics

from functions.train_als import capacity, handler
from functions.train_als.als import Parameters
from functions.train_als.capacity import Limits, Size
from functions.train_als.deadline import IterationWatch
from functions.train_als.handler import Dependencies
from movierec.errors import ArtifactError, CapacityError, DatasetError, UsageError
from movierec.model import artifact, sealed_folder, tuning
from movierec.model import dataset as datasets
from movierec.model.dataset import TEST, TRAIN, Dataset
from movierec.model.fitted import Factors
from movierec.model.segments import GROUPS
from movierec.runtime.stage_usage import StageUsage
from movierec.testing.memory import FakeClock, MemoryStore
from tests.unit.movierec.model.tastes import tasteful

LARGE = Size(1_000_000, 27_000, 50_000_000)
GB = 10**9
OTHERS = ("fit_item_knn", "fit_ratings")
NO_FACTORS = Factors(np.zeros((0, 1), np.float32), np.zeros((0, 1), np.float32))


def published(data):
    files = datasets.pack(data)
    files[sealed_folder.MANIFEST_FILE] = sealed_folder.seal(files, {"groups": list(GROUPS)})
    return MemoryStore({datasets.key("one", name): body for name, body in files.items()})


def dependencies(store, memory_bytes=2 * GB):
    return Dependencies(
        store=store,
        clock=FakeClock(),
        code_version="abc",
        threads=1,
        memory_bytes=memory_bytes,
        usage=lambda: StageUsage(lambda: 1, lambda: None),
        logger=Logger(service="test"),
        metrics=Metrics(namespace="movierec", service="test"),
    )


def trained(data, remaining_s=lambda: math.inf, **event):
    store = published(data)
    event = {"parameters": {"factors": 4}, **event}
    answer = handler.train_als({"dataset_id": "one", **event}, dependencies(store), remaining_s)
    key = artifact.key(answer["model_version"], sealed_folder.MANIFEST_FILE)
    return answer, sealed_folder.open_manifest(store.get(key))


class Timer:
    """A Lambda's remaining time, less by a second each time that it is read."""

    def __init__(self, left_s):
        self.left_s = left_s

    def __call__(self):
        self.left_s -= 1
        return self.left_s


def test_out_of_time_the_iterations_done_are_kept_and_the_manifest_says_so():
    answer, facts = trained(tasteful(1), Timer(60), parameters={"factors": 4, "iterations": 1000})
    assert answer["truncated"] is facts["truncated"] is True
    assert 1 <= facts["iterations_done"] < 1000
    assert facts["parameters"]["iterations"] == 1000
    assert answer["metrics"]["ndcg"] > answer["metrics"]["popularity_ndcg"]


def test_out_of_time_ratings_are_predicted_from_the_samples_so_far():
    _, facts = trained(tasteful(1), Timer(60))
    rating = facts["metrics"]["rating"]
    assert rating["truncated"] is True
    assert 1 <= rating["iterations"] < rating["parameters"]["iterations"]
    assert rating["model"]["rmse"] > 0


def test_in_time_nothing_is_truncated():
    answer, facts = trained(tasteful(1), Timer(10_000))
    assert answer["truncated"] is facts["truncated"] is False
    assert facts["metrics"]["rating"]["truncated"] is False
    assert facts["iterations_done"] == facts["parameters"]["iterations"] == 15


def test_the_manifest_has_each_stages_cost():
    facts = trained(tasteful(1))[1]
    assert list(facts["stages"]) == sorted(facts["stages"])
    fits = {"fit_train", "fit_items_train", "fit_all", "fit_items_all"}
    assert set(facts["stages"]) == {"load", *fits, *OTHERS, "choice", "evaluation", "lists"}
    for used in facts["stages"].values():
        assert set(used) == {"seconds", "cpu_s", "peak_memory_bytes"}


def test_a_watch_expects_the_next_iteration_to_take_as_long_as_the_longest():
    times = iter([100.0, 80.0, 70.0, 45.0])
    watch = IterationWatch(lambda: next(times), reserve_s=25)
    assert [watch(i, NO_FACTORS) for i in (1, 2, 3)] == [True, True, False]
    assert watch.iterations == 3


def test_without_a_deadline_every_iteration_is_done():
    facts = trained(tasteful(1))[1]
    assert facts["iterations_done"] == facts["parameters"]["iterations"] > 1
    assert facts["truncated"] is False


# Data that no model comes from ----------------------------------------------------------------


def changed(**columns):
    return replace(tasteful(1), **columns)


def of_one(users, movies):
    """One user or one movie, or both, half of it held out."""
    n = max(users, movies)
    rows = np.arange(n) % users
    return Dataset(
        indptr=np.concatenate(([0], np.cumsum(np.bincount(rows)))),
        movies=np.sort(np.arange(n) % movies).astype(np.int32),
        strength=np.ones(n, np.float32),
        ratings=np.zeros(n, np.int8),
        last_at=np.arange(n, dtype=np.uint32),
        part=np.where(np.arange(n) < (n + 1) // 2, TRAIN, TEST).astype(np.uint8),
        user_ids=np.arange(1, users + 1),
        movie_ids=tuple(f"m{i}" for i in range(movies)),
        adult=np.zeros(movies, np.bool_),
        user_groups=np.zeros(users + 1, np.uint8),
    )


def test_no_data_is_refused():
    nothing = np.zeros(0, np.int32)
    empty = replace(
        of_one(1, 1), indptr=np.zeros(2, np.int64), movies=nothing, strength=nothing.astype("f4"),
        ratings=nothing.astype("i1"), last_at=nothing.astype("u4"), part=nothing.astype("u1"),
    )  # fmt: skip
    with pytest.raises(DatasetError, match="no interactions"):
        trained(empty)


@pytest.mark.parametrize("data", [of_one(1, 4), of_one(4, 1)], ids=["one user", "one movie"])
def test_one_user_or_one_movie_is_a_model_of_its_own(data):
    answer, _ = trained(data)
    assert (answer["users"], answer["movies"]) == (len(data.user_ids), len(data.movie_ids))


def test_one_interaction_has_nothing_to_test_on():
    with pytest.raises(DatasetError, match="to test on"):
        trained(of_one(1, 1))


def test_nothing_positive_to_train_on_is_refused():
    data = tasteful(1)
    strength = np.where(data.part == TRAIN, 0, data.strength).astype(np.float32)
    with pytest.raises(DatasetError, match="to train on"):
        trained(replace(data, strength=strength))


@pytest.mark.parametrize("value", [np.nan, np.inf, -1.0])
def test_strengths_that_are_no_numbers_are_refused(value):
    strength = tasteful(1).strength.copy()
    strength[7] = value
    with pytest.raises(DatasetError, match="no numbers"):
        trained(changed(strength=strength))


def test_ratings_all_equal_order_nothing_and_train_all_the_same():
    data = tasteful(1)
    answer, facts = trained(replace(data, ratings=np.full(len(data.movies), 4, np.int8)))
    assert facts["metrics"]["model"]["rating_concordance"] is None
    assert answer["metrics"]["ndcg"] > answer["metrics"]["popularity_ndcg"]


# Memory and time, before it starts ------------------------------------------------------------


def test_defaults_are_kept_where_they_fit():
    parameters = capacity.plan(LARGE, {}, Limits(10.7 * GB, 900, 6))
    assert (parameters.factors, parameters.iterations) == (64, 15)


def test_less_memory_lowers_the_factors_that_nobody_asked_for():
    needed = capacity.memory_bytes(LARGE, 64)
    assert capacity.plan(LARGE, {}, Limits(needed)).factors == 64
    assert capacity.plan(LARGE, {}, Limits(needed - 1)).factors == 48


def test_less_time_lowers_the_iterations_first_then_the_factors():
    plans = [capacity.plan(LARGE, {}, Limits(10 * GB, s, 2)) for s in (1200, 400, 200)]
    assert [(p.factors, p.iterations >= 5) for p in plans[:2]] == [(64, True), (64, True)]
    assert plans[0].iterations == 15 > plans[1].iterations
    assert plans[2].factors < 64


def test_factors_that_were_asked_for_are_refused_with_what_would_fit():
    with pytest.raises(CapacityError, match="512 factors takes about") as refused:
        capacity.plan(LARGE, {"factors": 512}, Limits(4 * 2**30))
    message = str(refused.value)
    fitting = int(re.findall(r"what fits is (\d+) factors", message)[0])
    assert capacity.memory_bytes(LARGE, fitting) <= 4 * 2**30
    assert "a function of" in message
    assert "Spark" in message


def test_what_a_data_set_is_to_be_cut_to_fits():
    limits = Limits(2 * 2**30)
    with pytest.raises(CapacityError) as refused:
        capacity.plan(LARGE, {"factors": 64}, limits)
    newest = int(re.findall(r"newest ([\d,]+) inter", str(refused.value))[0].replace(",", ""))
    fitting = replace(LARGE, interactions=newest)
    assert capacity.plan(fitting, {"factors": 64}, limits).factors == 64


def test_too_little_time_for_any_model_is_refused():
    with pytest.raises(CapacityError, match="200 are left"):
        capacity.plan(LARGE, {}, Limits(10 * GB, 200, 1))


def test_the_function_refuses_before_it_fits():
    store = published(tasteful(1))
    with pytest.raises(CapacityError, match="takes about"):
        handler.train_als({"dataset_id": "one"}, dependencies(store, memory_bytes=10_000_000))
    assert not list(store.keys(artifact.PREFIX))


# The blend -----------------------------------------------------------------------------------


def lacking(size, **limits):
    return capacity.lacks_for_blend(size, 6_000, Parameters(), Limits(**{"threads": 2, **limits}))


def test_a_blend_is_fitted_where_memory_and_time_carry_it():
    small = Size(6_000, 3_700, 1_000_000)
    assert not lacking(small, memory_bytes=2 * GB, remaining_s=900)
    assert lacking(small, memory_bytes=0.4 * GB, remaining_s=900).startswith("memory: about")
    assert lacking(small, memory_bytes=2 * GB, remaining_s=25).startswith("time: about")
    assert lacking(LARGE, memory_bytes=10 * GB, remaining_s=900).startswith("time: about")
    assert not lacking(LARGE, memory_bytes=10 * GB)


def test_without_time_for_its_lists_a_blend_is_left_out_and_the_manifest_says_why():
    answer, facts = trained(tasteful(1), Timer(21.5))
    assert facts["lists_from"] == "als"
    assert facts["lists_reason"].startswith("the blend was not fitted, for want of time: about")
    assert facts["blend_gain"] is None
    assert "fit_items_train" not in facts["stages"]
    assert answer["metrics"]["ndcg"] > answer["metrics"]["popularity_ndcg"]


def test_without_memory_for_the_weights_there_are_no_neighbours_either():
    data = tasteful(1)
    enough = capacity.memory_bytes(Size.of(data), 4) + 1
    store = published(data)
    event = {"dataset_id": "one", "parameters": {"factors": 4}}
    answer = handler.train_als(event, dependencies(store, memory_bytes=enough))
    facts = sealed_folder.open_manifest(
        store.get(artifact.key(answer["model_version"], sealed_folder.MANIFEST_FILE))
    )
    assert "for want of memory" in facts["lists_reason"]
    assert not {"fit_items_train", "fit_items_all"} & set(facts["stages"])


# Parameters of a search -----------------------------------------------------------------------

FOUND = {"factors": 6, "alpha": 7.5, "regularization": 1.1, "iterations": 10, "seed": 3}


def after_search(**event):
    store = published(tasteful(1))
    study = tuning.Study(store, "one/20261120T101500Z")
    study.conclude(FOUND, {"objective": "NDCG@20", "trials": 9})
    answer = handler.train_als({"dataset_id": "one", **event}, dependencies(store))
    key = artifact.key(answer["model_version"], sealed_folder.MANIFEST_FILE)
    return sealed_folder.open_manifest(store.get(key))


def test_a_model_that_is_asked_for_tuned_has_the_searchs_parameters_and_says_so():
    facts = after_search(tuned=True)
    assert facts["parameters"] == FOUND
    assert facts["tuning"] == {
        "objective": "NDCG@20",
        "trials": 9,
        "study": "one/20261120T101500Z",
    }


def test_parameters_of_the_event_come_before_those_of_the_search():
    facts = after_search(tuned="one/20261120T101500Z", parameters={"factors": 5})
    assert facts["parameters"] == {**FOUND, "factors": 5}


def test_without_a_search_the_manifest_says_defaults():
    assert after_search(tuned=False)["tuning"] == "defaults"


def test_a_search_that_never_was_is_named():
    with pytest.raises(ArtifactError, match="movierec tune"):
        trained(tasteful(1), tuned=True)
    with pytest.raises(UsageError, match="tuned"):
        trained(tasteful(1), tuned=3)
