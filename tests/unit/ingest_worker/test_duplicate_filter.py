import numpy as np

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
