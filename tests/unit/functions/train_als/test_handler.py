"""A training run publishes a whole version or none."""

import json
from dataclasses import replace

import numpy as np
import pytest
from aws_lambda_powertools import Logger, Metrics

from functions.train_als import als, handler, rating_model
from functions.train_als.handler import Dependencies
from movierec import metrics
from movierec.errors import (
    ArtifactError,
    ConfigError,
    ObjectExistsError,
    UnavailableError,
    UsageError,
)
from movierec.model import artifact, encoding, sealed_folder
from movierec.model import dataset as datasets
from movierec.model.ranking import Recommender
from movierec.model.segments import GROUPS
from movierec.releases import quality_gate
from movierec.runtime.stage_usage import StageUsage
from movierec.testing.memory import FakeClock, MemoryStore
from tests.unit.movierec.model.tastes import N_MOVIES, N_USERS, tasteful

DATASET_ID = "0123456789abcdef"
EVENT = {"dataset_id": DATASET_ID, "parameters": {"factors": 4, "iterations": 3}}
COMMIT = "abcdef0123456789abcdef0123456789abcdef01"


@pytest.fixture
def store():
    files = datasets.pack(tasteful(1))
    files[sealed_folder.MANIFEST_FILE] = sealed_folder.seal(files, {"groups": list(GROUPS)})
    return MemoryStore({datasets.key(DATASET_ID, name): body for name, body in files.items()})


@pytest.fixture
def deps(store):
    return Dependencies(
        store=store,
        clock=FakeClock(),
        code_version=f"{COMMIT}-dirty",
        threads=2,
        memory_bytes=2_000_000_000,
        usage=lambda: StageUsage(lambda: 123_000_000, lambda: None),
        logger=Logger(service="test"),
        metrics=Metrics(namespace="movierec", service="test"),
    )


def models(store):
    return {k.split("/", 2)[2] for k in store.keys(artifact.PREFIX)}


def manifest(store, answer):
    key = artifact.key(answer["model_version"], sealed_folder.MANIFEST_FILE)
    return sealed_folder.open_manifest(store.get(key))


def test_a_data_set_of_likes_alone_is_trained_on(deps, store):
    """Then the loaded arrays, which are read-only, are used as they are."""
    liked = tasteful(0)
    files = datasets.pack(replace(liked, strength=np.maximum(liked.strength, np.float32(0.1))))
    files[sealed_folder.MANIFEST_FILE] = sealed_folder.seal(files, {"groups": list(GROUPS)})
    for name, body in files.items():
        store.put(datasets.key("liked", name), body)
    answer = handler.train_als({**EVENT, "dataset_id": "liked"}, deps)
    assert answer["interactions"] == len(liked.movies)


def test_the_published_version_is_whole_and_answers(deps, store):
    answer = handler.train_als(EVENT, deps)
    facts = manifest(store, answer)
    names = (*facts["files"], sealed_folder.MANIFEST_FILE)
    files = {name: store.get(artifact.key(answer["model_version"], name)) for name in names}
    for name in facts["files"]:
        sealed_folder.verify(name, files[name], facts)
    arrays = {n: encoding.load_npy(n, body) for n, body in files.items() if n.endswith(".npy")}
    ranked = Recommender.of(files, arrays).recommend(1)
    assert ranked.source == "model"
    assert len(ranked.movie_ids) == 20


def test_the_manifest_says_what_the_model_came_from(deps, store):
    facts = manifest(store, handler.train_als(EVENT, deps))
    assert facts["model_version"] == "20261120T101500Z-abcdef012345_dirty-0123456789ab"
    assert facts["git"] == {"commit": COMMIT, "dirty": True}
    assert facts["dataset_id"] == DATASET_ID
    assert facts["groups"] == list(GROUPS)
    assert facts["parameters"]["factors"] == 4
    assert facts["parameters"]["seed"] == als.Parameters().seed
    assert set(facts["libraries"]) == {"numpy", "scipy", "implicit", "myfm"}
    assert facts["peak_memory_bytes"] == 123_000_000
    assert facts["counts"]["users"] == N_USERS
    assert facts["duration_s"] >= 0
    assert facts["python"].startswith("3.")


