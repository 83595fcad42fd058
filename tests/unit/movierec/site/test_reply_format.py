import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from movierec.lake.schema import as_rows
from movierec.site.reply_format import (
    Answer,
    Busy,
    Fault,
    Forbidden,
    Objects,
    Refused,
    Reply,
    answer,
    read,
)

NOW = datetime(2026, 11, 20, 10, 15, tzinfo=UTC)
FILM = {"id": "film+1+2001", "title": "Film 1"}
OTHER = {"id": "film+2+2002", "title": "Film 2"}
UNKNOWN = {"message": "movie not found"}


def meaning(status=200, body=b"", asked=1, **headers):
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read(Reply(status, body, **headers), asked=asked, now=NOW)


def test_one_object_answers_for_one_id():
    assert meaning(body=FILM) == Objects((FILM,))


@pytest.mark.parametrize(
    "body",
    [
        [FILM, OTHER],
        [FILM, UNKNOWN, OTHER],
        [FILM, None, OTHER],
        {"movies": [FILM, OTHER]},
        {"film+1+2001": FILM, "film+2+2002": OTHER, "x": UNKNOWN, "y": None},
    ],
)
def test_several_objects_come_in_many_forms(body):
    assert meaning(body=body, asked=3) == Objects((FILM, OTHER))


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, b"Not Found"),
        (404, UNKNOWN),
        (400, b"one id at a time"),
        (414, b""),
        (200, b"<html>it works</html>"),
        (200, b"\xff\xfe"),
        (200, b"[" * 100_000),
        (200, UNKNOWN | {"status": 404}),
        (200, FILM),
        (200, ["film+1+2001"]),
        (200, [FILM, {"error": "rate limited"}]),
        (200, {"error": "rate limited"}),
        (200, 7),
    ],
)
def test_what_answers_for_none_of_several_ids_is_a_refusal(status, body):
    assert meaning(status, body, asked=2) == Refused()


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, b"Not Found"),
        (404, UNKNOWN),
        (200, UNKNOWN),
        (200, {"error": "Movie not found."}),
        (200, {"id": "x", "message": "movie not found"}),
        (400, b"?"),
    ],
)
def test_one_id_that_the_site_does_not_know(status, body):
    assert meaning(status, body) == Objects(())


@pytest.mark.parametrize(
    ("status", "body"),
    [
        *((500, b"oops"), (502, b""), (503, b"")),
        *((200, b"hi"), (200, {}), (200, {"error": "rate limited"})),
    ],
)
def test_what_may_pass_is_a_fault(status, body):
    assert isinstance(meaning(status, body), Fault)


@pytest.mark.parametrize(
    ("text", "date", "wait_s"),
    [
        ("2", "", 2.0),
        (" 1.5 ", "", 1.5),
        ("0", "", 0.0),
        ("Fri, 20 Nov 2026 10:15:30 GMT", "", 30.0),
        # The site's clock is four hours behind ours.
        ("Fri, 20 Nov 2026 06:15:30 GMT", "Fri, 20 Nov 2026 06:15:10 GMT", 20.0),
        ("Fri, 20 Nov 2026 10:00:00 GMT", "", 0.0),
        ("", "", None),
        ("soon", "nonsense", None),
        ("-5", "", None),
    ],
)
def test_a_site_says_how_long_to_wait_in_seconds_or_until_when(text, date, wait_s):
    assert meaning(429, b"slow down", asked=2, retry_after=text, date=date) == Busy(wait_s)


def test_a_site_that_is_down_for_a_time_that_it_names_is_busy():
    assert meaning(503, retry_after="7") == Busy(7.0)


@pytest.mark.parametrize("status", [401, 403])
def test_a_site_that_lets_nobody_in_is_asked_no_more(status):
    assert meaning(status, asked=2) == Forbidden(f"answered {status}")


@given(
    st.integers(0, 999),
    st.binary(max_size=40)
    | st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    ),
    st.sampled_from([1, 2, 200]),
    st.text(max_size=12),
)
def test_every_reply_means_something(status, body, asked, text):
    assert meaning(status, body, asked=asked, retry_after=text, date=text) is not None


def test_an_answer_has_rows_for_what_was_asked_and_names_the_rest():
    found = answer("movie", ("film+1+2001", "film+3+2003"), (FILM, OTHER, {"id": 7}), NOW)
    assert isinstance(found, Answer)
    assert [row["movie_id"] for row in as_rows(found.rows)] == ["film+1+2001"]
    assert found.unknown == ("film+3+2003",)


def test_a_user_is_the_one_that_was_asked_for_in_digits():
    found = answer("user", ("7", "8"), ({"user_id": "7"}, {"user_id": 9}), NOW)
    assert [row["user_id"] for row in as_rows(found.rows)] == [7]
    assert found.unknown == ("8",)
