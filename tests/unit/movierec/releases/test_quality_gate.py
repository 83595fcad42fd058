"""The quality gate: which models may be released, and what is said of the others."""

from typing import Any

import pytest

from movierec.errors import UnavailableError
from movierec.model import artifact, sealed_folder
from movierec.releases import quality_gate
from movierec.testing.memory import MemoryStore
from tests.unit.movierec.releases.release_lab import M1, M2, metrics, put_model


def judged(**changes: Any) -> tuple[str, ...]:
    """Return the faults of a model that differs from a good one by its manifest."""
    store = MemoryStore()
    put_model(store, M1)
    put_model(store, M2, **changes)
    return quality_gate.faults(store, M2, M1)


def test_a_good_model_may_be_released() -> None:
    assert judged() == ()


def test_the_first_model_has_no_model_to_be_compared_with() -> None:
    store = MemoryStore()
    put_model(store, M1)

    assert quality_gate.faults(store, M1, None) == ()


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"counts": {"users": 899}}, "knows 899 users, fewer than 900"),
        ({"counts": {}}, "counts no users"),
        ({"counts": {"users": 0}}, "counts no users"),
        ({"metrics": metrics(0.03, 0.01)}, "NDCG +0.0300, where more"),
        ({"metrics": metrics(-0.1, 0.01)}, "does not beat popularity"),
        ({"metrics": metrics(None, None)}, "NDCG unknown"),
        ({"metrics": {}}, "does not compare it with popularity"),
    ],
)
def test_a_poor_model_may_not_and_it_is_said_why(changes: dict[str, Any], fault: str) -> None:
    (found,) = judged(**changes)
    assert fault in found


def test_losing_a_tenth_of_the_users_is_just_bearable() -> None:
    assert judged(counts={"users": 900}) == ()


def test_all_that_is_wrong_is_said_at_once() -> None:
    assert len(judged(counts={"users": 1}, metrics={})) == 2


@pytest.mark.parametrize("name", [artifact.TOPK_FILE, sealed_folder.MANIFEST_FILE])
def test_a_model_with_a_file_missing_does_not_load(name: str) -> None:
    store = MemoryStore()
    put_model(store, M1)
    del store.objects[artifact.key(M1, name)]

    (found,) = quality_gate.faults(store, M1, None)
    assert found.startswith("does not load")
    assert name in found


def test_a_model_whose_bytes_were_changed_does_not_load() -> None:
    store = MemoryStore()
    put_model(store, M1)
    key = artifact.key(M1, artifact.POPULAR_FILE)
    store.objects[key] = store.objects[key].replace(b"movie+0", b"movie+1")

    (found,) = quality_gate.faults(store, M1, None)
    assert "popular.json" in found


def test_a_store_that_does_not_answer_is_no_verdict_on_the_model() -> None:
    store = MemoryStore()
    put_model(store, M1)
    store.fail_gets = 1

    with pytest.raises(UnavailableError):
        quality_gate.faults(store, M1, None)
