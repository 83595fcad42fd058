"""A lake that earlier code wrote, read, traced and written on by the present code."""

import logging
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pytest
from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import EphemeralMetrics
from botocore.exceptions import ClientError

from functions.build_dataset.handler import Dependencies, build_dataset
from ingest_worker.batcher import Records
from ingest_worker.meter import Meter
from ingest_worker.worker import FlushPolicy, Worker
from movierec import settings
from movierec.aws.delta_lake import DeltaLake
from movierec.aws.delta_maintenance import LakeMaintainer
from movierec.aws.lake_catalog import LakeCatalog
from movierec.aws.lineage_resolver import LineageResolver
from movierec.errors import ConflictError
from movierec.lake.log_lines import Limits
from movierec.lake.maintenance import Policy
from movierec.lake.schema import EVENTS, MOVIES, TABLES, Columns
from movierec.lake.served import Served
from movierec.lake.site_clock import FoundClock
from movierec.model import dataset as datasets
from movierec.testing.memory import FakeClock, MemoryStore
from proxy.journal import Journal
from proxy.lake_writer import LakeWriter
from tests.contract import stored_before
from tests.contract.stored_before import (
    ALARMED,
    BY_HAND,
    CHANGED_BY_HAND,
    CODE_VERSION,
    FIRST_DATASET,
    FIRST_MODEL,
    NOW,
    OPEN,
    PROMOTED,
    SECOND_DATASET,
    SECOND_MODEL,
    VERSIONS,
)

ROWS = {"events": 667, "served": 18, "quarantine": 4, "movies": 40, "users": 58}
STORED_OFFSET = 670
SHIPPED = 1_794_960_000_000_017
LAST_LINE = "2026-11-20T05:52:04,12,GET /data/m/the+amber+engine+2006/25.mpg"

# Recommendation, user, function version, release, model, data set, offset of the site's line.
LINEAGES = [
    ("aea52033c0bc5274aefdbcbdf61e9283", 1, "1", BY_HAND, FIRST_MODEL, FIRST_DATASET, 254),
    ("e634eab8ce525ea0aae989deddf916a0", 999, "1", BY_HAND, FIRST_MODEL, FIRST_DATASET, 257),
    ("d57ee35109b45a0ab942b64e2ac58b01", 1, "2", PROMOTED, SECOND_MODEL, SECOND_DATASET, 621),
    (
        *("817f7ca8c2db5d1b9e600f675e7bbe3f", 4, "3", CHANGED_BY_HAND),
        *(SECOND_MODEL, SECOND_DATASET, 627),
    ),
    ("bd309172c3685d248066497ad231569f", 6, "5", OPEN, SECOND_MODEL, SECOND_DATASET, 629),
]
FALLBACK = "76176f8ffde65588ae0a6b5de697e32d"


@pytest.fixture
def lake(tmp_path):
    return stored_before.lake(tmp_path / "lake")


def counted(lake):
    return {table: lake.count(table)[""] for table in ROWS}


def test_every_table_has_its_rows_and_columns(lake):
    assert counted(lake) == ROWS
    for name, table in TABLES.items():
        found = lake.query(f"select * from {name} limit 1", {name: None})  # noqa: S608  ours
        assert set(found.column_names) == set(table.columns)
        assert lake.open(name).metadata().partition_columns == list(table.partition_by)
    assert lake.count("events", by="kind") == {"watch": 541, "rate": 108, "recommend": 18}
    reasons = ("unknown_movie", "duplicate", "bad_time", "rating_out_of_range")
    assert lake.count("quarantine", by="reason") == dict.fromkeys(reasons, 1)


def test_a_version_of_before_the_compaction_is_read(lake):
    found = lake.query("select count(*) n from events", {"events": 2})
    assert found.column("n").to_pylist() == [252]


def test_the_catalog_is_read(lake):
    catalog = LakeCatalog(lake)()
    assert catalog is not None
    runtimes = catalog.runtime_minutes
    assert len(runtimes) == 40
    assert (runtimes["the+quiet+river+1970"], runtimes["the+quiet+garden+1975"]) == (80, 0)


# Columns that came later ----------------------------------------------------------------------

