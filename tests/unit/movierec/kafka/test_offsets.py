import pytest
from hypothesis import given
from hypothesis import strategies as st

from movierec.kafka.offsets import lag, missing_lines
from movierec.testing.memory import MemoryLake


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


def test_of_a_topic_those_lines_are_missing_that_no_commit_covers():
    """Also a commit without events covers lines: those went to quarantine."""
    lake = MemoryLake()
    written = {0: (0, 10), 1: (0, 5)}
    assert missing_lines(lake, {"movielog1": written}) == 15
    lake.append("events", [], transactions={"movielog1-0": 3, "movielog2-1": 4})
    assert missing_lines(lake, {"movielog1": written}) == 6 + 5
    lake.append("events", [], transactions={"movielog1-0": 20, "movielog1-1": 4})
    assert missing_lines(lake, {"movielog1": written}) == 0
