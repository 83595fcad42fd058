"""The detail of a recommendation: written by the API, checked by the proxy."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from movierec.api_contract import MAX_DETAIL_BYTES, dump_detail, is_detail

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
).filter(lambda value: "Infinity" not in json.dumps(value))


@given(st.dictionaries(st.text(min_size=2, max_size=9), values, max_size=4))
def test_facts_come_back_from_what_is_sent(facts: dict[str, object]) -> None:
    sent = dump_detail(facts)

    assert is_detail(sent)
    assert sent.isascii()
    assert sent.isprintable()
    assert json.loads(sent) == {"v": 1, **facts}


@pytest.mark.parametrize("n_bytes", [MAX_DETAIL_BYTES, MAX_DETAIL_BYTES + 1])
def test_more_than_fits_a_header_is_refused(n_bytes: int) -> None:
    facts = {"x": "x" * (n_bytes - len(dump_detail({"x": ""})))}

    if n_bytes <= MAX_DETAIL_BYTES:
        assert len(dump_detail(facts)) == n_bytes
    else:
        with pytest.raises(ValueError, match="at most 4096"):
            dump_detail(facts)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_number_that_json_has_not_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="JSON"):
        dump_detail({"x": value})


@given(st.text(max_size=200))
def test_no_text_raises(text: str) -> None:
    assert is_detail(text) in (True, False)
