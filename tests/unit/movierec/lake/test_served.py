"""Served recommendations as rows of the lake."""

from movierec.lake import served
from tests.unit.movierec.provenance.example import AT, MODEL, MOVIES, SERVED


def test_a_row_of_the_lake_is_a_recommendation() -> None:
    row = {
        "served_at": AT.replace(tzinfo=None),
        "recommendation_id": "id-1",
        "user_id": 7,
        "movie_ids": list(MOVIES),
        "model_version": MODEL,
        "function_version": "12",
        "source": "model",
        "status": 200,
        "latency_ms": 8.25,
    }

    assert served.from_row(row) == SERVED


def test_nulls_of_the_lake_are_empty_values() -> None:
    row = dict.fromkeys(("recommendation_id", "movie_ids", "model_version", "function_version"))
    rest = {"served_at": AT, "user_id": 7, "source": "fallback", "status": None, "latency_ms": None}

    found = served.from_row({**row, **rest})

    assert (found.movie_ids, found.model_version, found.function_version) == ((), "", "")


def test_a_detail_is_read_and_null_is_none() -> None:
    row = {"served_at": AT, "user_id": 7, "movie_ids": [], "status": 200, "latency_ms": 1.0}
    blank = dict.fromkeys(("recommendation_id", "model_version", "function_version", "source"))

    for detail in ('{"v":1}', None):
        assert served.from_row({**row, **blank, "detail": detail}).detail == detail
