"""The parser is total, and what it accepts it gives back."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from movierec.lake.log_lines import Catalog, Limits, dump, parse, validate

TIME = st.datetimes().map(lambda t: t.isoformat())
MOVIE = st.from_regex(r"[a-z0-9+.*'_-]{1,20}", fullmatch=True)
USER = st.integers(1, 10**18 - 1)
WATCH = st.builds("{},{},GET /data/m/{}/{}.mpg".format, TIME, USER, MOVIE, st.integers(0, 5000))
RATE = st.builds("{},{},GET /rate/{}={}".format, TIME, USER, MOVIE, st.integers(0, 20))
RECOMMEND = st.builds(
    "{},{},recommendation request team:8082, status 200, result: {}, {} ms".format,
    TIME,
    USER,
    st.lists(MOVIE, min_size=1, max_size=20).map(", ".join),
    st.integers(0, 5000),
)
LINE = st.one_of(
    st.binary(max_size=80), *(kind.map(str.encode) for kind in (WATCH, RATE, RECOMMEND))
)


@st.composite
def corrupted(draw):
    line = draw(LINE)
    place = draw(st.integers(0, len(line)))
    return line[:place] + draw(st.binary(max_size=2)) + line[place:]


OTHER_DIGITS = str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")


@st.composite
def in_another_script(draw):
    """Return a line with one of its digits in Arabic: a digit to Unicode, junk to the site."""
    line = draw(WATCH | RATE | RECOMMEND)
    digits = [i for i, letter in enumerate(line) if letter.isdigit()]
    place = draw(st.sampled_from(digits))
    return (line[:place] + line[place].translate(OTHER_DIGITS) + line[place + 1 :]).encode()


@given(st.lists(in_another_script(), min_size=1, max_size=10))
def test_a_digit_of_another_script_is_no_digit(lines):
    assert parse(lines).rejected.keys() == set(range(len(lines)))


@given(st.lists(LINE | corrupted() | in_another_script(), max_size=30))
def test_every_line_is_an_event_or_is_rejected_never_both(lines):
    parsed = validate(parse(lines), Limits(), Catalog({"a": 90}))
    seen = [i for events in parsed.events for i in events.lines.tolist()] + list(parsed.rejected)
    assert sorted(seen) == list(range(len(lines)))


@given(st.lists(LINE | corrupted(), max_size=20))
def test_a_batch_gives_what_its_lines_give_one_by_one(lines):
    whole = parse(lines)
    alone = {i: one for i, line in enumerate(lines) for one in parse([line]).rejected.values()}
    assert whole.rejected == alone


@given(st.lists(WATCH | RATE | RECOMMEND, min_size=1, max_size=10))
def test_what_is_dumped_parses_to_the_same_event(lines):
    first = parse([line.encode() for line in lines])
    for events in first.events:
        for row in _dicts(events.columns):
            again = parse([dump(row).encode()])
            assert [r for e in again.events for r in _dicts(e.columns)] == [row]


def _dicts(columns):
    values = [c.tolist() if isinstance(c, np.ndarray) else c for c in columns.values()]
    return [dict(zip(columns, row, strict=True)) for row in zip(*values, strict=True)]
