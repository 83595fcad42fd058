"""A data set is published whole and once, whatever breaks in between; the lake is a fake here."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from aws_lambda_powertools import Logger, Metrics

from functions.build_dataset import handler
from functions.build_dataset.handler import Dependencies
from movierec import metrics
from movierec.errors import (
    ConfigError,
    DatasetError,
    TableNotFoundError,
    UnavailableError,
    UsageError,
)
from movierec.model import artifact, sealed_folder
from movierec.model import dataset as datasets
from movierec.model.segments import GROUPS
from movierec.runtime.stage_usage import StageUsage
from movierec.testing.memory import MemoryStore

N_USERS, N_MOVIES, ROWS = 20, 8, 100


class Column:
    def __init__(self, values):
        self.values = values

    def to_numpy(self):
        return self.values


class Rows:
    """As much of arro3's Table as is used."""

    def __init__(self, columns):
        self.columns = columns
        self.column_names = list(columns)

    def column(self, name):
        return Column(self.columns[name])


class FakeLake:
    """Answers each query of source.py by what it selects."""

    def __init__(self, versions=None):
        self.versions = {"events": 7, "movies": 2, "users": 3, "quarantine": 1}
        self.versions = self.versions if versions is None else versions
        self.asked = []

    def version(self, table):
        try:
            return self.versions[table]
        except KeyError:
            raise TableNotFoundError(f"{table} was never written") from None

    def query(self, sql, versions):
        self.asked.append(dict(versions))
        if "__missing" in sql:
            names = re.findall(r" as (\w+)(?:,| from)", sql)
            return Rows({name: np.array([102 if name == "n" else 0]) for name in names})
        return Rows(next(make() for mark, make in ANSWERS.items() if re.search(mark, sql)))


def texts(values):
    return np.array(list(values), dtype=object)


def watched():
    rng = np.random.default_rng(2)
    pairs = rng.choice(N_USERS * N_MOVIES, ROWS, replace=False)
    return {
        "user_ids": 1 + pairs // N_MOVIES,
        "movies": (pairs % N_MOVIES).astype(np.int32),
        "minutes": rng.integers(0, 100, ROWS).astype(np.int32),
        "last_at": np.arange(1_700_000_000, 1_700_000_000 + ROWS),
    }


def rated():
    return {
        "user_ids": np.array([1, 2]),
        "movies": np.array([0, 0], np.int32),
        "ratings": np.array([5, 1], np.int16),
        "last_at": np.array([1_700_000_000, 1_700_000_001]),
    }


def counts():
    return {
        "kind": texts(["rate", "watch", "watch", "watch", "watch"]),
        "day": texts(["2023-11-14"] * 3 + ["2023-11-15"] * 2),
        "name": texts(["1", "0", "1", "0", "1"]),
        "n": np.array([2, 50, 10, 20, 20]),
        "first_us": np.array([5, 1, 2, 9, 10]),
        "last_us": np.array([6, 8, 7, 11, 12]),
        "first": np.array([3, 0, 0, 51, 20]),
        "last": np.array([4, 50, 19, 70, 35]),
    }


ANSWERS = {
    "self_description_likes": lambda: {
        "user_ids": np.array([], np.int64),
        "likes": texts([]),
        "dislikes": texts([]),
    },
    "cost_usd": lambda: {
        "movie_id": texts(["m1", "other"]),
        **{name: texts(["", ""]) for name in ("title", "genres", "keywords", "overview", "other")},
        "cost": np.array([np.nan, 3.0]),
    },
    r"(?s)kind = 'watch'.*group by": watched,
    r"(?s)codes c.*kind = 'rate'.*group by": rated,
    "select distinct movie_id from events": lambda: {
        "movie_id": texts(f"m{i}" for i in range(N_MOVIES))
    },
    "array_to_string": lambda: {
        "movie_id": texts(f"m{i}" for i in range(N_MOVIES)),
        "genres": texts(["Drama|Crime"] * N_MOVIES),
        "years": np.full(N_MOVIES, 1990.0),
        "runtimes": np.full(N_MOVIES, 100.0),
        "votes": np.full(N_MOVIES, 7.0),
    },
    "(?s)user_ids,.*ages.*from users": lambda: {
        "user_ids": np.array([1, 2]),
        "ages": np.array([30, 10]),
    },
    "repeated": lambda: {"repeated": np.array([0]), "counted": np.array([102])},
    "offset_minutes": lambda: {
        "hours": np.array([20, 21]),
        "offset_minutes": texts(["none", "none"]),
        "bases": texts(["none", "none"]),
        "n": np.array([60, 42]),
    },
    "from movies": lambda: {
        "movie_id": texts(["m0", "m1", "other"]),
        "runtime_minutes": np.array([100, 0, 50]),
        "adult": np.array([0, 1, 0]),
    },
    "from users": lambda: {
        "user_ids": np.array([1, 2]),
        "age": np.array([30, 10]),
        "gender": texts(["F", "M"]),
        "occupation": texts(["", ""]),
    },
    "first_us": counts,
    "select rating": lambda: {"rating": np.array([1, 5]), "n": np.array([1, 1])},
    "select status": lambda: {"status": np.array([200]), "n": np.array([3])},
    "select reason": lambda: {"reason": texts(["no_minute", "user_id"]), "n": np.array([9, 1])},
    "time_basis": lambda: {"n": np.array([0])},
    "select count": lambda: {"n": np.array([102])},
}


