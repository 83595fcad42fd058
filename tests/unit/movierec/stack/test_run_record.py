from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from movierec.stack.run_record import Process, Record, dump, parse

KAFKA = Process("kafka", "kafka", 7, 1.5, "/run/logs/kafka.log", ("java", "-jar"))
PROXY = replace(KAFKA, name="proxy", group="proxy", pid=8)

processes = st.builds(
    Process,
    name=st.text(),
    group=st.text(),
    pid=st.integers(1),
    created_s=st.floats(allow_nan=False, allow_infinity=False),
    log=st.text(),
    command=st.lists(st.text()).map(tuple),
    grace_s=st.floats(0, 1e6),
    owner=st.text(),
    restarts=st.integers(0),
    stopping=st.booleans(),
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


def test_a_process_started_again_takes_the_place_of_the_former():
    before = Record().with_process(KAFKA).with_process(PROXY)
    again = replace(KAFKA, pid=9)
    assert before.with_process(again).processes == (again, PROXY)


def test_a_stopped_process_is_forgotten():
    assert Record(processes=(KAFKA, PROXY)).without(KAFKA).processes == (PROXY,)


def test_a_process_that_took_over_a_stopped_ones_name_is_not_forgotten():
    again = replace(KAFKA, pid=9)
    assert Record(processes=(again,)).without(KAFKA).processes == (again,)


def test_a_process_that_is_being_stopped_is_forgotten_all_the_same():
    marked = Record(processes=(KAFKA, PROXY)).stopping(KAFKA)
    assert marked.find("kafka") == replace(KAFKA, stopping=True)
    assert marked.find("proxy") == PROXY
    assert marked.without(KAFKA).processes == (PROXY,)
