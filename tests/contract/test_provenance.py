"""From a recommendation in a real lake back to the rows that the model was trained on."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import EphemeralMetrics
from deltalake import DeltaTable

from functions.build_dataset.handler import Dependencies, build_dataset
from movierec import settings
from movierec.api_contract import dump_detail
from movierec.aws.delta_lake import DeltaLake
from movierec.aws.lineage_resolver import LineageResolver
from movierec.errors import UsageError
from movierec.lake.schema import Columns, dates
from movierec.model import artifact, overlay, sealed_folder
from movierec.model import dataset as datasets
from movierec.model.artifact import Model, Popular
from movierec.model.overlay import Overlay
from movierec.provenance import report
from movierec.releases.log import Step, step_key
from movierec.releases.traffic_split import TrafficSplit
from movierec.testing.memory import MemoryStore

AT = datetime(2026, 11, 20, 10, 15, tzinfo=UTC)
START = np.datetime64("2026-11-19T00:00:00", "us")
VERSION, RELEASE = "20261120T090000Z-abc-def", "20261120T091500000Z"
STRANGE = ["1926-11-20T10:15:00", "2206-11-20T10:15:00", "9999-12-31T23:59:59"]
MOVIES = [f"movie+{i}+1999" for i in range(60)]


class Lambda:
    """Describes version 12, and no other."""

    class exceptions:  # noqa: N801  as boto3 spells it
        """None are needed."""

    def get_function_configuration(self, *, FunctionName: str, Qualifier: str) -> Mapping[str, Any]:  # noqa: N803
        from botocore.exceptions import ClientError  # noqa: PLC0415

        if Qualifier != "12":
            raise ClientError(
                {"Error": {"Code": "ResourceNotFoundException", "Message": Qualifier}}, "Op"
            )
        return {
            "FunctionName": FunctionName,
            "CodeSha256": "c0de",
            "LastModified": "2026-11-20T09:15:00",
            "Description": f"{RELEASE} {VERSION} nightly",
            "Environment": {
                "Variables": {settings.MODEL_VERSION: VERSION, settings.CODE_VERSION: "abc123"}
            },
        }


def watches(rows: int, first_offset: int = 0) -> Columns:
    """Return that many watch events: 20 users, 30 movies, one event a minute."""
    numbers = np.arange(rows)
    times = START + numbers.astype("timedelta64[m]")
    return {
        "kind": ["watch"] * rows,
        "event_date": dates(times),
        "event_time": times,
        "user_id": numbers % 20 + 1,
        "movie_id": [MOVIES[i] for i in (numbers * 7 + numbers // 20) % 30],
        "minute": np.full(rows, 90),
        "kafka_partition": np.zeros(rows, np.int64),
        "kafka_offset": numbers + first_offset,
    }


def rates(rows: int, first_offset: int) -> Columns:
    """Return that many ratings by user 7."""
    times = START + np.arange(rows).astype("timedelta64[h]")
    return {
        "kind": ["rate"] * rows,
        "event_date": dates(times),
        "event_time": times,
        "user_id": np.full(rows, 7),
        "movie_id": MOVIES[:rows],
        "rating": np.full(rows, 4),
        "kafka_partition": np.zeros(rows, np.int64),
        "kafka_offset": np.arange(rows) + first_offset,
    }


def recommended(movies: list[str], at: datetime, offset: int = 5000) -> Columns:
    time = np.array([at.replace(tzinfo=None)], "datetime64[us]")
    return {
        "kind": ["recommend"],
        "event_date": dates(time),
        "event_time": time,
        "user_id": np.array([7]),
        "status": np.array([200]),
        "movie_ids": [movies],
        "latency_ms": np.array([12]),
        "server": ["host:8082"],
        "kafka_partition": np.array([0]),
        "kafka_offset": np.array([offset]),
    }


def served(movies: list[str], **changes: Any) -> Columns:
    time = np.array([AT.replace(tzinfo=None)], "datetime64[us]")
    row = {
        "served_date": dates(time),
        "served_at": time,
        "recommendation_id": ["id-1"],
        "user_id": np.array([7]),
        "movie_ids": [movies],
        "model_version": [VERSION],
        "function_version": ["12"],
        "source": ["model"],
        "status": np.array([200]),
        "latency_ms": np.array([8.5]),
    }
    return {**row, **changes}


def train(store: MemoryStore, dataset_id: str) -> list[str]:
    """Publish a model that knows user 7 and return what it recommends to them."""
    topk = np.arange(artifact.TOP_K, dtype=np.uint16)[np.newaxis]
    popular = Popular(tuple(MOVIES[:50]), tuple(MOVIES[:50]), {"unknown": tuple(MOVIES[:50])})
    zeros = np.zeros((60, 2), np.float32)
    groups = np.zeros(8, np.uint8)
    files = artifact.pack(Model(topk, np.array([7]), MOVIES, popular, groups, zeros[:1], zeros))
    facts = {"model_version": VERSION, "dataset_id": dataset_id, "groups": ["unknown"]}
    for name, body in {
        **files,
        sealed_folder.MANIFEST_FILE: sealed_folder.seal(files, facts),
    }.items():
        store.put(artifact.key(VERSION, name), body)
    return MOVIES[:20]


class Lab:
    """A lake with events, a data set built from it, a model, and one recommendation of it."""

    def __init__(self, folder: Path, more: Sequence[Columns] = ()) -> None:
        self.lake = DeltaLake(str(folder))
        self.store = MemoryStore()
        asked = recommended(["x"], AT - timedelta(hours=1), 405)
        events = [watches(400), rates(5, 400), asked, *more]
        self.lake.append("events", events, transactions={"movielog1-0": 405})
        logger = Logger(service="provenance-test", level=logging.CRITICAL)
        metrics = EphemeralMetrics(service="", namespace="test")
        deps = Dependencies(self.lake, self.store, "abc123", logger, metrics)  # type: ignore[arg-type]  # a metrics object that forgets
        self.dataset_id = build_dataset({}, deps)["dataset_id"]
        self.movies = train(self.store, self.dataset_id)
        step = Step(RELEASE, "movierec-api", VERSION, None, "route", "12", TrafficSplit("12"))
        self.store.put(step_key(RELEASE, 1, "route"), step.dump())
        # What came in after the data set was built must not disturb it.
        self.lake.append(
            "events",
            [watches(50, 406), recommended(self.movies, AT + timedelta(seconds=1))],
            transactions={"movielog1-0": 5000},
        )
        self.lake.append("served", [served(self.movies)], transactions={"proxy": 1})
        api: Any = Lambda()
        self.resolver = LineageResolver(self.lake, self.store, "movierec-api", api)

    def failed(self) -> list[str]:
        checks = self.resolver.verify(self.resolver.by_id("id-1"))
        assert checks
        return [check.name for check in checks if not check.ok]


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


def test_every_link_is_found_from_the_id(lab: Lab) -> None:
    chain = lab.resolver.by_id("id-1")

    assert chain.missing == ()
    assert chain.function is not None
    assert (chain.function.code_version, chain.function.model_version) == ("abc123", VERSION)
    assert chain.site_event is not None
    assert chain.site_event["kafka_offset"] == 5000
    assert [step["name"] for step in chain.release] == ["route"]
    assert chain.dataset is not None
    assert chain.dataset["lake"]["versions"]["events"] == 1


def test_a_version_that_was_released_again_is_traced_to_the_release_of_that_time(lab: Lab) -> None:
    """Lambda's description names the release that published it, for ever."""
    again, later = "20261120T100000000Z", "20261120T110000000Z"
    step = Step(
        again,
        "movierec-api",
        VERSION,
        TrafficSplit("13"),
        "route",
        "12",
        TrafficSplit("13", "12", 5),
    )
    for release, at in ((again, "2026-11-20T10:00:01.000+00:00"), (later, "2026-11-20T11:00")):
        record = replace(step, release_id=release, at=at).dump()
        lab.store.put(step_key(release, 1, "route"), record)

    assert [step["release_id"] for step in lab.resolver.by_id("id-1").release] == [again]