LATER = {
    "events": {"topic", "site_time", "utc_offset_minutes", "time_basis"},
    "served": {"detail"},
    "quarantine": {"topic", "record_time"},
    "movies": set(MOVIES.columns)
    - {
        *("movie_id", "title", "runtime_minutes", "adult"),
        *("genres", "release_date", "loaded_at"),
    },
    "users": {"self_description_likes", "self_description_dislikes", "other"},
}

NEW_SERVED: Columns = {
    "user_id": np.array([9]),
    "detail": ["{}"],
    "served_date": np.array([NOW.date()], "M8[D]"),
}


def stored_columns(lake, table):
    return {field.name for field in lake.open(table).schema().fields}


def test_columns_that_came_later_are_null_in_what_is_stored(lake):
    for table, later in LATER.items():
        assert not later & stored_columns(lake, table)
        found = lake.query(f"select {', '.join(sorted(later))} from {table}", {table: None})  # noqa: S608  ours
        assert len(found) == ROWS[table]
        assert {found.column(name).null_count for name in found.column_names} == {ROWS[table]}


def test_a_query_with_tables_of_its_own_sees_them_too(lake):
    sql = "with mine as (select topic, detail from events, served) select count(*) n from mine"
    found = lake.query(
        f"{sql} where topic is null and detail is null", {"events": None, "served": None}
    )
    assert found.column("n").to_pylist()[0] > 0


def test_a_table_gains_its_columns_at_the_first_write(lake, tmp_path):
    lake.append("served", [NEW_SERVED], transactions={"new": 1})
    again = DeltaLake(str(tmp_path / "lake"))
    assert LATER["served"] <= stored_columns(again, "served")
    found = again.query(
        "select detail, count(*) n from served group by 1 order by 1", {"served": None}
    )
    assert found.column("detail").to_pylist() == ["{}", None]
    assert found.column("n").to_pylist() == [1, ROWS["served"]]


def test_two_writers_that_have_it_grow_at_the_same_time_both_write(lake, tmp_path):
    other = DeltaLake(str(tmp_path / "lake"))
    for writer in (lake, other):
        assert writer.transaction("served", "new") is None
    lake.append("served", [NEW_SERVED], transactions={"one": 1})
    other.append("served", [NEW_SERVED], transactions={"other": 1})
    assert lake.count("served") == {"": ROWS["served"] + 2}


# Lineage ------------------------------------------------------------------------------------


class Lambda:
    """Describes the versions of the function that were published."""

    class exceptions:  # noqa: N801  as boto3 spells it
        """None are needed."""

    def get_function_configuration(self, *, FunctionName, Qualifier):  # noqa: N803
        if int(Qualifier) > len(VERSIONS):
            raise ClientError(
                {"Error": {"Code": "ResourceNotFoundException", "Message": Qualifier}}, "Op"
            )
        model = VERSIONS[int(Qualifier) - 1][1]
        return {
            "FunctionName": FunctionName,
            "CodeSha256": "c0de",
            "LastModified": "2026-11-20T06:22:04",
            "Description": f"{ALARMED} {model}",
            "Environment": {
                "Variables": {settings.MODEL_VERSION: model, settings.CODE_VERSION: CODE_VERSION}
            },
        }


@pytest.fixture
def resolver(lake):
    aws: Any = Lambda()
    return LineageResolver(lake, stored_before.store(), stored_before.FUNCTION, aws)


@pytest.mark.parametrize("expected", LINEAGES, ids=lambda expected: f"version {expected[2]}")
def test_a_recommendation_is_traced_to_everything_that_it_came_from(resolver, expected):
    recommendation, user, version, release, model, dataset, offset = expected
    found = resolver.by_id(recommendation)
    assert found.missing == ()
    assert (found.served.user_id, found.function.version) == (user, version)
    assert {step["release_id"] for step in found.release} == {release}
    assert (found.model["model_version"], found.dataset["dataset_id"]) == (model, dataset)
    assert (found.site_event["kafka_partition"], found.site_event["kafka_offset"]) == (0, offset)


@pytest.mark.parametrize("expected", LINEAGES, ids=lambda expected: f"version {expected[2]}")
def test_everything_that_it_came_from_is_still_as_it_was(resolver, expected):
    checks = resolver.verify(resolver.by_id(expected[0]))
    assert len(checks) > 20
    assert [check for check in checks if not check.ok] == []


def test_a_user_and_a_time_lead_to_the_recommendation(resolver):
    found = resolver.by_user(6, datetime.fromisoformat("2026-11-20T06:40:00+00:00"))
    assert found.served.recommendation_id == "bd309172c3685d248066497ad231569f"


