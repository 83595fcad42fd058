"""The declared schema agrees with whoever reads or writes an interface."""

import re
import sqlite3
from typing import Any

import numpy as np
import pytest
from chalicelib.service import Answer

from ingest_worker import line_parser, line_rules
from movierec import api_contract
from movierec.lake.catalog import parse_movies, parse_users
from movierec.lake.log_lines import Limits
from movierec.lake.schema import as_rows
from movierec.model.rating_scale import NATIVE, RatingScale
from movierec.quality import interfaces
from movierec.runtime.clock import SystemClock
from tests.unit.chalice_app.test_responder import REQUEST, Bench

HEAD = "2026-11-20T10:15:13,"
LINES = [
    "7,GET /data/m/toy+story+1995/0.mpg",
    "1,GET /data/m/a:smile/999999999.mpg",
    "999999,GET /rate/toy+story+1995=5",
    "3,GET /rate/x=1",
    "4,GET /create_account",
    "5,recommendation request server:8082, status 200, result: a, b, c, 25 ms",
    "5,recommendation request server:8082, status 0, result: java.net.SocketException, 800 ms",
    "5,recommendation request server:8082, status 503, result: busy, 3 ms",
]


def accepted(lines, limits=Limits()):  # noqa: B008  frozen
    raw = [(HEAD + line).encode() for line in lines]
    parsed = line_parser.parse(line_parser.binary(raw))
    recorded = np.full(len(lines), 2**60, np.int64)
    checked = line_rules.validate(parsed, limits, None, recorded)
    return [row for events in checked.events for row in as_rows(events.columns)]


def test_every_line_that_ingest_accepts_is_as_declared():
    rows = accepted(LINES)
    assert len(rows) == len(LINES)
    for row in ({**row, "event_time": 1} for row in rows):
        kind = "watch" if row.get("minute") is not None else ""
        kind = kind or ("rate" if row.get("rating") is not None else "")
        kind = kind or ("recommend" if row.get("status") is not None else "create_account")
        assert interfaces.faults(interfaces.events(NATIVE)[kind], row) == {}


@pytest.mark.parametrize(
    ("line", "kind", "row", "field"),
    [
        ("0,GET /rate/x=5", "rate", {"user_id": 0, "movie_id": "x", "rating": 5}, "user_id"),
        ("7,GET /rate/x=6", "rate", {"user_id": 7, "movie_id": "x", "rating": 6}, "rating"),
        ("7,GET /rate/x=0", "rate", {"user_id": 7, "movie_id": "x", "rating": 0}, "rating"),
        ("7,GET /rate/a b=5", "rate", {"user_id": 7, "movie_id": "a b", "rating": 5}, "movie_id"),
        (
            f"7,GET /rate/{'x' * 1001}=5",
            "rate",
            {"user_id": 7, "movie_id": "x" * 1001, "rating": 5},
            "movie_id",
        ),
        (
            "7,GET /data/m/x/-1.mpg",
            "watch",
            {"user_id": 7, "movie_id": "x", "minute": -1},
            "minute",
        ),
    ],
)
def test_what_breaks_the_declaration_is_refused_by_ingest(line, kind, row, field):
    assert accepted([line]) == []
    wrong = interfaces.faults(interfaces.events(NATIVE)[kind], {**row, "event_time": 1})
    assert list(wrong) == [field]


def test_a_rating_is_declared_on_the_scale_of_the_site():
    row = {"event_time": 1, "user_id": 7, "movie_id": "x", "rating": 9}
    assert interfaces.faults(interfaces.events(RatingScale(1, 10))["rate"], row) == {}
    assert interfaces.faults(interfaces.events(NATIVE)["rate"], row) == {"rating": "range"}


MOVIE = {
    "id": "toy+story+1995",
    "title": "Toy Story",
    "runtime": 81,
    "adult": "False",
    "genres": [{"id": 16, "name": "Animation"}],
    "release_date": "1995-10-30",
    "vote_average": "7.7",
    "vote_count": 5415,
    "popularity": "21.946943",
}
USER = {"user_id": 110149, "age": 32, "occupation": "artist", "gender": "M"}


