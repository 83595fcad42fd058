from datetime import date, datetime

import numpy as np
import pytest

from movierec.lake.log_lines import Catalog, Limits, Reason, dump, parse, validate

CATALOG = Catalog({"gladiator+2000": 155, "61*+2001": 0, "you_+the+living+2007": 95})


def rows(*lines):
    """Return every event of the lines as dicts, in no particular order."""
    found = []
    for events in parse([line.encode() for line in lines]).events:
        names = list(events.columns)
        values = (
            column.tolist() if isinstance(column, np.ndarray) else column
            for column in events.columns.values()
        )
        found += [dict(zip(names, row, strict=True)) for row in zip(*values, strict=True)]
    return found


def reason(line, limits=None, catalog=None):
    raw = line if isinstance(line, bytes) else line.encode()
    return validate(parse([raw]), limits or Limits(), catalog).rejected.get(0)


def test_a_watch_line_becomes_a_row():
    assert rows("2022-11-14T12:23:13,266453,GET /data/m/you_+the+living+2007/88.mpg") == [
        {
            "kind": "watch",
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
        ("2026-02-14T10:30:03,99999,GET /create_account", Reason.UNKNOWN_REQUEST),
        ("2022-11-14T12:23:14,1,GET /data/m/d ark+city+1998/56.mpg", Reason.BAD_MOVIE),
        ("2022-11-14T12:23:14,1,GET /data/m/dark+city+1998/56.Hmpg", Reason.BAD_MINUTE),
        ("2022-11-14T12:23:14,1,GET /data/m/dark+city+1998/056.mpg", Reason.BAD_MINUTE),
        ("2022-11-14T12:23:14,1,GET /rate/gladiator+2000=F", Reason.BAD_RATING),
        ("2022-11-14T12:23:14,1,GET /rate/gladiator+2000=04", Reason.BAD_RATING),
        (
            "2022-11-14T12:23:14,1,recommendation request a, status 200, result: , 3 ms",
            Reason.BAD_RECOMMENDATION,
        ),
        ("2022-11-14T12:23:14,1000001,GET /rate/a=4", Reason.USER_OUT_OF_RANGE),
        ("2022-11-14T12:23:14,1,GET /rate/a=15", Reason.RATING_OUT_OF_RANGE),
        ("2022-11-14T12:23:14,1,GET /rate/a=0", Reason.RATING_OUT_OF_RANGE),
    ],
)
def test_what_is_wrong_is_named(line, expected):
    assert reason(line) == expected


def test_every_reason_is_reached_by_some_test():
    """The tables of this module, and the duplicates that the worker finds, cover them all."""
    table = test_what_is_wrong_is_named.pytestmark[0].args[1]
    catalog = {Reason.UNKNOWN_MOVIE, Reason.MINUTE_OUT_OF_RANGE, Reason.DUPLICATE}
    assert {expected for _, expected in table} | catalog == set(Reason)


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


def test_a_line_break_inside_a_line_shifts_no_other():
    good = b"2022-11-14T12:23:14,1,GET /rate/a=4"
    parsed = parse([good, b"x\ny", good])
    assert parsed.rejected == {1: Reason.LINE_BREAK}
    assert parsed.events[1].lines.tolist() == [0, 2]


@pytest.mark.parametrize(
    "line",
    [
        "2022-11-14T12:24,232596,GET /data/m/fight+club+1999/128.mpg",
        "2022-11-14T12:24:01,232596,GET /rate/fight+club+1999=5",
        "2022-11-14T12:24:00.120,1,recommendation request a:1, status 200, result: b, c, 1 ms",
        "2022-11-14T12:24:00.000120,1,recommendation request a:1, status 0, result: b, c, 1 ms",
    ],
)
def test_dump_gives_the_site_s_line_back(line):
    (row,) = rows(line)
    assert dump(row) == line
