"""What happened lately: one suite for the lake in memory and for Delta tables in a folder."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from movierec.aws.delta_activity import DeltaActivity
from movierec.aws.delta_lake import DeltaLake
from movierec.errors import UnavailableError
from movierec.lake.activity import Answers, Exposure, LineCount, ServedGroup, Window
from movierec.testing.memory import MemoryLake
from movierec.testing.memory_activity import MemoryActivity

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
HOUR = Window(NOW - timedelta(hours=1), NOW)


def at(minutes_ago: float) -> np.datetime64:
    return np.datetime64((NOW - timedelta(minutes=minutes_ago)).replace(tzinfo=None), "us")


def day(minutes_ago: float) -> date:
    return (NOW - timedelta(minutes=minutes_ago)).date()


def column(values: list[Any], kind: str) -> Any:
    return np.array(values, kind)


def requests(*each: tuple[float, int, int]) -> dict[str, Any]:
    """Return lines of requests: minutes ago, status, milliseconds."""
    return {
        "kind": ["recommend"] * len(each),
        "event_date": column([day(one[0]) for one in each], "datetime64[D]"),
        "event_time": column([at(one[0]) for one in each], "datetime64[us]"),
        "user_id": column([7] * len(each), "int64"),
        "status": column([one[1] for one in each], "int16"),
        "latency_ms": column([one[2] for one in each], "int32"),
    }


def viewings(*each: tuple[float, int, str, int]) -> dict[str, Any]:
    """Return lines of viewings: minutes ago, user, movie, minute."""
    return {
        "kind": ["watch"] * len(each),
        "event_date": column([day(one[0]) for one in each], "datetime64[D]"),
        "event_time": column([at(one[0]) for one in each], "datetime64[us]"),
        "user_id": column([one[1] for one in each], "int64"),
        "movie_id": [one[2] for one in each],
        "minute": column([one[3] for one in each], "int32"),
    }


def served(*each: tuple[float, int, list[str], str, str]) -> dict[str, Any]:
    """Return what was served: minutes ago, user, movies, model, source."""
    return {
        "served_date": column([day(one[0]) for one in each], "datetime64[D]"),
        "served_at": column([at(one[0]) for one in each], "datetime64[us]"),
        "recommendation_id": [f"id-{i}" for i in range(len(each))],
        "user_id": column([one[1] for one in each], "int64"),
        "movie_ids": [one[2] for one in each],
        "model_version": [one[3] for one in each],
        "function_version": ["12" if one[4] != "fallback" else "" for one in each],
        "source": [one[4] for one in each],
        "status": column([200] * len(each), "int16"),
        "latency_ms": column([9.5] * len(each), "float64"),
    }


def quarantined(*each: tuple[float, str, bytes]) -> dict[str, Any]:
    return {
        "quarantined_date": column([day(one[0]) for one in each], "datetime64[D]"),
        "ingested_at": column([at(one[0]) for one in each], "datetime64[us]"),
        "reason": [one[1] for one in each],
        "raw": [one[2] for one in each],
        "kafka_partition": column([0] * len(each), "int32"),
        "kafka_offset": column(list(range(len(each))), "int64"),
    }


@pytest.fixture(params=["memory", "delta"])
def lake(request, tmp_path):
    return MemoryLake() if request.param == "memory" else DeltaLake(str(tmp_path))


@pytest.fixture
def activity(lake):
    return MemoryActivity(lake) if isinstance(lake, MemoryLake) else DeltaActivity(lake)


def test_an_empty_lake_has_no_activity(activity):
    assert activity.answers(HOUR) == Answers(0, 0)
    assert activity.answers(HOUR).availability is None
    assert list(activity.answers_by_slot(HOUR)) == []
    assert list(activity.served(HOUR)) == []
    assert list(activity.lines(HOUR)) == []
    assert list(activity.quarantined(HOUR.since, 2)) == []
    assert list(activity.served_to(7, 5)) == []
    assert list(activity.did(7, 5)) == []
    assert activity.profile(7) is None
    assert activity.movie("a+1999") is None
    assert list(activity.exposure("a+1999", HOUR)) == []
    assert activity.titles({"a+1999"}) == {}


def test_answers_are_counted_in_the_window_alone(lake, activity):
    lake.append(
        "events",
        [requests((61, 500, 1), (30, 200, 40), (29, 200, 40), (2, 200, 40), (1, 503, 900))],
        transactions={},
    )

    found = activity.answers(HOUR)

    assert (found.requests, found.ok, found.availability) == (4, 3, 0.75)
    assert (found.p50_ms, found.p95_ms, found.p99_ms) == (40, 40, 40)


def test_quantiles_are_of_answers_with_status_200(lake, activity):
    lines = [(10.0, 200, ms) for ms in range(1, 101)] + [(10.0, 500, 10_000)]
    lake.append("events", [requests(*lines)], transactions={})

    found = activity.answers(HOUR)

    assert found.p50_ms == pytest.approx(50, abs=1.5)
    assert found.p95_ms == pytest.approx(95, abs=1.5)
    assert found.p99_ms == pytest.approx(99, abs=1.5)


def test_slots_without_requests_are_left_out(lake, activity):
    lake.append(
        "events", [requests((30.5, 200, 8), (30.2, 500, 8), (2.5, 200, 8))], transactions={}
    )

    found = activity.answers_by_slot(HOUR)

    assert [(one.at, one.requests, one.ok) for one in found] == [
        (NOW - timedelta(minutes=31), 2, 1),
        (NOW - timedelta(minutes=3), 1, 1),
    ]


def test_served_recommendations_are_grouped_by_version_model_and_source(lake, activity):
    rows = served(
        (61, 7, ["a"], "m1", "model"),
        (5, 7, ["a"], "m1", "model"),
        (4, 8, ["a"], "m1", "model"),
        (3, 9, ["a"], "m1", "fallback"),
    )
    lake.append("served", [rows], transactions={})

    assert list(activity.served(HOUR)) == [
        ServedGroup("12", "m1", "model", 2),
        ServedGroup("", "m1", "fallback", 1),
    ]


def test_lines_are_counted_by_slot_and_kind(lake, activity):
    lake.append(
        "events",
        [requests((5.5, 200, 8)), viewings((5.5, 7, "a", 1), (5.4, 7, "a", 2), (1.5, 7, "a", 6))],
        transactions={},
    )

    assert list(activity.lines(HOUR)) == [
        LineCount(NOW - timedelta(minutes=6), "recommend", 1),
        LineCount(NOW - timedelta(minutes=6), "watch", 2),
        LineCount(NOW - timedelta(minutes=2), "watch", 1),
    ]


def test_quarantine_has_the_newest_lines_as_examples(lake, activity):
    rows = quarantined(
        (90, "malformed", b"old"),
        (9, "malformed", b"one"),
        (8, "malformed", b"two \xff"),
        (7, "malformed", b"three"),
        (6, "unknown_movie", b"film"),
    )
    lake.append("quarantine", [rows], transactions={})

    malformed, unknown = activity.quarantined(HOUR.since, 2)

    assert (malformed.reason, malformed.lines) == ("malformed", 3)
    assert malformed.examples == (b"three", b"two \xff")
    assert malformed.oldest == NOW - timedelta(minutes=9)
    assert malformed.newest == NOW - timedelta(minutes=7)
    assert (unknown.reason, unknown.lines, unknown.examples) == ("unknown_movie", 1, (b"film",))


def test_a_users_lists_come_newest_first(lake, activity):
    rows = served(
        (9, 7, ["a", "b"], "m1", "model"),
        (3, 7, ["c"], "m2", "popular"),
        (2, 8, ["d"], "m2", "model"),
        (50, 7, ["e"], "m0", "model"),
    )
    lake.append("served", [rows], transactions={})

    found = activity.served_to(7, 2)

    assert [one.movie_ids for one in found] == [("c",), ("a", "b")]
    assert found[0].served_at == NOW - timedelta(minutes=3)


def test_what_a_user_did_is_a_row_a_movie_and_day(lake, activity):
    lake.append(
        "events",
        [
            viewings((30, 7, "a", 1), (20, 7, "a", 11), (10, 7, "b", 3), (5, 8, "a", 90)),
            {**viewings((1, 7, "a", 0)), "kind": ["rate"], "minute": [None], "rating": [4]},
        ],
        transactions={},
    )

    found = activity.did(7, 10)

    assert [(r["kind"], r["movie_id"], r["minute"], r["rating"]) for r in found] == [
        ("rate", "a", None, 4),
        ("watch", "b", 3, None),
        ("watch", "a", 11, None),
    ]
    assert found[0]["event_time"] == NOW - timedelta(minutes=1)
    assert len(activity.did(7, 1)) == 1


def test_profile_and_movie_are_what_was_loaded_last(lake, activity):
    loaded = column([at(9), at(3)], "datetime64[us]")
    ages = column([20, 21], "int16")
    users = {"user_id": column([7, 7], "int64"), "age": ages, "loaded_at": loaded}
    movies = {"movie_id": ["it's+1999"] * 2, "title": ["Old", "It's"], "loaded_at": loaded}
    lake.append("users", [users], transactions={})
    lake.append("movies", [movies], transactions={})

    profile, movie = activity.profile(7), activity.movie("it's+1999")

    assert profile is not None
    assert profile["age"] == 21
    assert movie is not None
    assert movie["title"] == "It's"
    assert activity.titles({"it's+1999", "none"}) == {"it's+1999": "It's"}


def test_exposure_is_by_model_with_those_who_watched(lake, activity):
    rows = served(
        (30, 7, ["a", "b"], "m1", "model"),
        (29, 7, ["b", "a"], "m1", "model"),
        (28, 8, ["a"], "m1", "model"),
        (27, 9, ["a"], "m2", "model"),
        (26, 9, ["b"], "m2", "model"),
    )
    lake.append("served", [rows], transactions={})
    lake.append("events", [viewings((20, 7, "a", 1), (19, 9, "b", 1))], transactions={})

    first, second = activity.exposure("a", HOUR)

    assert (first.model_version, first.lists, first.users, first.watched) == ("m1", 3, 2, 1)
    assert first.mean_rank == pytest.approx(4 / 3)
    assert second == Exposure("m2", 1, 1, 1.0, 0)


def test_a_lake_that_does_not_answer_is_unavailable():
    lake = MemoryLake(fail_reads=1)
    with pytest.raises(UnavailableError):
        MemoryActivity(lake).answers(HOUR)
    assert MemoryActivity(lake).answers(HOUR).requests == 0


@pytest.mark.parametrize(
    ("hours", "slot_s"), [(1, 60), (6, 300), (24, 3_600), (24 * 7, 21_600), (24 * 365, 86_400)]
)
def test_a_window_has_slots_for_a_chart(hours, slot_s):
    window = Window(NOW - timedelta(hours=hours), NOW)

    assert window.slot_s == slot_s
    slots = window.slots()
    assert slots[0] <= window.since
    assert slots[-1] < window.until <= slots[-1] + timedelta(seconds=slot_s)
