"""Flaws planted in a real Delta lake stop the build, with the reason, unless they are accepted."""

import json

import numpy as np
import pytest
from aws_lambda_powertools import Logger, Metrics

from functions.build_dataset import handler
from functions.build_dataset.handler import Dependencies
from movierec.aws.delta_lake import DeltaLake
from movierec.errors import DataQualityError, UsageError
from movierec.model import artifact, sealed_folder
from movierec.model import dataset as datasets
from movierec.testing.memory import MemoryStore

N_USERS, N_MOVIES, ROWS = 600, 60, 20_000
HOURS = 1 + np.sin((np.arange(24) - 14) * np.pi / 12)
KEPT = ("user_id", "movie_id", "event_time", "event_date", "minute", "rating", "kind")
CATALOG = [f"m{i:02}" for i in range(N_MOVIES)]


def rows(kind, n, seed, *, shift=0, hours_moved=0, constant=False):
    """Return columns of events of ten days, more in the evening, of a few popular movies."""
    rng = np.random.default_rng(seed)
    weights = 1 / (3 + np.arange(N_MOVIES))
    hours = rng.choice(24, n, p=HOURS / HOURS.sum()) + hours_moved
    seconds = rng.integers(0, 10, n) * 86_400 + hours * 3600 + rng.integers(0, 3600, n)
    micros = seconds * 1_000_000 + rng.integers(0, 1_000_000, n)
    times = np.datetime64("2026-11-10T00:00:00", "us") + micros.astype("timedelta64[us]")
    columns = {
        "kind": [kind] * n,
        "event_time": times,
        "event_date": times.astype("datetime64[D]"),
        "user_id": rng.integers(1, N_USERS + 1, n),
        "movie_id": [CATALOG[i] for i in rng.choice(N_MOVIES, n, p=weights / weights.sum())],
        "kafka_partition": np.zeros(n, np.int64),
        "kafka_offset": np.arange(n),
    }
    if kind == "watch":
        return {**columns, "minute": rng.integers(0, 130, n)}
    ratings = np.clip(rng.choice([2, 3, 4, 5], n, p=[0.1, 0.3, 0.4, 0.2]) - shift, 1, 5)
    return {**columns, "rating": np.full(n, 4) if constant else ratings}