def test_the_answer_holds_flat_numbers_for_the_gate(deps):
    answer = handler.train_als(EVENT, deps)
    assert answer["users"] == N_USERS
    assert answer["movies"] == N_MOVIES
    assert all(isinstance(value, int | float) for value in answer["metrics"].values())
    assert answer["metrics"]["ndcg"] > answer["metrics"]["popularity_ndcg"]
    assert json.loads(json.dumps(answer)) == answer


def test_reports_are_published_for_machines_and_people(deps, store):
    version = handler.train_als(EVENT, deps)["model_version"]
    report = json.loads(store.get(artifact.key(version, artifact.REPORT_FILE)))
    page = store.get(artifact.key(version, artifact.REPORT_PAGE_FILE)).decode()
    assert set(report["groups"]) == {"gender", "age", "activity", "tenure"}
    assert version in page
    assert "popular list" in page
    assert report["rating"]["model"]["rmse"] > 0
    assert report["rating"]["parameters"]["seed"] == rating_model.Parameters().seed
    assert "RMSE" in page


def test_a_model_of_a_site_without_ratings_is_published_all_the_same(deps):
    files = datasets.pack(tasteful(0))
    files[sealed_folder.MANIFEST_FILE] = sealed_folder.seal(files, {"groups": list(GROUPS)})
    store = MemoryStore({datasets.key(DATASET_ID, name): body for name, body in files.items()})

    version = handler.train_als(EVENT, replace(deps, store=store))["model_version"]

    page = store.get(artifact.key(version, artifact.REPORT_PAGE_FILE)).decode()
    assert "Nobody had rated a movie" in page


def test_what_other_steps_put_into_the_event_is_passed_over(deps):
    assert handler.train_als({**EVENT, "created": True, "users": 3}, deps)["model_version"]


def test_the_manifest_is_written_last(deps, store):
    class Watching(MemoryStore):
        order: list[str] = []  # noqa: RUF012  of this test alone

        def put_if_absent(self, key, body):
            self.order.append(key)
            super().put_if_absent(key, body)

    watching = Watching(store.objects)
    handler.train_als(EVENT, replace(deps, store=watching))
    assert watching.order[-1].endswith(sealed_folder.MANIFEST_FILE)
    assert sum(key.endswith(sealed_folder.MANIFEST_FILE) for key in watching.order) == 1


def test_a_run_that_breaks_off_leaves_no_version(deps, store):
    store.fail_puts = 1
    with pytest.raises(UnavailableError):
        handler.train_als(EVENT, deps)
    assert sealed_folder.MANIFEST_FILE not in models(store)


def test_a_published_version_is_never_changed(deps, store):
    handler.train_als(EVENT, deps)
    before = dict(store.objects)
    with pytest.raises(ObjectExistsError):
        handler.train_als({**EVENT, "parameters": {"factors": 3}}, deps)
    assert store.objects == before


def test_two_runs_on_one_data_set_give_the_same_model(deps, store):
    first = manifest(store, handler.train_als(EVENT, deps))["files"]
    deps.clock.advance(60)
    second = manifest(store, handler.train_als(EVENT, deps))["files"]
    same = set(first) - {artifact.REPORT_PAGE_FILE, artifact.REPORT_FILE}
    assert {name: first[name] for name in same} == {name: second[name] for name in same}
    reports = [
        json.loads(store.get(key)) for key in store.keys("models/") if key.endswith("/report.json")
    ]
    for report in reports:
        del report["comparison"]  # the costs are measured
    assert reports[0] == reports[1]


def test_a_damaged_data_set_is_refused(deps, store):
    key = datasets.key(DATASET_ID, "strength.npy")
    store.put(key, store.get(key)[:-1] + b"\x01")
    with pytest.raises(ArtifactError, match=r"strength\.npy"):
        handler.train_als(EVENT, deps)


def test_a_data_set_without_manifest_does_not_exist(deps):
    with pytest.raises(ArtifactError, match="movierec-build-dataset"):
        handler.train_als({"dataset_id": "other"}, deps)


def test_a_data_set_of_other_groups_is_refused(deps, store):
    key = datasets.key(DATASET_ID, sealed_folder.MANIFEST_FILE)
    store.put(key, sealed_folder.seal({}, {"groups": ["unknown", "everybody"]}))
    with pytest.raises(ArtifactError, match="build it anew"):
        handler.train_als(EVENT, deps)


