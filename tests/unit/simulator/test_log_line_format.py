import numpy as np
import pytest

from simulator import log_line_format


@pytest.mark.parametrize(
    ("nanos", "expected"),
    [
        (0, "1970-01-01T00:00"),
        (5_000_000_000, "1970-01-01T00:00:05"),
        (5_200_000_000, "1970-01-01T00:00:05.200"),
        (5_000_001_000, "1970-01-01T00:00:05.000001"),
        (5_000_000_001, "1970-01-01T00:00:05.000000001"),
        (1_000_000, "1970-01-01T00:00:00.001"),
        (60_000_000_000, "1970-01-01T00:01"),
    ],
)
def test_a_time_is_printed_as_java_prints_it(nanos, expected):
    assert log_line_format.time_text(nanos) == expected


def test_many_times_are_printed_as_one_is():
    seconds = np.random.default_rng(1).integers(1_600_000_000, 1_600_400_000, 500)
    one_by_one = [log_line_format.time_text(s * log_line_format.NANOS) for s in seconds.tolist()]
    assert log_line_format.whole_second_texts(seconds) == one_by_one
    assert log_line_format.whole_second_texts(seconds[:0]) == []


def test_lines_are_the_courses_own():
    assert (
        log_line_format.watch_line("2022-11-14T12:23:12", 596363, "snowpiercer+2013", 16)
        == "2022-11-14T12:23:12,596363,GET /data/m/snowpiercer+2013/16.mpg"
    )
    assert (
        log_line_format.rate_line("2022-11-14T12:24", 347947, "infernal+affairs+2002", 3)
        == "2022-11-14T12:24,347947,GET /rate/infernal+affairs+2002=3"
    )
    assert log_line_format.recommend_line(
        "2022-11-14T12:23:12.202",
        650856,
        server="fall2022-comp585-4.cs.mcgill.ca:8082",
        status=200,
        result=log_line_format.id_list(["shooter+2007", "serpico+1973"]),
        latency_ms=102,
    ) == (
        "2022-11-14T12:23:12.202,650856,recommendation request "
        "fall2022-comp585-4.cs.mcgill.ca:8082, status 200, "
        "result: shooter+2007, serpico+1973, 102 ms"
    )
    assert (
        log_line_format.create_account_line("2026-09-14T09:03:11.402", 70011)
        == "2026-09-14T09:03:11.402,70011,GET /create_account"
    )
