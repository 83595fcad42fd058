"""The fast parser is total, and gives what its specification gives."""

import re
from datetime import date, datetime

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ingest_worker.line_parser import parse
from ingest_worker.line_rules import validate
from movierec.lake.log_lines import Catalog, Limits, dump
from movierec.lake.schema import as_rows
from tests.property import line_parser_specification as specification

TIME = st.datetimes().map(lambda t: t.isoformat()) | st.builds(
    "{:04}-{:02}-{:02}T{:02}:{:02}{}".format,
    st.integers(990, 9999),
    st.integers(0, 13),
    st.integers(0, 32),
    st.integers(0, 24),
    st.integers(0, 60),
    st.sampled_from(["", ":00", ":59", ":60", ":07.1", ":07.012", ":07.012345", ":07.012345678"]),
)
MOVIE = (
    st.from_regex(r"[a-z0-9+.*'_-]{1,20}", fullmatch=True)
    | st.from_regex(r"[!-~]{1,6}", fullmatch=True)
    | st.sampled_from(["a", "seen+2001", "[rec]+2007", "x" * 1000, "x" * 1001])
)
USER = st.integers(1, 10**18 - 1) | st.integers(0, 2 * 10**6) | st.integers(10**17, 10**20)
NUMBER = st.integers(0, 5000) | st.integers(10**7, 10**10) | st.sampled_from(["", "00", "7.5", "x"])
WATCH = st.builds("{},{},GET /data/m/{}/{}.mpg".format, TIME, USER, MOVIE, NUMBER)
RATE = st.builds("{},{},GET /rate/{}={}".format, TIME, USER, MOVIE, NUMBER)
ACCOUNT = st.builds("{},{},GET /create_account".format, TIME, USER)
IDS = st.lists(MOVIE, min_size=1, max_size=25).map(", ".join)
RESULT = IDS | st.lists(MOVIE, max_size=3).map(str) | st.text(max_size=30)
RECOMMEND = st.builds(
    "{},{},recommendation request {}, status {}, result: {}, {} ms".format,
    TIME,
    USER,
    st.sampled_from(["team:8082", "a", "", "two words", "s" * 1000, "s" * 1001]),
    st.sampled_from([200, 0, 502, 404, 99, 600, "", "0200"]),
    RESULT,
    NUMBER,
)
GOOD_TIME = st.datetimes().filter(lambda t: t.year >= 1000).map(lambda t: t.isoformat())
GOOD = st.one_of(
    st.builds(
        "{},{},GET /data/m/{}/{}.mpg".format,
        GOOD_TIME,
        st.integers(1, 10**18 - 1),
        st.from_regex(r"[a-z0-9+.*'_-]{1,20}", fullmatch=True),
        st.integers(0, 10**9 - 1),
    ),
    st.builds("{},{},GET /rate/seen+2001={}".format, GOOD_TIME, USER, st.integers(0, 20)),
    st.builds("{},{},GET /create_account".format, GOOD_TIME, st.integers(1, 10**6)),
    st.builds(
        "{},7,recommendation request a.b:8082, status {}, {} ms".format,
        GOOD_TIME,
        st.sampled_from(["200, result: a, seen+2001, a", "0, result: gone, 5 ms", "500, result: "]),
        st.integers(0, 5000),
    ),
)
TEXT_LINE = (
    (GOOD | WATCH | RATE | ACCOUNT | RECOMMEND)
    .filter(lambda line: not specification.is_no_unicode(line))
    .map(str.encode)
)
END = st.sampled_from([b"\r", b"\r\n", b" ", b"\t", b"  \r\n", b"\n", b" \n ", b"\r \r"])


