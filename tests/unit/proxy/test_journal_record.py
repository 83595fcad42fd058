import json
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from movierec.lake.schema import SERVED, length
from movierec.lake.served import Served
from movierec.testing.memory import MemoryLake
from proxy.journal_record import from_line, to_columns, to_line

RECORD = Served(
    served_at_us=1_795_169_700_000_000,
    recommendation_id="r1",
    user_id=42,
    movie_ids=("a+1999", "b+2000"),
    model_version="m1",
    function_version="7",
    source="model",
    status=200,
    latency_ms=12.5,
    detail='{"v":1,"known_user":true}',
)

records = st.builds(
    Served,
    served_at_us=st.integers(0, 2**62),
    recommendation_id=st.text(),
    user_id=st.integers(1, 2**31 - 1),
    movie_ids=st.lists(st.text(), max_size=20).map(tuple),
    model_version=st.text(),
    function_version=st.text(),
    source=st.sampled_from(["model", "popular", "fallback"]),
    status=st.just(200),
    latency_ms=st.floats(0, 1e6),
    detail=st.none() | st.text(),
)


@given(st.integers(0, 2**63 - 1), records)
def test_a_record_comes_back_from_its_line(sequence, record):
    line = to_line(sequence, record)
    assert line.count(b"\n") == 1
    assert from_line(line) == (sequence, record)


@pytest.mark.parametrize("cut", [1, 10, 100, -1, -2])
def test_a_torn_line_is_no_record(cut):
    assert from_line(to_line(1, RECORD)[: cut - 1]) is None


@pytest.mark.parametrize(
    "damage",
    [
        {"user_id": "42"},
        {"user_id": True},
        {"sequence": -1},
        {"sequence": 2**63},
        {"status": 70_000},
        {"movie_ids": None},
        {"movie_ids": [1]},
        {"latency_ms": "12"},
        {"source": None},
        {"detail": 0},
        {"detail": {"v": 1}},
        {"colour": "red"},
    ],
)
def test_a_line_with_a_wrong_field_is_no_record(damage):
    fields = json.loads(to_line(1, RECORD))
    assert from_line(json.dumps(fields | damage).encode()) is None


@given(st.binary(max_size=100))
def test_no_line_raises(line):
    from_line(line)


@pytest.mark.parametrize("line", [b"", b"[]", b"1", b"null", b"\x00" * 40, b"{}"])
def test_json_that_is_no_object_of_ours_is_no_record(line):
    assert from_line(line) is None


def test_a_batch_fills_every_column_of_the_lake_s_table():
    columns = to_columns([RECORD, replace(RECORD, user_id=43)])
    assert set(columns) == set(SERVED.columns)
    assert length(columns) == 2


def test_a_row_in_the_lake_says_what_the_record_says():
    lake = MemoryLake()
    lake.append("served", [to_columns([RECORD])], transactions={})
    assert lake.rows("served") == [
        {
            "served_date": date(2026, 11, 20),
            "served_at": datetime(2026, 11, 20, 10, 15, tzinfo=UTC),
            "recommendation_id": "r1",
            "user_id": 42,
            "movie_ids": ["a+1999", "b+2000"],
            "model_version": "m1",
            "function_version": "7",
            "source": "model",
            "status": 200,
            "latency_ms": 12.5,
            "detail": '{"v":1,"known_user":true}',
        }
    ]


def test_a_line_without_a_detail_is_that_of_before():
    fields = json.loads(to_line(1, replace(RECORD, detail=None)))
    assert "detail" not in fields
    assert from_line(json.dumps(fields | {"detail": None}).encode()) == (
        1,
        replace(RECORD, detail=None),
    )