@pytest.mark.parametrize(
    ("event", "complaint"),
    [
        ({}, "dataset_id"),
        ({"dataset_id": 3}, "dataset_id"),
        ({"dataset_id": "x", "parameters": [1]}, "parameters"),
        ({"dataset_id": "x", "parameters": {"depth": 3}}, "depth"),
    ],
)
def test_a_wrong_event_is_refused_before_any_work(deps, event, complaint):
    with pytest.raises(UsageError, match=complaint):
        handler.train_als(event, deps)


@pytest.mark.parametrize(
    ("cpus", "memory_mb", "expected"),
    [(6, 10240, 6), (2, 1024, 1), (2, 1770, 2), (4, None, 4), (1, 10240, 1)],
)
def test_threads_are_the_cpus_that_memory_pays_for(cpus, memory_mb, expected):
    env = {"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(memory_mb)} if memory_mb else {}
    assert handler.threads(cpus, env) == expected


def test_the_memory_is_the_lambdas_or_the_machines():
    assert handler.memory_bytes({"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1024"}) == 2**30
    assert handler.memory_bytes({}) > 10**9


def test_missing_settings_are_named():
    with pytest.raises(ConfigError, match="MOVIEREC_ARTIFACTS_BUCKET"):
        Dependencies.from_env({})


def test_the_declared_metrics_are_emitted(deps, capsys):
    handler.train_als(EVENT, deps)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "_aws" in line]
    declared = lines[0]["_aws"]["CloudWatchMetrics"][0]
    assert declared["Namespace"] == metrics.NAMESPACE
    emitted = {(metric["Name"], metric["Unit"]) for metric in declared["Metrics"]}
    assert emitted == {(m.name, m.unit) for m in metrics.RETRAINING_METRICS[3:]}


WELL_FITTED = {"dataset_id": DATASET_ID, "parameters": {"factors": 8, "iterations": 10}}


def test_the_report_compares_models_by_accuracy_and_cost(deps, store):
    version = handler.train_als(WELL_FITTED, deps)["model_version"]
    report = json.loads(store.get(artifact.key(version, artifact.REPORT_FILE)))
    rows = {row["model"]: row for row in report["comparison"]["rows"]}
    assert set(rows) == {"als", "popularity", "item_to_item", "blend", "item_knn", "rating_model"}
    product = rows[report["comparison"]["product"]]
    assert product["ndcg"] == report["model"]["ndcg"]
    assert product["fit_peak_mb"] == 123
    assert rows["blend"]["fit_cpu_s"] == pytest.approx(
        rows["als"]["fit_cpu_s"] + rows["item_to_item"]["fit_cpu_s"]
    )
    assert product["lists_per_s"] > 0
    page = store.get(artifact.key(version, artifact.REPORT_PAGE_FILE)).decode()
    assert all(column["definition"] in page for column in report["comparison"]["columns"])


def test_a_model_is_compared_with_the_one_in_production(deps, store):
    first = handler.train_als(WELL_FITTED, deps)["model_version"]
    deps.clock.advance(60)
    second = handler.train_als(WELL_FITTED, replace(deps, in_production=lambda: first))
    found = manifest(store, second)["metrics"]
    assert found["production"]["model_version"] == first
    assert found["production"]["basis"] == "held out"
    assert found["differences"]["production"]["ndcg"]["mean"] == 0
    rows = {row["model"]: row for row in found["comparison"]["rows"]}
    assert rows["production"]["size_mb"] > 0
    assert quality_gate.faults(store, second["model_version"], first) == ()


def test_a_worse_model_than_production_is_refused_by_the_gate(deps, store):
    first = handler.train_als(WELL_FITTED, deps)["model_version"]
    deps.clock.advance(60)
    poor = {
        "dataset_id": DATASET_ID,
        "parameters": {"factors": 1, "iterations": 1, "regularization": 90.0},
        "item_to_item": {"movies": 1},
    }
    second = handler.train_als(poor, replace(deps, in_production=lambda: first))
    faults = quality_gate.faults(store, second["model_version"], first)
    assert any("worse than the stable model" in fault for fault in faults)


def test_training_does_not_need_to_know_production(deps, store):
    def unknown():
        raise UnavailableError("Lambda does not answer")

    for in_production in (unknown, lambda: "20260101T000000Z-gone-gone"):
        deps.clock.advance(60)
        answer = handler.train_als(WELL_FITTED, replace(deps, in_production=in_production))
        assert "production" not in manifest(store, answer)["metrics"]["differences"]
