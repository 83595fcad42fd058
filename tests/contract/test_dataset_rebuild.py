"""A published data set is built again from its manifest: the same bytes, or what differs."""

import json
from dataclasses import replace

import pytest
from deltalake import DeltaTable

from functions.build_dataset import handler
from movierec.errors import UsageError
from movierec.model import dataset as datasets
from movierec.model import sealed_folder
from tests.contract.test_build_dataset import (
    batches,
    catalog,
    deps,
    events,
    filled,
    lake,
    manifest,
)

__all__ = ["catalog", "deps", "filled", "lake"]


def rebuilt(deps, dataset_id):
    before = dict(deps.store.objects)
    answer = handler.build_dataset({"rebuild": dataset_id}, deps)
    assert deps.store.objects == before, "nothing is published"
    return answer


def failed(answer):
    return [check["name"] for check in answer["checks"] if not check["ok"]]


def edit(deps, dataset_id, change):
    key = datasets.key(dataset_id, sealed_folder.MANIFEST_FILE)
    facts = json.loads(deps.store.objects[key])
    change(facts)
    deps.store.objects[key] = json.dumps(facts).encode()


def test_every_file_is_the_same_after_more_was_written(lake, filled, catalog, deps):
    made = handler.build_dataset(
        {"parameters": {"max_interactions": 300}, "limits": {"unknown_movie_share": 0.9}}, deps
    )
    lake.append("events", batches(events(seed=2, first_offset=750)), transactions={})
    answer = rebuilt(deps, made["dataset_id"])
    assert answer["same"]
    assert answer["rebuilt_id"] == made["dataset_id"]
    compared = {check["name"] for check in answer["checks"]}
    assert {f"data set {name}" for name in manifest(deps, made)["files"]} <= compared
    assert {"data set report.html", "lake rows, watch", "data set's id"} <= compared


def test_a_file_that_was_built_otherwise_is_named(lake, filled, deps):
    made = handler.build_dataset({}, deps)

    def change(facts):
        facts["files"]["strength.npy"]["sha256"] = "0" * 64

    edit(deps, made["dataset_id"], change)
    answer = rebuilt(deps, made["dataset_id"])
    assert not answer["same"]
    assert failed(answer) == ["data set strength.npy"]


def test_rows_that_were_there_then_are_named(lake, filled, deps):
    made = handler.build_dataset({}, deps)

    def change(facts):
        facts["quality"]["rows"]["by_kind"]["watch"] += 7

    edit(deps, made["dataset_id"], change)
    assert failed(rebuilt(deps, made["dataset_id"])) == ["lake rows, watch"]


def test_other_parameters_than_the_files_were_built_with_give_another_id(lake, filled, deps):
    made = handler.build_dataset({}, deps)
    edit(deps, made["dataset_id"], lambda facts: facts["parameters"].update(min_positive_rating=5))
    answer = rebuilt(deps, made["dataset_id"])
    assert {"data set's id", "data set strength.npy"} <= set(failed(answer))
    assert answer["rebuilt_id"] != made["dataset_id"]


def test_a_version_that_the_lake_no_longer_holds_is_gone(lake, filled, deps, tmp_path):
    lake.append("events", batches(events(seed=2, first_offset=750)), transactions={})
    made = handler.build_dataset({}, deps)
    table = DeltaTable(tmp_path / "lake" / "events")
    table.optimize.compact()
    table.vacuum(0, dry_run=False, enforce_retention_duration=False, full=True)
    answer = rebuilt(deps, made["dataset_id"])
    assert not answer["same"]
    assert "no longer holds" in answer["gone"]


def test_other_code_is_named_and_is_no_fault_by_itself(lake, filled, deps):
    made = handler.build_dataset({}, deps)
    answer = rebuilt(replace(deps, code_version="newer"), made["dataset_id"])
    assert answer["same"]
    (note,) = [check["note"] for check in answer["checks"] if check["note"]]
    assert note == "built by other code: abc, now newer"


def test_reports_of_another_format_are_not_compared_but_all_other_files_are(lake, filled, deps):
    made = handler.build_dataset({}, deps)

    def change(facts):
        del facts["report_format"], facts["builder_format"]
        facts["files"]["report.json"]["sha256"] = "0" * 64

    edit(deps, made["dataset_id"], change)
    answer = rebuilt(deps, made["dataset_id"])
    assert answer["same"]
    names = {check["name"] for check in answer["checks"]}
    assert "data set report.json" not in names
    assert {f"data set {name}" for name in datasets.FILES} <= names
    assert [check["name"] for check in answer["checks"] if check["note"]] == ["builder", "reports"]


def test_a_data_set_that_never_was_is_refused(lake, filled, deps):
    with pytest.raises(UsageError, match="no data set '0123'"):
        handler.build_dataset({"rebuild": "0123"}, deps)
