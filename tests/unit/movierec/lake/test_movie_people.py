"""Names are found in whatever shape a site gives them, and nothing odd stops the reading."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from movierec.lake import movie_people
from movierec.lake.movie_people import people


def names(**fields):
    return people(json.dumps(fields))


def test_makers_come_first_then_the_cast_then_the_rest_each_once():
    found = names(
        production_companies=[{"name": "Pixar", "id": 3}],
        belongs_to_collection={"id": 1, "name": "Toy Story Collection"},
        cast=[{"name": "Tom Hanks", "order": 0}, {"name": "Tim Allen"}],
        crew=[
            {"name": "John Lasseter", "job": "Director"},
            {"name": "Ann Key-Grip", "job": "Key Grip"},
        ],
        director="John Lasseter",
    )
    assert found == ("John Lasseter", "Tom Hanks", "Tim Allen", "Toy Story Collection", "Pixar")


@pytest.mark.parametrize(
    "fields",
    [
        {"cast": ["Uma Thurman"]},
        {"cast": "Uma Thurman"},
        {"cast": '[{"name": "Uma Thurman"}]'},
        {"actors": " Uma Thurman |"},
        {"credits": {"cast": [{"name": "Uma Thurman"}], "crew": None}},
        {"credits": '{"cast": [{"name": "Uma Thurman"}]}'},
        {"credits": [{"name": "Uma Thurman"}, {"name": "A. Gaffer", "job": "Gaffer"}]},
        {"credits": {"crew": [{"name": "Uma Thurman", "job": "director"}]}},
        {"production_companies": {"name": "Uma Thurman"}},
    ],
)
def test_every_shape_is_read(fields):
    assert names(**fields) == ("Uma Thurman",)


@pytest.mark.parametrize(
    "other",
    [
        None,
        "",
        "null",
        "[]",
        "{",
        '"cast"',
        "[" * 100_000,
        json.dumps({"cast": 7, "crew": "Eve", "credits": 1.5, "director": None}),
        json.dumps({"cast": [None, 3, [], {"name": None}, {"name": ["x"]}, {"title": "x"}, ""]}),
        json.dumps({"cast": "null", "director": "null", "credits": [7, "x"]}),
        json.dumps({"cast": "[{'name': 'of Python'}]", "director": ["  "]}),
        '{"director": "half a pair \\ud800"}',
    ],
)
def test_anything_odd_names_nobody(other):
    assert people(other) == ()


def test_names_are_short_and_few():
    cast = [f"Actor {n}" for n in range(500)]
    found = names(director=["x" * 101, "D"], cast=cast, production_companies=cast[:100])
    assert found[0] == "D"
    assert len(found) == movie_people.MOST


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.sampled_from(["name", "job", "cast"]), inner)
    ),
)
_FIELDS = ("cast", "crew", "credits", "director", "belongs_to_collection")


@given(st.dictionaries(st.sampled_from(_FIELDS), _JSON))
def test_reading_is_total(fields):
    assert all(0 < len(name) <= movie_people.LONGEST for name in people(json.dumps(fields)))


@given(st.text())
def test_reading_any_text_is_total(other):
    people(other)
