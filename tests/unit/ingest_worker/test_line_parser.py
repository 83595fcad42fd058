from datetime import date, datetime

import numpy as np
import polars as pl
import pytest

from ingest_worker.line_parser import parse
from ingest_worker.line_rules import validate
from movierec.lake.log_lines import Catalog, Limits, Reason, dump
from movierec.lake.schema import as_rows, dates

REQUEST = "2022-11-14T12:23:14,1,recommendation request"
CATALOG = Catalog({"gladiator+2000": 155, "61*+2001": 0, "you_+the+living+2007": 95})


NOW_US = np.datetime64("2026-11-20T10:15", "us").astype(np.int64)


def rows(*lines):
    """Return every event of the lines as dicts, in no particular order."""
    found = []
    for events in parse([line.encode() for line in lines]).events:
        event_time = events.local_us.astype("datetime64[us]")
        columns = {**events.columns, "event_time": event_time, "event_date": dates(event_time)}
        found += as_rows(
            {n: c.tolist() if isinstance(c, np.ndarray) else c for n, c in columns.items()}
        )
    return found


def reason(line, limits=None, catalog=None):
    raw = line if isinstance(line, bytes) else line.encode()
    recorded_us = np.full(1, NOW_US)
    checked = validate(parse([raw]), limits or Limits(), catalog, recorded_us)
    return next(iter(checked.reasons()), None)


def test_a_watch_line_becomes_a_row():
    assert rows("2022-11-14T12:23:13,266453,GET /data/m/you_+the+living+2007/88.mpg") == [
        {
            "kind": "watch",
            "site_time": "2022-11-14T12:23:13",
            "event_date": date(2022, 11, 14),
            "event_time": datetime(2022, 11, 14, 12, 23, 13),
            "user_id": 266453,
            "movie_id": "you_+the+living+2007",
            "minute": 88,
        }
    ]


def test_a_rate_line_without_seconds_is_at_the_full_minute():
    (row,) = rows("2022-11-14T12:24,347947,GET /rate/infernal+affairs+2002=3")
    assert row["event_time"] == datetime(2022, 11, 14, 12, 24)
    assert (row["kind"], row["movie_id"], row["rating"]) == ("rate", "infernal+affairs+2002", 3)


@pytest.mark.parametrize(
    ("fraction", "microsecond"),
    [("202", 202_000), ("967102", 967_102), ("160449866", 160_449)],
)
def test_a_recommendation_keeps_its_list_and_fraction(fraction, microsecond):
    (row,) = rows(
        f"2022-11-14T12:23:16.{fraction},60,recommendation request a.b:8082, status 200, "
        "result: l.a.+confidential+1997, you_+the+living+2007, l.a.+confidential+1997, 73 ms"
    )
    assert row["event_time"].microsecond == microsecond
    assert row["movie_ids"] == [
        "l.a.+confidential+1997",
        "you_+the+living+2007",
        "l.a.+confidential+1997",
    ]
    assert (row["status"], row["error"], row["latency_ms"]) == (200, None, 73)
    assert row["server"] == "a.b:8082"


