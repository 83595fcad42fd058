"""The comparison of models: each measure by its definition, and None where there is none."""

import itertools
import json

import numpy as np
from scipy.sparse import csr_matrix

from movierec.model import comparison, offline_evaluation
from movierec.model.comparison import Clocks, Costs
from movierec.model.dataset import TRAIN
from movierec.model.fitted import Factors
from movierec.model.held_out import HeldOut
from movierec.model.popularity import Popularity
from tests.unit.movierec.model.viewers import popular, random, skewed

DATASET = skewed()
FIT = {"seconds": 2.0, "cpu_s": 3.5, "peak_memory_bytes": 4_000_000}


def ticking(step):
    """Return a clock that goes on by `step` a reading."""
    counter = itertools.count()
    return lambda: next(counter) * step


def table(costs=None, **evaluated):
    metrics = offline_evaluation.evaluate(
        DATASET, popular(DATASET), others={"noise": random(DATASET)}
    )
    return comparison.table({**metrics, **evaluated}, "als", costs or Costs())


def row(found, name):
    return next(each for each in found["rows"] if each["model"] == name)


def test_a_row_has_every_column_and_a_column_its_definition():
    found = table(Costs(fits={"als": FIT}))
    names = {column["name"] for column in found["columns"]}
    assert all(set(each) == {"model", *names} for each in found["rows"])
    assert all(column["definition"] for column in found["columns"])
    assert [each["model"] for each in found["rows"]] == ["als", "popularity", "noise"]
    assert json.loads(json.dumps(found)) == found


def test_accuracy_is_that_of_the_evaluation_with_its_interval():
    found = row(table(), "als")
    assert found["ndcg_low"] < found["ndcg"] < found["ndcg_high"]
    assert found["ndcg"] > row(table(), "noise")["ndcg"]


def test_costs_stand_with_their_model_and_others_have_none():
    found = table(Costs(fits={"als": FIT}, sizes={"noise": 5_000_000}))
    als, noise = row(found, "als"), row(found, "noise")
    assert (als["fit_s"], als["fit_cpu_s"], als["fit_peak_mb"], als["size_mb"]) == (2, 3.5, 4, None)
    assert (noise["fit_s"], noise["size_mb"]) == (None, 5)


def test_a_model_of_ratings_alone_has_a_row_without_lists():
    found = table(Costs(fits={"rating_model": FIT}), rating={"model": {"rmse": 0.85}})
    rating = row(found, "rating_model")
    assert (rating["rmse"], rating["ndcg"], rating["fit_s"]) == (0.85, None, 2)


def test_lists_are_timed_alone_and_together():
    test = HeldOut.of(DATASET, 100)
    model = Popularity.overall(DATASET, DATASET.part == TRAIN)
    clocks = Clocks(ticking(0.5), ticking(0.25))
    found = comparison.list_costs(model, test.users, test.exclusions, clocks)
    n = len(test.users)
    assert found == {"list_ms": 500.0, "list_cpu_ms": 250 / n, "lists_per_s": n / 0.5}


def test_costs_of_several_models_are_measured():
    found = comparison.measured(DATASET, {"noise": random(DATASET)})
    assert found.lists["noise"]["lists_per_s"] > 0
    assert found.sizes["noise"] == random(DATASET).scores.nbytes


def test_models_are_judged_and_tabled_with_what_came_after():
    models = {"good": popular(DATASET), "noise": random(DATASET)}
    found = comparison.judge(DATASET, "good", models)
    metrics = {**found.evaluated.metrics, "rating": {"model": {"rmse": 0.9}}}
    table = found.table(metrics, {"noise": FIT})
    assert table["product"] == "good"
    assert row(table, "good")["ndcg"] == metrics["model"]["ndcg"]
    assert row(table, "good")["lists_per_s"] > 0
    assert row(table, "noise")["fit_s"] == 2
    assert row(table, "rating_model")["rmse"] == 0.9


def test_a_fit_in_stages_costs_their_sum_at_the_highest_peak():
    found = comparison.total([FIT, {**FIT, "peak_memory_bytes": 9}])
    assert found == {"seconds": 4, "cpu_s": 7, "peak_memory_bytes": 4_000_000}


def test_the_size_of_a_model_is_that_of_its_arrays_each_once():
    array = np.zeros((10, 4), np.float32)
    assert comparison.size_bytes(Factors(array, array)) == array.nbytes
    matrix = csr_matrix(np.eye(3, dtype=np.float32))
    assert comparison.size_bytes([matrix, {"a": array}]) == (
        matrix.data.nbytes + matrix.indices.nbytes + matrix.indptr.nbytes + array.nbytes
    )


def test_production_has_the_size_of_its_artifact():
    manifest = {
        "files": {"a": {"size_bytes": 3_000_000}, "b": {"size_bytes": 1_000_000}},
        "stages": {"fit_train": FIT},
    }
    costs = comparison.merged(Costs(fits={"als": FIT}), comparison.of_artifact(manifest))
    assert costs.sizes == {"production": 4_000_000}
    assert set(costs.fits) == {"als", "production"}
    assert comparison.of_artifact({"files": {}}).fits == {}
