"""Models as the command line lists and compares them."""

import pytest

from movierec.cli import models
from movierec.errors import UsageError
from movierec.model import model_versions
from movierec.releases import model_list
from movierec.releases.orchestrator import Orchestrator
from tests.unit.movierec.releases.release_lab import M1, M2, Lab, metrics, put_model


def compared(one, other):
    """Compare M1 and M2 with changed manifests."""
    store = Lab().store
    put_model(store, M1, **one)
    put_model(store, M2, **other)
    return model_versions.compared(
        model_versions.manifest(store, M1), model_versions.manifest(store, M2)
    )


def values(found, name):
    return next(each["values"] for each in found["measures"] if each["name"] == name)


def test_models_are_listed_newest_first_with_verdict_and_release():
    lab = Lab()
    lab.serve(M1)
    put_model(lab.store, M2, counts={"users": 10}, truncated=True)
    release = lab.begin()
    Orchestrator(lab.releases).check(release)
    second, first = model_list.listed(lab.store, lab.log)
    assert (first["model_version"], second["model_version"]) == (M1, M2)
    assert (first["released"], second["released"]) == (True, False)
    assert (first["gate"], second["gate"]) == (None, "refused")
    assert second["users"] == 10
    text = models.line(second)
    assert text.startswith(f"{M2}  10 users, NDCG 0.1000, training cut short, gate refused, not")
    assert "knows 10 users, fewer than" in text
    assert models.line(first).endswith(f"not judged, released by {first['promoted_by']}")


def test_a_model_that_passed_says_so():
    lab = Lab()
    lab.serve(M1)
    lab.tested()
    assert model_list.listed(lab.store, lab.log)[0]["gate"] == "passed"


def test_models_of_earlier_code_are_compared_by_what_they_have():
    found = compared({}, {})
    assert values(found, "ndcg") == [0.1, 0.1]
    assert values(found, "fit_cpu_s") == [None, None]
    assert min(values(found, "size_mb")) > 0
    assert not found["comparable"]
    assert "different data" in models.lines(found)[-1]


def test_models_of_one_data_set_can_be_compared():
    found = compared({"dataset_id": "d"}, {"dataset_id": "d"})
    assert (found["comparable"], found["difference"]) == (True, None)


def test_a_model_that_was_evaluated_beside_the_other_has_a_difference():
    difference = {"mean": 0.01, "low": 0.005, "high": 0.015, "stderr": 0.002, "users": 500}
    report = {
        **metrics(0.05, 0.01),
        "production": {"model_version": M1, "basis": "held out"},
        "differences": {"production": {"ndcg": difference, "recall": difference}},
    }
    found = compared({}, {"metrics": report})
    assert found["comparable"]
    text = models.lines(found)
    assert "NDCG of the second minus the first: +0.0100 (+0.0050 to +0.0150), 500 users" in text


def test_costs_come_from_the_row_of_the_published_model():
    rows = [{"model": "als", "fit_s": 1.0}, {"model": "blend", "fit_s": 3.0}]
    table = {"product": "blend", "rows": rows, "columns": []}
    found = compared({}, {"metrics": {**metrics(0.05, 0.01), "comparison": table}})
    assert values(found, "fit_s") == [None, 3.0]


def test_an_unknown_version_is_refused():
    with pytest.raises(UsageError, match="movierec models list"):
        model_versions.manifest(Lab().store, "nothing")