def test_a_failed_recommendation_keeps_its_error_text():
    text = "java.net.ConnectException: Connection refused: a/128.2.205.130:8082, twice"
    (row,) = rows(
        "2023-02-19T19:52:27.036762,303299,recommendation request a:8082, status 0, "
        f"result: {text}, 25 ms"
    )
    assert (row["status"], row["movie_ids"], row["error"]) == (0, [], text)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", Reason.EMPTY),
        ("a\nb", Reason.LINE_BREAK),
        ("2022-11-14T12:23:13,1,GET /rate/gladiator+2000=4\n", Reason.LINE_BREAK),
        (b"\xff\xfe", Reason.BAD_TIME),
        ("2022-02-30T12:23:13,1,GET /rate/gladiator+2000=4", Reason.BAD_TIME),
        ("2022-11-1 4T12:23:14,1,GET /rate/gladiator+2000=4", Reason.BAD_TIME),
        ("2022-11-14T12:23:14.12,1,GET /rate/gladiator+2000=4", Reason.BAD_TIME),
        ("2022-11-14T12:23:14,1 ,GET /rate/gladiator+2000=4", Reason.BAD_USER),
        ("2022-11-14T12:23:14,0,GET /rate/gladiator+2000=4", Reason.BAD_USER),
        ("2022-11-14T12:23:14,9999999999999999999,GET /rate/a=4", Reason.BAD_USER),
        ("2022-11-14T12:23:14,1,GZET /rate/gladiator+2000=4", Reason.UNKNOWN_REQUEST),
        ("2026-02-14T10:30:03,99999,GET /create_accounts", Reason.UNKNOWN_REQUEST),
        ("2022-11-14T12:23:14,1", Reason.UNKNOWN_REQUEST),
        ("2022-11-14T12:23:14", Reason.BAD_USER),
        ("2022-11-14T12:23:14,1,GET /data/m/d ark+city+1998/56.mpg", Reason.BAD_MOVIE),
        ("2022-11-14T12:23:14,1,GET /data/m/dark+city+1998/56.Hmpg", Reason.BAD_MINUTE),
        ("2022-11-14T12:23:14,1,GET /data/m/dark+city+1998/056.mpg", Reason.BAD_MINUTE),
        ("2022-11-14T12:23:14,1,GET /data/m/dark+city+1998", Reason.BAD_MINUTE),
        ("2022-11-14T12:23:14,1,GET /data/m/" + "x" * 9_500_000 + "/5.mpg", Reason.BAD_MOVIE),
        ("2022-11-14T12:23:14,1,GET /rate/gladiator 2000=4", Reason.BAD_MOVIE),
        ("2022-11-14T12:23:14,1,GET /rate/gladiator+2000=F", Reason.BAD_RATING),
        ("2022-11-14T12:23:14,1,GET /rate/gladiator+2000", Reason.BAD_RATING),
        ("2022-11-14T12:23:14,1,GET /rate/gladiator+2000=1234567890", Reason.BAD_RATING),
        ("2022-11-14T12:23:14,1,GET /rate/gladiator+2000=04", Reason.BAD_RATING),
        (f"{REQUEST} a b, status 200, result: a, 3 ms", Reason.BAD_SERVER),
        (f"{REQUEST} , status x, result: , 3", Reason.BAD_SERVER),
        (f"{REQUEST} a, status 20O, result: , 3", Reason.BAD_STATUS),
        (f"{REQUEST} a, statu 200, result: a, 3 ms", Reason.BAD_STATUS),
        (f"{REQUEST} a, status 600, result: a, 3 ms", Reason.BAD_STATUS),
        (f"{REQUEST} a", Reason.BAD_STATUS),
        (f"{REQUEST} a, status 200, result: , 3 ms", Reason.BAD_RESULT),
        (f"{REQUEST} a, status 200, result: ['a', 'b'], 3 ms", Reason.BAD_RESULT),
        (f'{REQUEST} a, status 200, result: ["a"], 3 ms', Reason.BAD_RESULT),
        (f"{REQUEST} a, status 200, result: a b, 3 m", Reason.BAD_RESULT),
        (f"{REQUEST} a, status 200, result: a, {'x' * 1001}, 3 ms", Reason.BAD_RESULT),
        (f"{REQUEST} a, status 0, resul: a, 3 ms", Reason.BAD_RESULT),
        (f"{REQUEST} a, status 0, result: {'x' * 65_537}, 3 ms", Reason.BAD_RESULT),
        (f"{REQUEST} a, status 0, result: ".encode() + b"\xff, 3 ms", Reason.BAD_RESULT),
        (f"{REQUEST} a, status 200, result: a, b, 3 m", Reason.BAD_LATENCY),
        (f"{REQUEST} a, status 0, result: gone, 03 ms", Reason.BAD_LATENCY),
        ("1926-11-20T10:15,7,GET /rate/film+1+2001=4", Reason.TIME_OUT_OF_RANGE),
        ("2206-11-20T10:15,7,GET /rate/film+1+2001=4", Reason.TIME_OUT_OF_RANGE),
        ("9999-12-31T23:59:59.999999999,7,GET /create_account", Reason.TIME_OUT_OF_RANGE),
        ("1000-01-01T00:00,7,GET /create_account", Reason.TIME_OUT_OF_RANGE),
        ("1969-12-31T23:59:59,7,GET /data/m/seen+2001/30.mpg", Reason.TIME_OUT_OF_RANGE),
        ("2026-11-21T10:15:00.000001,7,GET /create_account", Reason.TIME_OUT_OF_RANGE),
        ("2206-11-20T10:15,1000001,GET /rate/film+1+2001=40", Reason.TIME_OUT_OF_RANGE),
        ("2022-11-14T12:23:14,1000001,GET /rate/a=4", Reason.USER_OUT_OF_RANGE),
        ("2022-11-14T12:23:14,1,GET /rate/a=15", Reason.RATING_OUT_OF_RANGE),
        ("2022-11-14T12:23:14,1,GET /rate/a=0", Reason.RATING_OUT_OF_RANGE),
    ],
)
def test_what_is_wrong_is_named(line, expected):
    assert reason(line) == expected


def test_every_reason_is_reached_by_some_test():
    """The tables of this module, duplicates, what only older code gave, and what is no line."""
    table = test_what_is_wrong_is_named.pytestmark[0].args[1]
    catalog = {Reason.UNKNOWN_MOVIE, Reason.MINUTE_OUT_OF_RANGE, Reason.DUPLICATE}
    reached = {expected for _, expected in table} | catalog
    assert reached | {Reason.BAD_RECOMMENDATION, Reason.OFFSETS_EXPIRED} == set(Reason)
    assert Reason.BAD_RECOMMENDATION not in reached


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("2022-11-14T12:23:14,1,GET /data/m/gladiator+2000/156.mpg", None),
        ("2022-11-14T12:23:14,1,GET /data/m/gladiator+2000/157.mpg", Reason.MINUTE_OUT_OF_RANGE),
        ("2022-11-14T12:23:14,1,GET /data/m/61*+2001/4000.mpg", None),
        ("2022-11-14T12:23:14,1,GET /data/m/aDdjc1gioFamIk7/86.mpg", Reason.UNKNOWN_MOVIE),
        ("2022-11-14T12:23:14,1,GET /rate/gladiator+20001=4", Reason.UNKNOWN_MOVIE),
        (
            "2022-11-14T12:23:14,1,recommendation request a, status 200, "
            "result: gladiator+2000, gladator+2000, 3 ms",
            Reason.UNKNOWN_MOVIE,
        ),
        ("2022-11-14T12:23:14,1,recommendation request a, status 0, result: gone, 3 ms", None),
    ],
)
def test_a_loaded_catalog_is_held_against_every_movie(line, expected):
    assert reason(line, catalog=CATALOG) == expected


