import json
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from movierec.lake import schema
from movierec.lake.catalog import Reason, parse_movies, parse_users
from movierec.model import segments
from movierec.model.segments import LARGEST_AGE

NOW = datetime(2026, 11, 20, 10, 15, tzinfo=UTC)

# Verbatim from the course's movie API, shortened where nothing is read.
STALLION = {
    "id": "the+black+stallion+1979", "tmdb_id": 17264, "imdb_id": "tt0078872",
    "title": "The Black Stallion", "original_title": "The Black Stallion", "adult": "False",
    "belongs_to_collection": {"id": 405393, "name": "The Black Stallion Collection"},
    "budget": "2700000",
    "genres": [{"id": 12, "name": "Adventure"}, {"id": 10751, "name": "Family"}],
    "homepage": "null", "original_language": "en", "popularity": "10.246132",
    "release_date": "1979-10-17", "revenue": "37799643", "runtime": 118, "status": "Released",
}  # fmt: skip
ABNORMAL = STALLION | {
    "id": "getting+back+to+abnormal+",
    "title": "Getting Back to Abnormal",
    "genres": [{"id": 99, "name": "Documentary"}],
    "release_date": "null",
    "runtime": 92,
    "adult": "True",
}
ARTIST = {"user_id": 110149, "age": 32, "occupation": "artist", "gender": "M"}


def movie(**changes):
    return json.dumps(STALLION | changes)


def user(**changes):
    return json.dumps(ARTIST | changes)


def test_movies_become_rows_of_the_lakes_table():
    found = parse_movies([movie(), json.dumps(ABNORMAL).encode()], NOW)
    assert dict(found.rejected) == {}
    assert list(found.columns) == list(schema.MOVIES.columns)
    assert found.columns["movie_id"] == ["the+black+stallion+1979", "getting+back+to+abnormal+"]
    assert found.columns["title"] == ["The Black Stallion", "Getting Back to Abnormal"]
    assert np.asarray(found.columns["runtime_minutes"]).tolist() == [118, 92]
    assert np.asarray(found.columns["adult"]).tolist() == [0, 1]
    assert found.columns["genres"] == [["Adventure", "Family"], ["Documentary"]]
    assert found.columns["release_date"] == ["1979-10-17", None]
    assert list(found.columns["loaded_at"]) == [np.datetime64("2026-11-20T10:15")] * 2
    assert schema.length(found.columns) == len(found) == 2


def test_users_become_rows_of_the_lakes_table():
    newest = ARTIST | {"user_id": 130276, "gender": "F", "self_description_likes": "..."}
    found = parse_users([user(), json.dumps(newest)], NOW)
    assert dict(found.rejected) == {}
    assert list(found.columns) == list(schema.USERS.columns)
    assert np.asarray(found.columns["user_id"]).tolist() == [110149, 130276]
    assert np.asarray(found.columns["age"]).tolist() == [32, 32]
    assert found.columns["gender"] == ["M", "F"]
    assert found.columns["occupation"] == ["artist", "artist"]