@st.composite
def mutated(draw):
    """Return a line with one thing done to it."""
    line = draw(TEXT_LINE)
    first, last = sorted(draw(st.tuples(*[st.integers(0, len(line))] * 2)))
    return draw(
        st.one_of(
            st.binary(max_size=2).map(lambda new: line[:first] + new + line[first:]),
            st.binary(min_size=1, max_size=1).map(lambda b: line[:first] + b + line[first + 1 :]),
            st.sampled_from(b"0123456789,:./= \t\r\n\0").map(
                lambda byte: line[:first] + bytes([byte]) + line[first:]
            ),
            st.just(line[:first] + line[first + 1 :]),
            st.just(line[:first]),
            st.just(line[first:]),
            st.just(line[:last] + line[first:]),
            st.just(line + line),
            st.just(line[:first] + b"\n" + line[first:]),
            END.map(lambda end: line + end),
            END.map(lambda blank: blank + line),
        )
    )


OTHER_DIGITS = str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")


@st.composite
def in_another_script(draw):
    """Return a line with one of its digits in Arabic: a digit to Unicode, junk to the site."""
    line = draw(st.builds("{},{},GET /rate/seen+2001={}".format, GOOD_TIME, USER, st.just(4)))
    digits = [i for i, letter in enumerate(line) if letter.isdigit() and i < len(line) - 6]
    place = draw(st.sampled_from(digits))
    return (line[:place] + line[place].translate(OTHER_DIGITS) + line[place + 1 :]).encode()


FAILED = b"2026-11-20T10:15,7,recommendation request a, status 0, result: "
LONG = st.sampled_from(
    [
        b"2026-11-20T10:15,7,GET /data/m/" + b"x" * 100_000 + b"/5.mpg",
        b"2026-11-20T10:15,7,recommendation request a, status 0, result: "
        + b"x" * 65_536
        + b", 5 ms",
        b"2026-11-20T10:15,7,recommendation request a, status 0, result: "
        + b"x" * 65_537
        + b", 5 ms",
        FAILED.replace(b"status 0", b"status 200")
        + b", ".join([b"some+movie+1999"] * 2_000)
        + b", 5 ms",
        b"9" * 100_000,
        b" " * 100_000,
    ]
)
LINE = TEXT_LINE | mutated() | in_another_script() | LONG | st.binary(max_size=80)


def outcomes(parsed, count):
    """Return an event as a dict, or the reason, of each line."""
    found = dict(zip(parsed.rejected.tolist(), parsed.reasons().to_list(), strict=True))
    for events in parsed.events:
        columns = {**events.columns, "local_us": events.local_us}
        for line, row in zip(events.lines.tolist(), as_rows(columns), strict=True):
            assert line not in found
            found[line] = row
    return [found[i] for i in range(count)]


@given(st.lists(LINE, max_size=30))
@example([b"2026-11-20T10:15,7,GET /rate/film+1+2001=4\r\n", b"\xff", b""])
@example([b"2026-02-29T10:15,7,GET /rate/a=4", b"2024-02-29T10:15,7,GET /rate/a=4"])
def test_the_parser_gives_what_its_specification_gives(lines):
    assert outcomes(parse(lines), len(lines)) == [specification.read(line) for line in lines]


LIMITS = Limits(max_user_id=1_500_000, min_rating=0, max_rating=10, earliest=date(1990, 5, 1))
RUNTIMES = {"a": 0, "seen+2001": 120}
RECORDED = st.datetimes().map(lambda t: int(np.datetime64(t, "us").astype(np.int64)))


@given(st.lists(st.tuples(TEXT_LINE, RECORDED), max_size=30), st.booleans())
def test_the_rules_reject_what_their_specification_rejects(lines_and_times, has_catalog):
    lines = [line for line, _ in lines_and_times]
    recorded = [time for _, time in lines_and_times]
    runtimes = RUNTIMES if has_catalog else None
    catalog = Catalog(RUNTIMES) if has_catalog else None
    checked = validate(parse(lines), LIMITS, catalog, np.array(recorded, np.int64))

    def expected(line, recorded_us):
        event = specification.read(line)
        if isinstance(event, str):
            return event
        return specification.reason_to_reject(event, LIMITS, runtimes, recorded_us) or event

    assert outcomes(checked, len(lines)) == list(map(expected, lines, recorded))