class Lab:
    """A lake in a folder for each state of the site, one store, and perhaps a released model."""

    def __init__(self, folder):
        self.folder = folder
        self.store = MemoryStore()
        self.lakes = 0
        self.model: str | None = None

    def lake(self, seed, *, movies=CATALOG, users=N_USERS, twice=False, **changes):
        self.lakes += 1
        lake = DeltaLake(str(self.folder / str(self.lakes)))
        watched = rows("watch", ROWS, seed, hours_moved=changes.pop("hours_moved", 0))
        batches = [watched, rows("rate", ROWS // 4, seed + 500, **changes)]
        lake.append("events", batches * (2 if twice else 1), transactions={})
        loaded = np.array(["2026-11-20"], "datetime64[us]")
        names = list(movies)
        lake.append(
            "movies",
            [
                {
                    "movie_id": names,
                    "runtime_minutes": np.full(len(names), 100),
                    "adult": np.zeros(len(names), np.int64),
                    "genres": [["Drama"], ["Comedy", "Crime"]] * (len(names) // 2),
                    "release_date": ["1994-05-01"] * len(names),
                    "vote_average": np.linspace(1, 9, len(names)),
                    "loaded_at": np.repeat(loaded, len(names)),
                }
            ],
            transactions={},
        )
        ages = np.random.default_rng(4).choice([20, 30, 40, 70], users)
        lake.append(
            "users",
            [
                {
                    "user_id": np.arange(1, users + 1),
                    "age": ages,
                    "gender": ["F", "M"] * (users // 2),
                    "loaded_at": np.repeat(loaded, users),
                }
            ],
            transactions={},
        )
        return lake

    def build(self, lake, **event):
        deps = Dependencies(
            lake=lake,
            store=self.store,
            code_version="abc",
            logger=Logger(service="test"),
            metrics=Metrics(namespace="movierec", service="test"),
            released_model=lambda: self.model,
        )
        return handler.build_dataset(event, deps)

    def release(self, dataset_id):
        self.model = "20261120T000000-abc"
        facts = {"model_version": self.model, "dataset_id": dataset_id}
        key = artifact.key(self.model, sealed_folder.MANIFEST_FILE)
        self.store.objects[key] = sealed_folder.seal({}, facts)

    def report(self, dataset_id, folder=""):
        return json.loads(self.store.get(datasets.key(dataset_id, f"{folder}report.json")))

    def manifest(self, dataset_id):
        key = datasets.key(dataset_id, sealed_folder.MANIFEST_FILE)
        return sealed_folder.open_manifest(self.store.get(key))


@pytest.fixture
def lab(tmp_path):
    return Lab(tmp_path)


@pytest.fixture
def released(lab):
    made = lab.build(lab.lake(1))
    lab.release(made["dataset_id"])
    return made


def test_a_first_data_set_says_that_there_is_none_to_compare_with(lab):
    made = lab.build(lab.lake(1))
    assert made["warnings"] == []
    drift = lab.report(made["dataset_id"])["drift"]
    assert drift == {
        "note": "no model is released yet: there is nothing to compare with",
        "attributes": {},
        "catalog": {},
    }
    page = lab.store.get(datasets.key(made["dataset_id"], "report.html")).decode()
    assert "no model is released yet" in page
    assert "Distribution: genres" in page


def test_more_of_the_same_site_is_compared_and_is_no_drift(lab, released):
    made = lab.build(lab.lake(2))
    assert made["warnings"] == []
    drift = lab.report(made["dataset_id"])["drift"]
    assert {found["level"] for found in drift["attributes"].values()} == {"same"}
    assert {"ratings", "ages", "genres", "popularity", "hours"} <= set(drift["attributes"])
    assert lab.manifest(made["dataset_id"])["judged_by"]["released"] == {
        "model_version": lab.model,
        "dataset_id": released["dataset_id"],
    }


@pytest.mark.parametrize(
    ("flaw", "reason"),
    [
        ({"twice": True}, "50.0% of events are there twice"),
        ({"movies": CATALOG[40:]}, "of interactions are of movies that the catalog lacks"),
        ({"users": 100}, "of interactions are of users without a row"),
        ({"shift": 2}, "drift of ratings: PSI"),
        ({"hours_moved": 4}, "drift of hours: PSI"),
    ],
)
def test_a_flaw_stops_the_build_with_its_reason_and_leaves_a_report(lab, released, flaw, reason):
    before = set(lab.store.objects)
    with pytest.raises(DataQualityError, match=reason) as stopped:
        lab.build(lab.lake(2, **flaw))
    new = sorted(set(lab.store.objects) - before)
    assert [key.rpartition("/")[2] for key in new] == ["report.html", "report.json"]
    assert all("/refused/" in key for key in new), "no reader opens it, nor is it sealed"
    assert new[0] in str(stopped.value)
    dataset_id = new[0].split("/")[1]
    assert any(reason in text for text in lab.report(dataset_id, "refused/")["broken"])
    assert "Broken rules" in lab.store.get(new[0]).decode()


def test_a_drift_that_is_wanted_is_published_and_recorded(lab, released):
    lake = lab.lake(2, shift=2)
    with pytest.raises(DataQualityError, match="--accept-drift"):
        lab.build(lake)
    made = lab.build(lake, accept_drift=True)
    assert lab.manifest(made["dataset_id"])["judged_by"]["accept_drift"] is True
    assert any(text.startswith("drift of ratings") for text in made["warnings"])


def test_another_limit_lets_a_flaw_pass_and_is_recorded(lab):
    made = lab.build(lab.lake(2, twice=True), limits={"duplicate_share": 0.6})
    assert lab.manifest(made["dataset_id"])["judged_by"]["limits"]["duplicate_share"] == 0.6
    assert any("there twice" in text for text in made["warnings"])


def test_a_constant_column_is_warned_of(lab):
    made = lab.build(lab.lake(2, constant=True))
    assert "5,000 rows of log line, rate all have the same rating" in made["warnings"]


def test_values_are_counted_as_declared(lab):
    lake = lab.lake(2)
    wrong = rows("watch", 300, 9)
    wrong["minute"] = np.full(300, -5)
    lake.append("events", [{n: wrong[n] for n in KEPT if n in wrong}], transactions={})
    with pytest.raises(
        DataQualityError, match=r"1.5% of log line, watch: minute is not as declare"
    ):
        lab.build(lake)


def test_ratings_outside_of_the_scale_stop_the_build(lab):
    lake = lab.lake(2)
    wide = {**rows("rate", 300, 9), "rating": np.full(300, 9)}
    lake.append("events", [wide], transactions={})
    with pytest.raises(DataQualityError, match="rating is outside of the site's scale"):
        lab.build(lake)


def test_a_compared_data_set_is_rebuilt_byte_for_byte_even_after_the_next_release(lab, released):
    lake = lab.lake(2)
    made = lab.build(lake, accept_drift=True)
    lab.release(made["dataset_id"])
    answer = lab.build(lake, rebuild=made["dataset_id"])
    assert answer["same"], [check for check in answer["checks"] if not check["ok"]]
    assert {"data set report.json", "data set report.html"} <= {c["name"] for c in answer["checks"]}


@pytest.mark.parametrize("gone", ["model", "dataset", "profile"])
def test_a_released_data_set_that_cannot_be_read_is_said_to_be_gone(lab, released, gone):
    report = datasets.key(released["dataset_id"], "report.json")
    if gone == "model":
        del lab.store.objects[artifact.key(lab.model, sealed_folder.MANIFEST_FILE)]
    elif gone == "dataset":
        del lab.store.objects[report]
    else:
        lab.store.objects[report] = b"{}"
    made = lab.build(lab.lake(2, shift=2))
    note = lab.report(made["dataset_id"])["drift"]["note"]
    assert ("gone" in note) == (gone != "profile")
    assert ("no profile" in note) == (gone == "profile")


@pytest.mark.parametrize("event", [{"accept_drift": 1}, {"limits": 3}, {"limits": {"depth": 0.1}}])
def test_a_wrong_event_is_refused(lab, event):
    with pytest.raises(UsageError):
        lab.build(lab.lake(1), **event)