def test_a_fallback_of_the_proxy_is_told_from_the_models_answers(resolver):
    found = resolver.by_id(FALLBACK)
    assert (found.served.source, found.function) == ("fallback", None)
    assert found.site_event["kafka_offset"] == 626


# Data sets ----------------------------------------------------------------------------------


def dependencies(lake, store):
    logger = Logger(service="stored-test", level=logging.CRITICAL)
    metrics: Any = EphemeralMetrics(service="", namespace="test")
    return Dependencies(lake, store, CODE_VERSION, logger, metrics)


def test_the_same_rows_and_parameters_give_the_same_data_set(lake):
    event = {"parameters": {"min_movie_users": 3, "held_out_share": 0.2}}
    said = build_dataset(event, dependencies(lake, MemoryStore()))
    assert said == {
        "dataset_id": "4f5a9bbb0ce612aa",
        "created": True,
        "users": 60,
        "movies": 40,
        "interactions": 481,
        "positive": 395,
        "test": 97,
        "lake_versions": {"events": 8, "movies": 3, "quarantine": 5, "users": 3},
        "warnings": [],
    }


def test_a_stored_data_set_is_built_again_from_the_past_to_the_same_bytes(lake):
    versions = {"events": 5, "movies": 2, "quarantine": 3, "users": 2}
    event = {"lake_versions": versions, "expected_dataset_id": SECOND_DATASET}
    built, stored = MemoryStore(), stored_before.store()
    assert build_dataset(event, dependencies(lake, built))["created"]
    for name in datasets.FILES:
        key = datasets.key(SECOND_DATASET, name)
        assert built.get(key) == stored.get(key)


def test_a_data_set_that_is_there_is_not_built_anew(lake):
    event = {"lake_versions": {"events": 5, "movies": 2, "quarantine": 3, "users": 2}}
    said = build_dataset(event, dependencies(lake, stored_before.store()))
    assert (said["dataset_id"], said["created"]) == (SECOND_DATASET, False)


# Writers ------------------------------------------------------------------------------------


class Source:
    """The topic's partition: of what is stored, the last line alone matters."""

    topic = "movielog1"

    def __init__(self):
        self.lines = [b"stored"] * STORED_OFFSET + [LAST_LINE.encode()]
        self._next = 0
        self.relinquished = []
        self.committed = {}

    def poll(self, _timeout_s):
        start, self._next = self._next, len(self.lines)
        offsets = np.arange(start, len(self.lines))
        records = Records(offsets, self.lines[start:], np.zeros(len(offsets), np.int64))
        return {0: records} if len(offsets) else {}

    def seek(self, _partition, offset):
        self._next = offset

    def bounds(self, _partition):
        return 0, len(self.lines)

    def end(self, _partition):
        return len(self.lines)

    def position(self, _partition):
        return self._next

    def topic_id(self):
        return 1

    def commit(self, last_offsets):
        self.committed |= last_offsets

    def relinquish(self, partitions):
        self.relinquished += partitions


def worker(lake, source):
    """Return a worker that has taken the partition over."""
    made = Worker(
        source,
        lake,
        FakeClock(NOW),
        catalog=LakeCatalog(lake),
        limits=Limits(),
        policy=FlushPolicy(max_lines=1),
        site_clock=FoundClock(),
        pause=lambda _s: False,
        meter=Meter(),
    )
    made.assigned([0])
    return made


def test_an_ingest_worker_goes_on_after_the_stored_offset_in_the_next_epoch(lake):
    source = Source()
    new = "2026-11-20T07:00:00,12,GET /rate/the+amber+engine+2006=4"
    source.lines += [LAST_LINE.encode(), new.encode()]
    worker(lake, source).step(0)
    assert source.committed == {0: STORED_OFFSET + 2}
    assert lake.transaction("events", "movielog1-0") == STORED_OFFSET + 2
    assert lake.transaction("quarantine", "movielog1-0") == STORED_OFFSET + 2
    assert lake.transaction("events", "movielog1-0:term") == 3
    assert counted(lake) == ROWS | {"events": 668, "quarantine": 5}
    rows = lake.query(
        f"select kafka_offset o, rating from events where kafka_offset > {STORED_OFFSET}",  # noqa: S608
        {"events": None},
    )
    assert rows.column("o").to_pylist() == [STORED_OFFSET + 2]
    # A line that was stored by earlier code is known when it comes again.
    assert lake.count("quarantine", by="reason")["duplicate"] == 2