def test_answers_of_the_site_as_they_are_fit_and_are_kept_whole():
    assert interfaces.faults(interfaces.SITE_MOVIE, MOVIE) == {}
    assert interfaces.faults(interfaces.SITE_USER, USER) == {}
    movie = as_rows(parse_movies([MOVIE], SystemClock().now()).columns)[0]
    user = as_rows(parse_users([USER], SystemClock().now()).columns)[0]
    assert interfaces.faults(interfaces.MOVIES, movie) == {}
    assert interfaces.faults(interfaces.USERS, user) == {}


@pytest.mark.parametrize(
    ("field", "value", "fault", "stored"),
    [
        ("runtime", "long", "type", ("runtime_minutes", 0)),
        ("runtime", 100_001, "range", ("runtime_minutes", 0)),
        ("adult", "perhaps", "type", ("adult", -1)),
        ("vote_average", -1, "range", ("vote_average", None)),
        ("genres", 7, "type", ("genres", [])),
    ],
)
def test_a_field_that_breaks_the_declaration_is_read_as_unknown(field, value, fault, stored):
    found = {**MOVIE, field: value}
    assert interfaces.faults(interfaces.SITE_MOVIE, found) == {field: fault}
    (row,) = as_rows(parse_movies([found], SystemClock().now()).columns)
    assert row[stored[0]] == stored[1]
    assert interfaces.faults(interfaces.MOVIES, row) == {}


@pytest.mark.parametrize(("age", "fault"), [(-3, "range"), (121, "range"), ([], "type")])
def test_an_age_that_breaks_the_declaration_is_read_as_unknown(age, fault):
    found = {**USER, "age": age}
    assert interfaces.faults(interfaces.SITE_USER, found) == {"age": fault}
    assert as_rows(parse_users([found], SystemClock().now()).columns)[0]["age"] == -1


def test_our_own_answer_is_as_declared():
    answer = Answer(200, "a,b", user_id=7, source="model", model_version="m1")
    bench = Bench()
    response = bench.responder.respond(REQUEST, bench.answering(answer))
    assert (
        interfaces.faults(interfaces.RECOMMEND, {**response.headers, "body": response.body}) == {}
    )


@pytest.mark.parametrize(
    ("field", "value", "fault"),
    [
        ("body", "", "missing"),
        ("body", "a, b", "format"),
        ("body", ",".join(map(str, range(21))), "format"),
        (api_contract.CONTENT_TYPE, "text/html", "range"),
        (api_contract.RECOMMENDATION_SOURCE, "guess", "range"),
        (api_contract.FUNCTION_VERSION, "x", "format"),
        (api_contract.MODEL_VERSION, 7, "type"),
    ],
)
def test_an_answer_of_ours_that_breaks_the_declaration_is_named(field, value, fault):
    bench = Bench()
    answer = Answer(200, "a,b", user_id=7, source="model", model_version="m1")
    response = bench.responder.respond(REQUEST, bench.answering(answer))
    broken = {**response.headers, "body": response.body, field: value}
    assert interfaces.faults(interfaces.RECOMMEND, broken) == {field: fault}


def test_what_sql_counts_is_what_the_declaration_says_row_by_row():
    rng = np.random.default_rng(1)
    interface = interfaces.events(NATIVE)["rate"]
    values: dict[str, list[Any]] = {
        "event_time": [1, None],
        "user_id": [1, 7, 0, None],
        "movie_id": ["x", None],
        "rating": [0, 1, 5, 6, None],
    }
    rows = [{n: v[int(rng.integers(len(v)))] for n, v in values.items()} for _ in range(200)]
    database = sqlite3.connect(":memory:")
    database.execute(f"create table events ({', '.join(values)})")
    database.executemany(
        "insert into events values (?, ?, ?, ?)", [tuple(r.values()) for r in rows]
    )
    cursor = database.execute(
        re.sub(r"as double\)", "as real)", interfaces.sql(interface, "events"))
    )
    names = [column[0] for column in cursor.description]
    found = interfaces.values(interface, dict(zip(names, cursor.fetchone(), strict=True)))
    database.close()
    assert found["rows"] == 200
    for name, counted in found["fields"].items():
        wrong = [interfaces.faults(interface, row).get(name) for row in rows]
        assert counted["violations"] == sum(fault is not None for fault in wrong)
        assert counted["missing"] == wrong.count("missing")
    assert (found["fields"]["rating"]["lowest"], found["fields"]["rating"]["highest"]) == (0, 6)
