import pytest
from hypothesis import given
from hypothesis import strategies as st

from movierec.stack.run_record import Record, dump, parse

processes = st.fixed_dictionaries(
    {"name": st.text(), "group": st.text(), "pid": st.integers(1), "grace_s": st.floats(0, 1e6)}
)


@given(st.dictionaries(st.text(), st.integers(1, 65_535)), st.lists(processes).map(tuple))
def test_a_record_is_read_as_it_was_written(ports, found):
    assert parse(dump(Record(ports, found))) == Record(ports, found)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"format": 2, "ports": {}, "processes": []}', '{"format": 1, "ports": 3}'],
)
def test_anything_else_is_refused(text):
    with pytest.raises(ValueError, match=r"."):
        parse(text)