def test_nothing_gives_tables_without_rows():
    assert len(parse_movies([], NOW)) == 0
    assert len(parse_users([], NOW)) == 0


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"", Reason.NOT_JSON),
        (b"\xff{}", Reason.NOT_JSON),
        ("[" * 100_000, Reason.NOT_JSON),
        ('{"runtime": ' + "9" * 5000 + "}", Reason.NOT_JSON),
        ("[]", Reason.NOT_AN_OBJECT),
        ('{"message":"movie not found"}', Reason.NOT_FOUND),
        ("{}", Reason.BAD_ID),
        (movie(id=""), Reason.BAD_ID),
        (movie(id="a b"), Reason.BAD_ID),
        (movie(id="a,b"), Reason.BAD_ID),
        (movie(id="amélie"), Reason.BAD_ID),
        (movie(id=7), Reason.BAD_ID),
        (movie(title=None), Reason.BAD_TITLE),
        (movie(title="\ud800"), Reason.BAD_TITLE),
        (movie(runtime=-1), Reason.BAD_RUNTIME),
        (movie(runtime=91.5), Reason.BAD_RUNTIME),
        (movie(runtime=True), Reason.BAD_RUNTIME),
        (movie(runtime="null"), Reason.BAD_RUNTIME),
        (movie(runtime="9" * 5000), Reason.BAD_RUNTIME),
        (movie(runtime=float("nan")), Reason.BAD_RUNTIME),
        (movie(adult="maybe"), Reason.BAD_ADULT),
        (movie(adult=1), Reason.BAD_ADULT),
        (movie(genres="Drama"), Reason.BAD_GENRES),
        (movie(genres=["Drama"]), Reason.BAD_GENRES),
        (movie(release_date="1979-13-01"), Reason.BAD_RELEASE_DATE),
        (movie(release_date="19791017"), Reason.BAD_RELEASE_DATE),
        (movie(release_date=1979), Reason.BAD_RELEASE_DATE),
    ],
)
def test_a_bad_movie_is_rejected_for_its_reason_and_the_others_stay(line, reason):
    found = parse_movies([json.dumps(ABNORMAL), line, movie()], NOW)
    assert dict(found.rejected) == {1: reason}
    assert len(found) == 2


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"message":"user not found"}', Reason.NOT_FOUND),
        (user(user_id=0), Reason.BAD_ID),
        (user(user_id=2**63), Reason.BAD_ID),
        (user(user_id="x"), Reason.BAD_ID),
        (user(age=-1), Reason.BAD_AGE),
        (user(age=None), Reason.BAD_AGE),
        (user(age=LARGEST_AGE + 1), Reason.BAD_AGE),
        (user(occupation=""), Reason.BAD_OCCUPATION),
    ],
)
def test_a_bad_user_is_rejected_for_its_reason(line, reason):
    assert dict(parse_users([line], NOW).rejected) == {0: reason}


@pytest.mark.parametrize("adult", ["null", None])
def test_a_movie_of_which_the_site_does_not_say_is_of_unknown_kind(adult):
    found = parse_movies([movie(adult=adult)], NOW)
    assert np.asarray(found.columns["adult"]).tolist() == [schema.ADULT_UNKNOWN]


def test_a_movie_without_the_key_is_of_unknown_kind():
    silent = {name: value for name, value in STALLION.items() if name != "adult"}
    found = parse_movies([json.dumps(silent)], NOW)
    assert np.asarray(found.columns["adult"]).tolist() == [schema.ADULT_UNKNOWN]


@pytest.mark.parametrize(
    ("gender", "kept"),
    [
        ("X", "X"),
        ("other", "other"),
        ("null", ""),
        ("", ""),
        (None, ""),
        (["M"], ""),
        ("\ud800", ""),
    ],
)
def test_no_gender_costs_a_user_their_age(gender, kept):
    """Of unknown age they would be taken for a minor."""
    found = parse_users([user(gender=gender)], NOW)
    assert (found.columns["gender"], list(found.columns["age"])) == ([kept], [32])


def test_every_age_that_is_loaded_has_a_group():
    lines = [user(user_id=1 + age, age=age) for age in range(200)]
    found = parse_users(lines, NOW).columns
    groups = segments.group_of(np.asarray(found["age"]), list(found["gender"]))
    assert len(found["age"]) == LARGEST_AGE + 1
    assert (groups != 0).all()


def test_numbers_that_some_dumps_write_as_text_are_read():
    found = parse_movies([movie(runtime="118"), movie(id="b", runtime=118.0)], NOW)
    assert np.asarray(found.columns["runtime_minutes"]).tolist() == [118, 118]


def test_an_id_counts_once_and_its_first_row_stays():
    found = parse_movies([movie(), movie(runtime=5), movie(id="other")], NOW)
    assert dict(found.rejected) == {1: Reason.REPEATED}
    assert np.asarray(found.columns["runtime_minutes"]).tolist() == [118, 118]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
)
MESS = st.binary(max_size=40) | st.builds(
    lambda key, value: json.dumps(STALLION | ARTIST | {key: value}).encode(),
    st.sampled_from(sorted(STALLION | ARTIST)),
    JSON,
)


@given(st.lists(MESS, max_size=8))
def test_every_line_is_a_row_or_rejected_whatever_it_holds(lines):
    for found in (parse_movies(lines, NOW), parse_users(lines, NOW)):
        assert len(found) + len(found.rejected) == len(lines)
        assert schema.length(found.columns) == len(found)
