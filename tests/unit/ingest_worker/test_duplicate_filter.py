from itertools import pairwise

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from ingest_worker.duplicate_filter import RecentLines


def test_a_line_sent_twice_in_a_row_is_marked_the_second_time():
    marked = RecentLines().mark(np.arange(3), [b"a", b"a", b"b"])
    assert marked.tolist() == [False, True, False]


def test_a_line_is_remembered_from_one_call_to_the_next():
    recent = RecentLines()
    recent.mark(np.array([5]), [b"a"])
    assert recent.mark(np.array([6, 7]), [b"b", b"a"]).tolist() == [False, True]


def test_a_line_older_than_the_window_is_forgotten():
    recent = RecentLines(window_offsets=10)
    recent.mark(np.array([0]), [b"a"])
    assert recent.mark(np.array([10]), [b"a"]).tolist() == [True]
    assert recent.mark(np.array([21]), [b"a"]).tolist() == [False]


def test_no_lines_are_no_duplicates():
    assert RecentLines().mark(np.empty(0, np.int64), []).tolist() == []


LINE = st.sampled_from([b"", b"a", b"b", b"a line of more bytes than a view of it holds", b"\xff"])


@given(st.lists(st.tuples(LINE, st.integers(1, 4), st.booleans()), max_size=30))
def test_a_line_is_marked_if_the_same_is_within_the_window_before_it(steps):
    offsets = np.cumsum([gap for _, gap, _ in steps], dtype=np.int64)
    lines = [line for line, _, _ in steps]
    ends = [i for i, (_, _, ends_call) in enumerate(steps) if ends_call] + [len(steps)]
    recent, marked = RecentLines(window_offsets=5), []
    for start, end in pairwise([0, *ends]):
        marked += recent.mark(offsets[start:end], lines[start:end]).tolist()
    assert marked == [
        any(lines[j] == line and offsets[i] - offsets[j] <= 5 for j in range(i))
        for i, line in enumerate(lines)
    ]


def test_a_column_of_lines_is_marked_as_a_list_is():
    lines = [b"a", b"b", b"a"]
    marked = RecentLines().mark(np.arange(3), pl.Series(lines, dtype=pl.Binary))
    assert marked.tolist() == [False, False, True]
