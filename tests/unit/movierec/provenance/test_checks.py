"""A lineage compared with what is there now."""

from typing import Any

import pytest

from movierec.model import sealed_folder
from movierec.model.ranking import Ranked
from movierec.provenance import checks
from movierec.provenance.checks import Check
from movierec.provenance.lineage import Function, Lineage
from tests.unit.movierec.provenance.example import (
    CHAIN,
    DATASET_MANIFEST,
    MODEL_MANIFEST,
    MOVIES,
    SERVED,
    SUM,
)


def failed(checks: tuple[Check, ...]) -> list[str]:
    return [check.name for check in checks if not check.ok]


def test_files_that_are_what_the_manifest_says_pass() -> None:
    assert failed(checks.check_files("model", MODEL_MANIFEST, {"topk.npy": SUM})) == []


@pytest.mark.parametrize("found", [{}, {"topk.npy": sealed_folder.checksum(b"other")}])
def test_a_missing_or_changed_file_fails(found: dict[str, Any]) -> None:
    assert failed(checks.check_files("model", MODEL_MANIFEST, found)) == ["model topk.npy"]


@pytest.mark.parametrize(
    ("counted", "names"),
    [
        ({"watch": 90, "rate": 10}, []),
        ({"watch": 89, "rate": 10}, ["lake rows, watch"]),
        ({"watch": 90}, ["lake rows, rate"]),
        ({"watch": 90, "rate": 10, "recommend": 1}, ["lake rows, recommend"]),
    ],
)
def test_rows_are_compared_by_kind_in_both_directions(
    counted: dict[str, int], names: list[str]
) -> None:
    assert failed(checks.check_rows(DATASET_MANIFEST, counted)) == names


@pytest.mark.parametrize(
    ("offsets", "names"),
    [
        ({"0": {"first": 0, "last": 99, "rows": 100}}, []),
        ({"0": {"first": 0, "last": 98, "rows": 100}}, ["partition 0"]),
        ({}, ["partition 0"]),
        (
            {
                "0": {"first": 0, "last": 99, "rows": 100},
                "1": {"first": 0, "last": 0, "rows": 1},
            },
            ["partition 1"],
        ),
    ],
)
def test_offsets_are_compared_by_partition_in_both_directions(
    offsets: dict[str, Any], names: list[str]
) -> None:
    assert failed(checks.check_offsets(DATASET_MANIFEST, offsets)) == names


@pytest.mark.parametrize(
    ("again", "ok"), [(MOVIES, True), (MOVIES[:1], False), (MOVIES[::-1], False), ((), False)]
)
def test_the_model_must_answer_the_same_list_in_the_same_order(
    again: tuple[str, ...], ok: bool
) -> None:
    assert checks.check_answer(SERVED, Ranked(again, "model")).ok is ok


def test_each_link_must_be_the_one_that_the_link_before_names() -> None:
    assert failed(checks.check_links(CHAIN)) == []
    strange = Lineage(
        SERVED,
        function=Function("f", "12", "", "", "other", "", ""),
        model={**MODEL_MANIFEST, "model_version": "other"},
        dataset={**DATASET_MANIFEST, "dataset_id": "other"},
    )
    assert failed(checks.check_links(strange)) == [
        "model of the function",
        "model",
        "data set",
    ]


def test_an_unpinned_function_is_no_broken_link() -> None:
    latest = Function("f", "$LATEST", "", "", "", "", "")

    assert failed(checks.check_links(Lineage(SERVED, function=latest))) == []