def test_ranges_are_settings():
    line = "2026-02-14T00:09:21,1000001,GET /rate/a=7"
    assert reason(line, Limits(max_user_id=2_000_000, max_rating=10)) is None


@pytest.mark.parametrize(
    ("limits", "rating", "expected"),
    [
        (Limits(min_rating=0, max_rating=10), 0, None),
        (Limits(min_rating=1, max_rating=10), 0, Reason.RATING_OUT_OF_RANGE),
        (Limits(min_rating=1, max_rating=10), 10, None),
        (Limits(min_rating=0, max_rating=10), 123_456_789, Reason.RATING_OUT_OF_RANGE),
    ],
)
def test_the_rating_scale_is_a_setting(limits, rating, expected):
    assert reason(f"2026-09-14T10:20:07,70011,GET /rate/harbour+1987={rating}", limits) == expected


@pytest.mark.parametrize(
    "line", ["2026-11-21T10:15", "2000-01-01T00:00", "2026-11-20T23:15:00.500"]
)
def test_a_time_between_the_earliest_and_a_day_after_the_record_is_plausible(line):
    assert reason(f"{line},7,GET /rate/film+1+2001=4") is None


def test_the_earliest_plausible_time_is_a_setting():
    line = "1999-12-31T23:59:59,7,GET /create_account"
    assert reason(line) == Reason.TIME_OUT_OF_RANGE
    assert reason(line, Limits(earliest=date(1999, 12, 31))) is None


def test_a_new_account_is_an_event():
    (row,) = rows("2026-09-14T09:03:11.402,70011,GET /create_account")
    assert row == {
        "kind": "create_account",
        "site_time": "2026-09-14T09:03:11.402",
        "user_id": 70011,
        "event_time": datetime(2026, 9, 14, 9, 3, 11, 402_000),
        "event_date": date(2026, 9, 14),
    }


@pytest.mark.parametrize("end", ["\r", "\r\n", " ", "\t \r\n", " \r"])
@pytest.mark.parametrize("start", ["", " ", "\t "])
def test_blanks_around_a_line_and_a_carriage_return_after_it_do_not_count(start, end):
    line = "2026-11-20T10:15,7,GET /data/m/film+1+2001/5.mpg"
    assert rows(f"{start}{line}{end}") == rows(line)
    assert reason(f"{start}{end}") == Reason.EMPTY


def test_the_lines_themselves_stay_as_they_came():
    lines = pl.Series([b"2026-11-20T10:15,7,GET /create_account\r\n", b"\xff", b"x\r"])
    before = lines.to_list()
    parse(lines)
    assert lines.to_list() == before


def test_a_name_may_begin_and_end_with_any_bracket_of_its_own():
    (row,) = rows(f"{REQUEST} a, status 200, result: [rec]+2007, (500)+days+2009, 3 ms")
    assert row["movie_ids"] == ["[rec]+2007", "(500)+days+2009"]


def test_a_line_break_inside_a_line_shifts_no_other():
    good = b"2022-11-14T12:23:14,1,GET /rate/a=4"
    parsed = parse([good, b"x\ny", good])
    assert (parsed.rejected.tolist(), parsed.reasons().to_list()) == ([1], [Reason.LINE_BREAK])
    assert parsed.events[1].lines.tolist() == [0, 2]


@pytest.mark.parametrize(
    "line",
    [
        "2022-11-14T12:24,232596,GET /data/m/fight+club+1999/128.mpg",
        "2022-11-14T12:24:01,232596,GET /rate/fight+club+1999=5",
        "2022-11-14T12:24:00.120,1,recommendation request a:1, status 200, result: b, c, 1 ms",
        "2022-11-14T12:24:00.000120,1,recommendation request a:1, status 0, result: b, c, 1 ms",
        "2022-11-14T12:24:00.120,1,GET /create_account",
    ],
)
@pytest.mark.parametrize("has_text", [True, False])
def test_dump_gives_the_site_s_line_back(line, has_text):
    (row,) = rows(line)
    assert dump(row if has_text else row | {"site_time": None}) == line


def test_dump_keeps_the_site_s_nanoseconds():
    line = "2022-11-14T12:24:00.120000007,1,GET /create_account"
    assert dump(*rows(line)) == line
