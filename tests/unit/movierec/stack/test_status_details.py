import pytest
from hypothesis import given
from hypothesis import strategies as st

from movierec.stack.status_details import collect, lag


@pytest.mark.parametrize(
    ("offsets", "stored", "expected"),
    [
        ({0: (0, 10), 1: (0, 5)}, {0: 9, 1: 4}, 0),
        ({0: (0, 10), 1: (0, 5)}, {0: 6, 1: None}, 3 + 5),
        # Kafka has deleted lines that were never stored: nobody waits for them.
        ({0: (40, 50)}, {0: 9}, 10),
        ({0: (40, 50)}, {0: None}, 10),
        # The lake of another cluster is ahead of this one.
        ({0: (0, 3)}, {0: 99}, 0),
        ({}, {}, 0),
    ],
)
def test_lag_counts_the_lines_that_are_not_stored(offsets, stored, expected):
    assert lag(offsets, stored) == expected


@given(st.integers(0, 50), st.integers(0, 50), st.none() | st.integers(0, 99))
def test_lag_counts_each_line_that_kafka_holds_and_the_lake_lacks(oldest, count, last):
    held = range(oldest, oldest + count)
    missing = [offset for offset in held if last is None or offset > last]
    assert lag({0: (oldest, oldest + count)}, {0: last}) == len(missing)


def test_what_cannot_be_found_out_is_said_in_its_place():
    found = collect({})
    assert found
    assert all(str(value).startswith("unknown: ") for value in found.values())
