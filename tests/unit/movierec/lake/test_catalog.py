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
        (movie(id="x" * 9_500_000), Reason.BAD_ID),
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
    ],
)
def test_a_bad_user_is_rejected_for_its_reason(line, reason):
    assert dict(parse_users([line], NOW).rejected) == {0: reason}


def one(line, parse=parse_movies):
    """Return the only row."""
    (row,) = schema.as_rows(parse([line], NOW).columns)
    return row


@pytest.mark.parametrize(
    ("field", "value", "column", "held"),
    [
        ("title", None, "title", None),
        ("title", "\ud800", "title", None),
        ("runtime", None, "runtime_minutes", schema.RUNTIME_UNKNOWN),
        ("runtime", "null", "runtime_minutes", schema.RUNTIME_UNKNOWN),
        ("runtime", -1, "runtime_minutes", schema.RUNTIME_UNKNOWN),
        ("runtime", 91.5, "runtime_minutes", schema.RUNTIME_UNKNOWN),
        ("runtime", True, "runtime_minutes", schema.RUNTIME_UNKNOWN),
        ("runtime", "9" * 5000, "runtime_minutes", schema.RUNTIME_UNKNOWN),
        ("runtime", float("nan"), "runtime_minutes", schema.RUNTIME_UNKNOWN),
        ("adult", "null", "adult", schema.ADULT_UNKNOWN),
        ("adult", None, "adult", schema.ADULT_UNKNOWN),
        ("adult", "maybe", "adult", schema.ADULT_UNKNOWN),
        ("adult", 1, "adult", schema.ADULT_UNKNOWN),
        ("adult", False, "adult", 0),
        ("adult", "false", "adult", 0),
        ("adult", "TRUE", "adult", 1),
        ("adult", True, "adult", 1),
        ("genres", "null", "genres", []),
        ("genres", None, "genres", []),
        ("genres", 7, "genres", []),
        ("genres", "Drama", "genres", ["Drama"]),
        ("genres", "Drama|Science Fiction", "genres", ["Drama", "Science Fiction"]),
        ("genres", ["Drama", "War"], "genres", ["Drama", "War"]),
        ("genres", [{"name": "Drama"}, {"id": 3}, None, 5, "War"], "genres", ["Drama", "War"]),
        ("release_date", "1954", "release_date", "1954"),
        ("release_date", 1954, "release_date", "1954"),
        ("release_date", "1954-07", "release_date", "1954-07"),
        ("release_date", "1954-07-01T00:00:00.000Z", "release_date", "1954-07-01"),
        ("release_date", "1979-13-01", "release_date", None),
        ("release_date", "19791017", "release_date", None),
        ("release_date", "", "release_date", None),
        ("license_cost", 0.42, "cost_usd", 0.42),
        ("cost", "$1.5", "cost_usd", 1.5),
        ("Royalty_Cost", 2, "cost_usd", 2.0),
        ("cost", -1, "cost_usd", None),
        ("cost", 10**400, "cost_usd", None),
        ("vote_average", "7.0", "vote_average", 7.0),
        ("vote_count", "59", "vote_count", 59),
        ("popularity", "many", "popularity", None),
        ("tmdb_id", None, "tmdb_id", None),
        ("spoken_languages", [{"iso_639_1": "ar", "name": "\u0639"}], "spoken_languages", ["ar"]),
        ("spoken_languages", [{"name": "Arabic"}, "en"], "spoken_languages", ["Arabic", "en"]),
        ("keywords", [{"id": 1, "name": "horse"}, "island"], "keywords", ["horse", "island"]),
        ("overview", "While traveling ...", "overview", "While traveling ..."),
    ],
)
def test_a_movie_is_taken_with_what_it_has(field, value, column, held):
    row = one(movie(**{field: value}))
    assert row["movie_id"] == STALLION["id"]
    assert row[column] == held


def test_a_movie_with_an_id_alone_is_known_and_nothing_else_is():
    row = one('{"id": "x+1954"}')
    del row["loaded_at"]
    assert {name: value for name, value in row.items() if value is not None} == {
        "movie_id": "x+1954",
        "runtime_minutes": schema.RUNTIME_UNKNOWN,
        "adult": schema.ADULT_UNKNOWN,
        "genres": [],
        "spoken_languages": [],
        "keywords": [],
    }


def test_every_field_is_kept():
    """What a column does not hold in full is in `other`, as it came."""
    came = STALLION | {
        "runtime": "two hours", "license_cost": 3, "rental_cost": 4, "tagline": "\ud800 \u00e9",
        "popularity": float("inf"), "deep": {"a": [1, None]},
    }  # fmt: skip
    row = one(json.dumps(came))
    assert (row["cost_usd"], row["imdb_id"], row["tmdb_id"]) == (3.0, "tt0078872", 17264)
    assert json.loads(row["other"], parse_constant=pytest.fail) == {
        "original_title": "The Black Stallion",
        "belongs_to_collection": {"id": 405393, "name": "The Black Stallion Collection"},
        "budget": "2700000",
        "homepage": "null",
        "genres": came["genres"],
        "revenue": "37799643",
        "status": "Released",
        "runtime": "two hours",
        "rental_cost": 4,
        "tagline": "\ud800 \u00e9",
        "popularity": "Infinity",
        "deep": {"a": [1, None]},
    }


@pytest.mark.parametrize("name", ["cost", "license_cost"])
def test_of_several_costs_the_one_of_a_play_counts(name):
    row = one(movie(**{"a_cost": 9, name: 2}))
    assert (row["cost_usd"], json.loads(row["other"])["a_cost"]) == (2.0, 9)


@pytest.mark.parametrize(
    ("field", "value", "column", "held"),
    [
        ("age", -1, "age", schema.AGE_UNKNOWN),
        ("age", None, "age", schema.AGE_UNKNOWN),
        ("age", "old", "age", schema.AGE_UNKNOWN),
        ("age", LARGEST_AGE + 1, "age", schema.AGE_UNKNOWN),
        ("age", "32", "age", 32),
        ("age", 0, "age", 0),
        ("occupation", "", "occupation", None),
        ("occupation", None, "occupation", None),
        ("occupation", 7, "occupation", None),
        ("gender", "f", "gender", "F"),
        ("gender", "male", "gender", "M"),
        ("self_description_likes", "slow films", "self_description_likes", "slow films"),
        ("self_description_likes", "", "self_description_likes", None),
        ("self_description_dislikes", None, "self_description_dislikes", None),
        ("self_description_dislikes", "noise", "self_description_dislikes", "noise"),
    ],
)
def test_a_user_is_taken_with_what_they_have(field, value, column, held):
    row = one(user(**{field: value}), parse_users)
    assert (row["user_id"], row[column]) == (110149, held)


def test_a_user_with_an_id_alone_may_be_a_minor():
    row = one('{"user_id": 7, "plan": "free"}', parse_users)
    assert (row["age"], row["gender"], row["occupation"]) == (schema.AGE_UNKNOWN, "", None)
    assert row["other"] == '{"plan":"free"}'
    (group,) = segments.group_of(np.array([row["age"]]), [row["gender"]])
    assert segments.MINORS[group]


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
    lines = [user(user_id=1 + age, age=age) for age in range(LARGEST_AGE + 1)]
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
