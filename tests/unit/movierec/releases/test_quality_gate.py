"""The quality gate: which models may be released, and what is said of the others."""

from typing import Any

import pytest

from movierec.errors import UnavailableError
from movierec.model import artifact, sealed_folder
from movierec.model.offline_metrics import MIN_GROUP_USERS
from movierec.releases import quality_gate
from movierec.testing.memory import MemoryStore
from tests.unit.movierec.releases.release_lab import M1, M2, M3, metrics, put_model


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


def difference(mean: float, stderr: float = 0.001, users: int = 500) -> dict[str, Any]:
    return {"ndcg": {"mean": mean, "stderr": stderr, "users": users}}


def compared(**changes: Any) -> dict[str, Any]:
    """Return a report that compares the model with M1, as good as it, but for what is changed."""
    return {
        **metrics(0.05, 0.01),
        "differences": {"production": difference(0.0), **changes.pop("differences", {})},
        "others": {"production": {"ndcg": 0.1}, "item_knn": {"ndcg": 0.1}},
        "production": {"model_version": M1, "reason": ""},
        "groups": {},
        "flags": [],
        **changes,
    }


def group(rival: str, mean: float, *, stderr: float = 0.001, users: int = 500) -> dict[str, Any]:
    found = {rival: {"ndcg": 0.1}, "differences": {rival: difference(mean, stderr, users)}}
    return {"occupation": {"artist": found}}


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        (compared(differences={"production": difference(-0.01)}), "worse than the stable model"),
        (compared(differences={"item_knn": difference(-0.02)}), "worse than item_knn"),
        (compared(groups=group("production", -0.02)), "artist is served worse than by the stable"),
        (compared(groups=group("popularity", -0.06)), "worse than by the popular list"),
        (compared(flags=[{"kind": "leak", "text": "1 pair"}]), "not to be believed: 1 pair"),
        (compared(flags=[{"kind": "implausible", "text": "NDCG is 1"}]), "believed: NDCG is 1"),
        (compared(model={**metrics(0, 0)["model"], "recall": 0.005}), "recall is 0.0050, less"),
        (compared(model={**metrics(0, 0)["model"], "hit_rate": 0.01}), "hit rate is 0.0100"),
    ],
)
def test_a_model_that_falls_behind_may_not(changes: dict[str, Any], fault: str) -> None:
    (found,) = judged(metrics=changes)
    assert fault in found


@pytest.mark.parametrize(
    "changes",
    [
        compared(),
        compared(differences={"production": difference(-0.001, 0.0)}),
        compared(differences={"production": difference(-0.01, 0.01)}),
        compared(differences={"item_knn": difference(-0.005)}),
        compared(differences={"item_knn": difference(-0.02, 0.01)}),
        compared(groups=group("production", -0.005)),
        compared(groups=group("production", -0.02, stderr=0.01)),
        compared(groups=group("production", -0.1, users=MIN_GROUP_USERS - 1)),
        compared(groups=group("popularity", -0.03)),
        compared(flags=[{"kind": "group", "text": "judged by its own rule"}]),
        compared(
            model={
                **metrics(0, 0)["model"],
                "recall": 0.009,
                "intervals": {"recall": [0.007, 0.011]},
            }
        ),
    ],
    ids=[
        "as good",
        "within the margin",
        "within chance",
        "baseline within its share",
        "baseline within chance",
        "group within its share",
        "group within chance",
        "too few users",
        "little below the popular list",
        "flag of a group",
        "value within its interval",
    ],
)
def test_a_difference_within_margin_or_chance_is_no_fault(changes: dict[str, Any]) -> None:
    assert judged(metrics=changes) == ()


@pytest.mark.parametrize("truncated", [True, "after 7 of 15 iterations", {"reason": "deadline"}])
def test_truncated_training_needs_the_requests_permission(truncated: object) -> None:
    (found,) = judged(truncated=truncated)
    assert "training was cut short" in found
    assert "--allow-truncated" in found
    store = MemoryStore()
    put_model(store, M2, truncated=truncated)
    assert quality_gate.judge(store, M2, None, allow_truncated=True).faults == ()


def test_a_model_compared_with_another_one_says_so_and_passes() -> None:
    """The stable model has changed since the training."""
    store = MemoryStore()
    for version in (M1, M2, M3):
        put_model(store, version)
    poor = compared(
        differences={"production": difference(-0.05)}, groups=group("production", -0.05)
    )
    put_model(store, M2, metrics=poor)
    verdict = quality_gate.judge(store, M2, M3)
    assert verdict.faults == ()
    assert verdict.reason.endswith(
        "not compared with the stable model: they were evaluated on different data"
    )


def test_without_common_lists_the_reason_is_in_the_verdict() -> None:
    lone = compared(production={"model_version": M1, "reason": "it was trained by earlier code"})
    del lone["differences"]["production"]
    store = MemoryStore()
    put_model(store, M1)
    put_model(store, M2, metrics=lone)
    assert quality_gate.judge(store, M2, M1).notes == (
        "not compared with the stable model: it was trained by earlier code",
    )


def test_two_models_of_one_data_set_are_compared_by_their_own_reports() -> None:
    """Neither needs to have known the other, as in models of earlier code."""
    store = MemoryStore()
    for version, ndcg in ((M1, 0.2), (M2, 0.1)):
        found = metrics(0.05, 0.01)
        found["model"] |= {"ndcg": ndcg, "ndcg_stderr": 0.01}
        put_model(store, version, metrics=found, dataset_id="d")
    (fault,) = quality_gate.faults(store, M2, M1)
    assert "worse than the stable model" in fault
    assert "standard error 0.0141, 99 users" in fault
    assert quality_gate.faults(store, M1, M2) == ()


def test_the_stable_model_itself_is_not_compared() -> None:
    store = MemoryStore()
    put_model(store, M1)
    assert quality_gate.judge(store, M1, M1) == quality_gate.Verdict(())


def test_a_verdict_is_kept_beside_the_model() -> None:
    store = MemoryStore()
    put_model(store, M1, counts={})
    before = dict(store.objects)
    assert quality_gate.recorded(store, M1) is None
    quality_gate.record(store, M1, quality_gate.judge(store, M1, None), release_id="r")
    found = quality_gate.recorded(store, M1)
    assert found is not None
    assert (found["passed"], found["release_id"]) == (False, "r")
    assert found["faults"] == ["its manifest counts no users"]
    assert {key: store.objects[key] for key in before} == before
    assert artifact.newest(store) == M1


def test_a_store_that_does_not_answer_is_no_verdict_on_the_model() -> None:
    store = MemoryStore()
    put_model(store, M1)
    store.fail_gets = 1

    with pytest.raises(UnavailableError):
        quality_gate.faults(store, M1, None)