def test_what_else_lies_in_a_releases_folder_is_passed_over(lab: Lab) -> None:
    for name in ("page.html", "trials/20261120T091600000000Z.npz", "notices/start-sns.json"):
        lab.store.put(f"releases/{RELEASE}/{name}", b"\x00 no JSON")

    assert [step["name"] for step in lab.resolver.by_id("id-1").release] == ["route"]


def test_a_user_and_a_time_lead_to_the_same_chain(lab: Lab) -> None:
    assert lab.resolver.by_user(7, AT + timedelta(hours=2)) == lab.resolver.by_id("id-1")


def test_untouched_data_passes_every_check(lab: Lab) -> None:
    assert lab.failed() == []


def test_a_changed_model_file_is_found_out(lab: Lab) -> None:
    key = artifact.key(VERSION, artifact.POPULAR_FILE)
    lab.store.objects[key] = lab.store.objects[key].replace(b"movie+0", b"movie+1")

    assert lab.failed() == ["model popular.json"]


def test_a_lost_dataset_file_is_found_out(lab: Lab) -> None:
    del lab.store.objects[datasets.key(lab.dataset_id, "indptr.npy")]

    assert lab.failed() == ["data set indptr.npy"]


def test_data_that_upkeep_has_taken_is_said_to_be_gone_and_not_to_differ(
    lab: Lab, tmp_path: Path
) -> None:
    table = DeltaTable(tmp_path / "events")
    table.optimize.compact()
    table.vacuum(0, dry_run=False, enforce_retention_duration=False, full=True)

    checks = lab.resolver.verify(lab.resolver.by_id("id-1"))

    (gone,) = [check for check in checks if not check.ok]
    assert (gone.name, gone.gone) == ("events at version 1", True)
    assert "the lake no longer holds version 1 of events" in gone.found
    assert "kept for 720 hours" in gone.found
    assert not [check.name for check in checks if check.name.startswith("lake rows")]