@pytest.fixture
def store():
    return MemoryStore()


@pytest.fixture
def deps(store):
    return Dependencies(
        lake=FakeLake(),
        store=store,
        code_version="abc",
        logger=Logger(service="test"),
        metrics=Metrics(namespace="movierec", service="test"),
        usage=lambda: StageUsage(lambda: 123_000_000, lambda: None),
    )


def manifest(store, answer):
    key = datasets.key(answer["dataset_id"], sealed_folder.MANIFEST_FILE)
    return sealed_folder.open_manifest(store.get(key))


def test_a_published_data_set_is_whole(deps, store):
    answer = handler.build_dataset({}, deps)
    facts = manifest(store, answer)
    files = {name: store.get(datasets.key(answer["dataset_id"], name)) for name in facts["files"]}
    for name, body in files.items():
        sealed_folder.verify(name, body, facts)
    assert set(files) == {*datasets.FILES, artifact.REPORT_FILE, artifact.REPORT_PAGE_FILE}
    assert len(datasets.unpack(files).user_ids) == answer["users"]


def test_the_manifest_has_each_stages_cost(deps, store):
    stages = manifest(store, handler.build_dataset({}, deps))["stages"]
    assert set(stages) == {"read", "build", "assess"}
    assert {used["peak_memory_bytes"] for used in stages.values()} == {123_000_000}


def test_the_manifest_says_what_was_read(deps, store):
    facts = manifest(store, handler.build_dataset({}, deps))
    assert facts["lake"] == {
        "versions": {"events": 7, "movies": 2, "quarantine": 1, "users": 3},
        "offsets": {
            "0": {"first": 0, "last": 70, "rows": 70},
            "1": {"first": 0, "last": 35, "rows": 32},
        },
        "event_time_us": {"first": 1, "last": 12},
    }
    assert facts["groups"] == list(GROUPS)
    assert facts["code_version"] == "abc"
    assert facts["parameters"]["min_movie_users"] == 2
    assert facts["split"]["held_out_from_s"] > 1_700_000_000
    assert facts["counts"]["interactions"] == 100 + len({(1, 0), (2, 0)} - seen())


def seen():
    columns = watched()
    return set(zip(columns["user_ids"].tolist(), columns["movies"].tolist(), strict=True))


def test_every_query_names_the_pinned_version(deps):
    handler.build_dataset({}, deps)
    assert deps.lake.asked
    for versions in deps.lake.asked:
        assert versions.items() <= deps.lake.versions.items()


def test_the_quality_report_counts_what_is_there_and_what_is_wrong(deps, store):
    answer = handler.build_dataset({}, deps)
    report = json.loads(store.get(datasets.key(answer["dataset_id"], artifact.REPORT_FILE)))
    assert report["rows"]["by_kind"] == {"rate": 2, "watch": 100}
    assert report["rows"]["by_day"]["2023-11-14"] == {"rate": 2, "watch": 60}
    assert report["ratings"] == {"1": 1, "5": 1}
    assert report["quarantine"]["by_reason"] == {"no_minute": 9, "user_id": 1}
    assert report["quarantine"]["share"] == pytest.approx(10 / 112)
    assert report["users"]["of_known_age"] == 2
    assert report["users"]["by_group"]["F:25-34"] == 1
    assert report["movies"]["of_unknown_runtime"] == N_MOVIES - 1
    assert sum(report["interactions"]["parts"].values()) == answer["interactions"]
    assert any("quarantine" in warning for warning in answer["warnings"])


