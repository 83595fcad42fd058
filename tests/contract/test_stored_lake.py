"""A lake that earlier code wrote, read and grown by the present code."""

import numpy as np
import pytest

from movierec.aws.delta_lake import DeltaLake
from movierec.aws.lake_catalog import LakeCatalog
from movierec.lake.schema import MOVIES, TABLES, Columns
from tests.contract import stored_before
from tests.contract.stored_before import (
    NOW,
    ROWS,
    counted,
)


@pytest.fixture
def lake(tmp_path):
    return stored_before.lake(tmp_path / "lake")


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