def real_lines(data_folder):
    return (data_folder / "movielog_examples.txt").read_bytes().splitlines()


def test_the_parser_gives_what_its_specification_gives_of_real_lines(data_folder):
    lines = real_lines(data_folder)
    found = outcomes(parse(lines), len(lines))
    assert found == [specification.read(line) for line in lines]
    assert sum(isinstance(one, dict) for one in found) >= 30


# The grammar as one more reader of the course's description would write it down, on bytes.
NAME = rb"[^\x00-\x20\x7f-\xff,/=]{1,1000}"
DIGITS = rb"(0|[1-9]\d{0,8})"
EVENT = re.compile(
    rb"[ \t]*(?P<day>[1-9]\d{3}-\d\d-\d\d)T([01]\d|2[0-3]):[0-5]\d"
    rb"(:[0-5]\d(\.(\d{9}|\d{6}|\d{3}))?)?,[1-9]\d{0,17},"
    rb"(GET /create_account"
    rb"|GET /data/m/" + NAME + rb"/" + DIGITS + rb"\.mpg"
    rb"|GET /rate/"
    + NAME
    + rb"="
    + DIGITS
    + rb"|recommendation request [^\x00-\x20\x7f-\xff,]{1,1000}, status "
    rb"(200, result: (?!\[.*\], \d+ ms|\(.*\), \d+ ms|\{.*\}, \d+ ms)"
    + NAME
    + rb"(, "
    + NAME
    + rb")*"
    rb"|(0|(?!200)[1-5]\d\d), result: (?P<error>[^\n]{0,65536})), " + DIGITS + rb" ms)"
    rb"[ \t]*\r?(\r\n)?"
)


def is_event(line):
    found = EVENT.fullmatch(line)
    if found is None:
        return False
    try:
        date.fromisoformat(found["day"].decode())
        error = (found["error"] or b"").decode()
    except ValueError:
        return False
    return len(error.encode()) <= 65_536


@given(st.lists(LINE, max_size=30))
def test_lines_are_classified_as_an_independent_regular_expression_does(lines):
    rejected = set(parse(lines).rejected.tolist())
    assert [i not in rejected for i in range(len(lines))] == list(map(is_event, lines))


def test_real_lines_are_classified_as_an_independent_regular_expression_does(data_folder):
    lines = real_lines(data_folder)
    rejected = set(parse(lines).rejected.tolist())
    assert [i not in rejected for i in range(len(lines))] == list(map(is_event, lines))


@given(st.lists(in_another_script(), min_size=1, max_size=10))
def test_a_digit_of_another_script_is_no_digit(lines):
    assert parse(lines).rejected.tolist() == list(range(len(lines)))


@given(st.lists(LINE, max_size=6))
def test_a_batch_gives_what_its_lines_give_one_by_one(lines):
    alone = [outcomes(parse([line]), 1)[0] for line in lines]
    assert outcomes(parse(lines), len(lines)) == alone


@given(st.lists(GOOD, min_size=1, max_size=10))
def test_what_is_dumped_parses_to_the_same_event(lines):
    for row in outcomes(parse([line.encode() for line in lines]), len(lines)):
        if isinstance(row, dict):
            event_time = datetime(1970, 1, 1) + row.pop("local_us") * specification.MICROSECOND
            without_text = row | {"event_time": event_time, "site_time": None}
            (again,) = outcomes(parse([dump(without_text).encode()]), 1)
            assert again | {"local_us": 0} == row | {"local_us": 0, "site_time": again["site_time"]}


@pytest.mark.parametrize("separator", [b"", b"\r", b"\r\n"])
def test_every_line_of_a_dump_may_have_its_end(separator):
    line = b"2026-11-20T10:15,7,GET /data/m/film+1+2001/5.mpg" + separator
    assert len(parse([line] * 3).events[0].lines) == 3