def test_the_report_is_a_page_too(deps, store):
    dataset_id = handler.build_dataset({}, deps)["dataset_id"]
    html = store.get(datasets.key(dataset_id, artifact.REPORT_PAGE_FILE)).decode()
    assert dataset_id in html
    assert "no_minute" in html


def test_a_second_run_finds_the_first_ones_data_set(deps, store):
    first = handler.build_dataset({}, deps)
    before = dict(store.objects)
    second = handler.build_dataset({}, replace(deps, code_version="other"))
    assert (first["created"], second["created"]) == (True, False)
    assert second == {**first, "created": False}
    assert store.objects == before


@pytest.mark.parametrize("puts", [0, 3, 11])
def test_a_run_that_breaks_off_leaves_nothing_that_counts_and_can_be_repeated(deps, store, puts):
    class Breaking(MemoryStore):
        left = puts

        def put(self, key, body):
            self.left -= 1
            if self.left < 0:
                raise UnavailableError("gone")
            super().put(key, body)

    breaking = Breaking()
    with pytest.raises(UnavailableError):
        handler.build_dataset({}, replace(deps, store=breaking))
    assert not any(key.endswith(sealed_folder.MANIFEST_FILE) for key in breaking.objects)
    store.objects.update(breaking.objects)
    assert handler.build_dataset({}, deps)["created"]


def test_of_two_runs_at_once_one_publishes(deps, store):
    class Rival(MemoryStore):
        def put_if_absent(self, key, body):
            self.put(key, body)
            super().put_if_absent(key, body)

    assert handler.build_dataset({}, replace(deps, store=Rival()))["created"] is False


def test_a_wanted_lake_version_is_read_instead_of_the_newest(deps):
    wanted = {"events": 5}
    answer = handler.build_dataset({"lake_versions": wanted}, deps)
    assert answer["lake_versions"] == wanted
    assert all(versions == wanted for versions in deps.lake.asked)


def test_other_content_than_expected_is_refused_and_not_published(deps, store):
    with pytest.raises(DatasetError, match="not 0123"):
        handler.build_dataset({"expected_dataset_id": "0123"}, deps)
    assert not store.objects
    expected = handler.build_dataset({}, deps)["dataset_id"]
    assert handler.build_dataset({"expected_dataset_id": expected}, deps)["created"] is False


def test_without_side_tables_there_are_warnings_and_a_data_set(deps):
    answer = handler.build_dataset({}, replace(deps, lake=FakeLake({"events": 0})))
    assert answer["created"]
    assert len([w for w in answer["warnings"] if "metadata" in w]) == 2


def test_a_lake_without_events_is_refused_with_what_to_do(deps):
    with pytest.raises(DatasetError, match="start the ingest worker"):
        handler.build_dataset({}, replace(deps, lake=FakeLake({})))


@pytest.mark.parametrize(
    ("event", "complaint"),
    [
        ({"parameters": {"depth": 1}}, "depth"),
        ({"parameters": 3}, "parameters"),
        ({"lake_versions": {"users": 1}}, "events"),
        ({"lake_versions": {"events": "1"}}, "lake_versions"),
        ({"lake_versions": {"events": True}}, "lake_versions"),
        ({"lake_versions": [1]}, "lake_versions"),
    ],
)
def test_a_wrong_event_is_refused_before_the_lake_is_read(deps, event, complaint):
    with pytest.raises(UsageError, match=complaint):
        handler.build_dataset(event, deps)
    assert not deps.lake.asked


def test_missing_settings_are_named():
    with pytest.raises(ConfigError, match="MOVIEREC_LAKE_BUCKET"):
        Dependencies.from_env({})


def test_the_declared_metrics_are_emitted(deps, capsys):
    handler.build_dataset({}, deps)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "_aws" in line]
    declared = lines[0]["_aws"]["CloudWatchMetrics"][0]
    assert declared["Namespace"] == metrics.NAMESPACE
    emitted = {(metric["Name"], metric["Unit"]) for metric in declared["Metrics"]}
    assert emitted == {(m.name, m.unit) for m in metrics.RETRAINING_METRICS[:3]}