def test_data_of_which_upkeep_has_taken_nothing_still_passes(lab: Lab, tmp_path: Path) -> None:
    DeltaTable(tmp_path / "events").optimize.compact()

    assert lab.failed() == []


def test_a_manifest_of_other_rows_is_found_out(lab: Lab) -> None:
    key = datasets.key(lab.dataset_id, sealed_folder.MANIFEST_FILE)
    lab.store.objects[key] = lab.store.objects[key].replace(b'"watch": 400', b'"watch": 401')

    assert lab.failed() == ["lake rows, watch"]


def as_an_older_builder_left_it(lab: Lab) -> None:
    key = datasets.key(lab.dataset_id, sealed_folder.MANIFEST_FILE)
    lab.store.objects[key] = lab.store.objects[key].replace(b' "builder_format": 2,\n', b"")


def test_a_data_set_names_the_format_of_its_builder(lab: Lab) -> None:
    chain = lab.resolver.by_id("id-1")

    assert chain.dataset is not None
    assert chain.dataset["builder_format"] == datasets.BUILDER_FORMAT
    assert not [check for check in lab.resolver.verify(chain) if check.note]


def test_of_a_data_set_of_an_older_builder_the_sums_are_checked_and_it_says_no_more(
    lab: Lab,
) -> None:
    as_an_older_builder_left_it(lab)

    checks = lab.resolver.verify(lab.resolver.by_id("id-1"))

    assert [check.name for check in checks if not check.ok] == []
    (noted,) = [check for check in checks if check.note]
    assert noted.note.startswith("built by format 1, this code has 2: its sums are checked")
    assert {"data set indptr.npy", "lake rows, watch", "partition 0"} <= {c.name for c in checks}


def test_a_changed_file_of_a_data_set_of_an_older_builder_is_found_out(lab: Lab) -> None:
    as_an_older_builder_left_it(lab)
    key = datasets.key(lab.dataset_id, "strength.npy")
    lab.store.objects[key] += b"x"

    assert lab.failed() == ["data set strength.npy"]