def test_a_worker_of_the_epoch_before_is_refused(lake, tmp_path):
    """It saw the table as earlier code left it, and commits after another has taken over."""
    stale = DeltaLake(str(tmp_path / "lake"))
    seen = {name: stale.transaction("events", name) for name in ("movielog1-0", "movielog1-0:term")}
    assert seen == {"movielog1-0": STORED_OFFSET, "movielog1-0:term": 2}
    worker(lake, Source())
    with pytest.raises(ConflictError, match="another writer has taken over"):
        stale.append(EVENTS.name, [], transactions={"movielog1-0": 700, "movielog1-0:term": 2})


def test_a_worker_that_is_overtaken_relinquishes_its_partition(lake, tmp_path):
    source = Source()
    overtaken = worker(DeltaLake(str(tmp_path / "lake")), source)
    worker(lake, Source())
    source.lines.append(b"2026-11-20T07:00:00,12,GET /rate/the+amber+engine+2006=4")
    overtaken.step(0)
    assert source.relinquished == [0]
    assert counted(lake) == ROWS
    assert lake.transaction("events", "movielog1-0:term") == 4


def record(number):
    at_us = int(NOW.timestamp()) * 1_000_000
    facts = (9, ("a", "b"), SECOND_MODEL, "2", "model", 200, 9.5, DETAIL if number else None)
    return Served(at_us, f"new-{number}", *facts)


DETAIL = '{"v":1,"known_user":true}'


def ship(lake, folder, first_sequence):
    journal = Journal(folder, first_sequence=first_sequence)
    for number in range(2):
        journal.append(record(number))
    journal.seal()
    return LakeWriter(lambda: lake, proxy_id="1").ship(journal.sealed).records


def test_a_proxy_goes_on_after_the_records_that_were_shipped(lake, tmp_path):
    assert ship(lake, tmp_path / "journal", SHIPPED + 1) == 2
    assert lake.transaction("served", "proxy-1") == SHIPPED + 2
    assert counted(lake) == ROWS | {"served": 20}


def test_a_record_s_detail_is_in_a_table_that_had_none(lake, resolver, tmp_path):
    ship(lake, tmp_path / "journal", SHIPPED + 1)
    found = [resolver.by_id(name).served.detail for name in ("new-0", "new-1", FALLBACK)]
    assert found == [None, DETAIL, None]


def test_a_record_that_was_shipped_is_not_shipped_again(lake, tmp_path):
    assert ship(lake, tmp_path / "journal", SHIPPED) == 1
    assert counted(lake) == ROWS | {"served": 19}


# Maintenance --------------------------------------------------------------------------------


def maintained(lake, policy, clock=None):
    clock = clock or FakeClock(NOW)
    kept = LakeMaintainer(lake, policy, clock, lambda _s: None, lambda: 900.0).maintain()
    assert [table.error for table in kept] == [""] * len(TABLES)
    return {table.table: table for table in kept}


def test_files_are_joined_and_nothing_is_lost(lake, tmp_path):
    worker_of_now = Source()
    worker_of_now.lines.append(b"2026-11-20T07:00:00,12,GET /rate/the+amber+engine+2006=4")
    worker(lake, worker_of_now).step(0)
    kept = maintained(lake, Policy(few_files=2))
    assert (kept["events"].files_removed, kept["events"].files_added) == (2, 1)
    again = DeltaLake(str(tmp_path / "lake"))
    assert counted(again) == ROWS | {"events": 668}
    assert again.transaction("events", "movielog1-0") == STORED_OFFSET + 1
    assert again.transaction("served", "proxy-1") == SHIPPED


def test_watch_lines_past_their_time_are_deleted(lake):
    kept = maintained(lake, Policy(watch_retention_days=1), FakeClock(NOW))
    assert kept["events"].rows_deleted == 216
    assert lake.count("events", by="kind") == {"watch": 325, "rate": 108, "recommend": 18}


def test_a_day_later_nothing_is_left_to_do(lake):
    first = maintained(lake, Policy(), FakeClock(NOW + timedelta(days=1)))
    assert {table.files_removed for table in first.values()} == {0}
    assert {table.rows_deleted for table in first.values()} == {0}
