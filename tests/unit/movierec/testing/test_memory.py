"""What the in-memory ports add to the promises of their contract suites: failures on request."""

from datetime import UTC, date, datetime

import numpy as np
import pytest

from movierec.errors import ConflictError, LakeError, UnavailableError
from movierec.lake.schema import Columns
from movierec.testing.memory import FakeClock, MemoryLake, MemoryStore

USERS: Columns = {"user_id": np.array([1, 2]), "gender": ["F", None]}


def test_a_clock_moves_when_it_is_moved():
    clock = FakeClock(datetime(2026, 1, 1, tzinfo=UTC))
    clock.advance(90)
    assert clock.now() == datetime(2026, 1, 1, 0, 1, 30, tzinfo=UTC)
    clock.advance(-90)
    assert clock.now() == datetime(2026, 1, 1, tzinfo=UTC)


def test_a_store_fails_as_often_as_told_and_changes_nothing():
    store = MemoryStore({"k": b"old"}, fail_puts=2, fail_gets=1)
    for put in (store.put, store.put_if_absent):
        with pytest.raises(UnavailableError, match="k"):
            put("k", b"new")
    with pytest.raises(UnavailableError, match="k"):
        store.get("k")
    assert store.get("k") == b"old"
    store.put("k", b"new")
    assert store.get("k") == b"new"


def test_a_failed_append_changes_nothing():
    lake = MemoryLake(fail_appends=1)
    with pytest.raises(UnavailableError):
        lake.append("users", [USERS], transactions={"p": 1})
    assert lake.transaction("users", "p") is None
    assert lake.rows("users") == []
    assert lake.append("users", [USERS], transactions={"p": 1}) == 0


def test_an_append_whose_answer_is_lost_is_in():
    lake = MemoryLake(lose_answers=1)
    with pytest.raises(UnavailableError):
        lake.append("users", [USERS], transactions={"p": 1})
    assert lake.count("users") == {"": 2}


def test_after_a_lost_answer_a_writer_must_look_before_it_goes_on():
    lake = MemoryLake(lose_answers=1)
    with pytest.raises(UnavailableError):
        lake.append("users", [USERS], transactions={"p": 1})
    with pytest.raises(ConflictError):
        lake.append("users", [USERS], transactions={"p": 2})
    assert lake.transaction("users", "p") == 1
    lake.append("users", [USERS], transactions={"p": 2})


def test_reads_fail_as_often_as_told():
    lake = MemoryLake(fail_reads=3)
    for read in (lambda: lake.transaction("users", "p"), lambda: lake.count("users")):
        with pytest.raises(UnavailableError):
            read()
    with pytest.raises(UnavailableError):
        lake.version("users")
    assert lake.count("users") == {}


def test_rows_come_back_as_python_values_with_nulls_for_what_was_not_given():
    lake = MemoryLake()
    batch: Columns = {
        "served_date": np.array(["2026-11-20"], "datetime64[D]"),
        "served_at": np.array(["2026-11-20T10:15"], "datetime64[us]"),
        "movie_ids": [("a", "b")],
        "status": np.array([200], "int64"),
        "latency_ms": [1],
    }
    lake.append("served", [batch], transactions={})
    (row,) = lake.rows("served")
    assert {name: value for name, value in row.items() if value is not None} == {
        "served_date": date(2026, 11, 20),
        "served_at": datetime(2026, 11, 20, 10, 15, tzinfo=UTC),
        "movie_ids": ["a", "b"],
        "status": 200,
        "latency_ms": 1.0,
    }


def test_what_a_test_does_with_the_rows_does_not_reach_the_lake():
    lake = MemoryLake()
    lake.append("users", [USERS], transactions={})
    lake.rows("users")[0]["user_id"] = 99
    assert [row["user_id"] for row in lake.rows("users")] == [1, 2]


@pytest.mark.parametrize(
    "batch",
    [
        {"colour": ["red"]},
        {"user_id": ["one"]},
        {"user_id": [1.5]},
        {"age": [70_000]},
        {"gender": [1]},
        {"user_id": [1], "age": [20, 30]},
        {"loaded_at": [1]},
    ],
)
def test_rows_that_the_table_cannot_hold_are_refused(batch):
    lake = MemoryLake()
    with pytest.raises(LakeError, match="users"):
        lake.append("users", [batch], transactions={"p": 1})
    assert lake.transaction("users", "p") is None


def test_a_table_that_is_none_is_refused_by_name():
    with pytest.raises(LakeError, match="colours"):
        MemoryLake().count("colours")