def test_a_data_set_of_a_lake_with_impossible_times_and_new_accounts_is_verified(
    tmp_path: Path,
) -> None:
    times = np.array(STRANGE, "datetime64[us]")
    strange = {**watches(3, 7000), "event_time": times, "event_date": dates(times)}
    accounts = watches(4, 8000)
    made = {name: accounts[name] for name in accounts if name not in ("movie_id", "minute")}

    lab = Lab(tmp_path, [strange, {**made, "kind": ["create_account"] * 4}])

    assert lab.failed() == []
    chain = lab.resolver.by_id("id-1")
    assert chain.dataset is not None
    assert chain.dataset["quality"]["rows"]["by_kind"]["create_account"] == 4
    assert chain.dataset["quality"]["rows"]["at_impossible_times"] == 3
    assert report.render(chain)


def test_a_list_that_the_model_would_not_give_is_found_out(lab: Lab) -> None:
    rows = served(lab.movies[::-1], recommendation_id=["id-2"])
    lab.lake.append("served", [rows], transactions={"proxy": 2})

    checks = lab.resolver.verify(lab.resolver.by_id("id-2"))

    assert [check.name for check in checks if not check.ok] == ["the model's answer"]


def test_a_list_of_a_refresh_is_verified_with_its_overlay(lab: Lab) -> None:
    """What the model alone, or a later refresh, would answer is another list."""
    for number, first in ((3, 30), (4, 40)):
        row = np.full((1, artifact.TOP_K), 65535, np.uint16)
        row[0, :5] = np.arange(first, first + 5)
        zero = np.zeros(1, np.uint8)
        files = overlay.pack(Overlay(np.array([7]), row, zero, zero))
        sealed = {sealed_folder.MANIFEST_FILE: sealed_folder.seal(files, {"number": number})}
        for name, body in {**files, **sealed}.items():
            lab.store.put(overlay.key(VERSION, number, name), body)
    detail = {"recommendation_id": ["id-2"], "detail": [dump_detail({"refresh": 3})]}
    lab.lake.append("served", [served(MOVIES[30:35], **detail)], transactions={"proxy": 2})
    checks = {c.name: c.ok for c in lab.resolver.verify(lab.resolver.by_id("id-2"))}
    assert checks["the model's answer"]


def test_a_fallback_of_the_proxy_ends_the_chain_and_says_so(lab: Lab) -> None:
    blank = {"recommendation_id": ["id-2"], "function_version": [""], "source": ["fallback"]}
    lab.lake.append("served", [served(["y"], **blank)], transactions={"proxy": 2})

    chain = lab.resolver.by_id("id-2")

    assert chain.function is None
    assert any("the proxy answered" in text for text in chain.missing)
    assert any("site's own line" in text for text in chain.missing)


def test_what_was_deleted_since_is_named(lab: Lab) -> None:
    blank = {"recommendation_id": ["id-2"], "function_version": ["11"]}
    lab.lake.append("served", [served(lab.movies, **blank)], transactions={"proxy": 2})
    del lab.store.objects[datasets.key(lab.dataset_id, sealed_folder.MANIFEST_FILE)]

    chain = lab.resolver.by_id("id-2")

    assert (chain.function, chain.dataset) == (None, None)
    assert [text.split(":")[0] for text in chain.missing] == ["the function", "the data set"]


@pytest.mark.parametrize("unknown", ["id-9", "", "' or 1=1 --", "id-1' or 'a'='a"])
def test_an_unknown_id_is_refused_with_what_to_check(lab: Lab, unknown: str) -> None:
    with pytest.raises(UsageError, match="check the id"):
        lab.resolver.by_id(unknown)


def test_a_user_who_got_nothing_that_day_is_refused(lab: Lab) -> None:
    with pytest.raises(UsageError, match="user 7 was served nothing"):
        lab.resolver.by_user(7, AT + timedelta(days=9))
    with pytest.raises(UsageError, match="user 8 was served nothing"):
        lab.resolver.by_user(8, AT)


def test_an_empty_lake_knows_no_recommendation(tmp_path: Path) -> None:
    api: Any = Lambda()
    resolver = LineageResolver(DeltaLake(str(tmp_path)), MemoryStore(), "movierec-api", api)

    with pytest.raises(UsageError, match="check the id"):
        resolver.by_id("id-1")
