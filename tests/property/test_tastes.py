"""Whatever comes as an answer: validation is total, and what passes is within its bounds."""

import json

from hypothesis import given
from hypothesis import strategies as st

from movierec.taste.language_model import Answer, read_completion
from movierec.taste.tastes import LONGEST_LIST, LONGEST_TEXT, NAMES, Refused, Tastes

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=12,
)
# Nearly right: each list may be anything, a key may lack or be too much.
ENTRIES = st.lists(st.text(max_size=LONGEST_TEXT + 5), max_size=LONGEST_LIST + 2)
NEARLY = st.fixed_dictionaries(
    {}, optional={name: st.one_of(ENTRIES, st.lists(JSON, max_size=2), JSON) for name in NAMES}
) | st.fixed_dictionaries(dict.fromkeys(NAMES, ENTRIES))


def holds(tastes):
    for name in NAMES:
        entries = getattr(tastes, name)
        assert len(entries) <= LONGEST_LIST
        assert all(isinstance(one, str) and 0 < len(one) <= LONGEST_TEXT for one in entries)
        assert not any(ord(letter) < 32 for one in entries for letter in one)


@given(JSON | NEARLY)
def test_any_value_is_tastes_within_bounds_or_refused(value):
    found = Tastes.read(value)
    if isinstance(found, Refused):
        return
    holds(found)
    assert Tastes.read(json.loads(json.dumps(found.dump()))) == found
    assert isinstance(found.description().likes.encode(), bytes)


@given(st.text() | (JSON | NEARLY).map(json.dumps), JSON)
def test_any_content_of_a_completion_is_an_answer(content, usage):
    choice = {"message": {"content": content}, "finish_reason": "stop"}
    found = read_completion(json.dumps({"choices": [choice], "usage": usage}).encode())
    assert isinstance(found, Answer)


@given(st.binary() | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_body_is_an_answer_or_none(body):
    assert read_completion(body) is None or isinstance(read_completion(body), Answer)
