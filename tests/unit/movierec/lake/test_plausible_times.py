"""The window of plausible event times."""

from datetime import UTC, date, datetime

import numpy as np
import pytest

from movierec.errors import ConfigError
from movierec.lake.plausible_times import DEFAULT, PlausibleTimes


def times(*texts):
    return np.array(texts, "datetime64[us]")


def test_a_time_from_2000_to_a_day_after_its_reference_is_plausible():
    found = DEFAULT.holds(
        times("1969-12-31T23:59:59", "1999-12-31T23:59:59.999999", "2000-01-01", "2026-11-21T10:15",
              "2026-11-21T10:15:00.000001", "9999-12-31T23:59:59"),
        np.datetime64("2026-11-20T10:15", "us"),
    )  # fmt: skip
    assert found.tolist() == [False, False, True, True, False, False]


def test_each_line_has_a_reference_of_its_own():
    written = times("2026-11-20", "2026-11-25", "NaT")
    found = DEFAULT.holds(times("2026-11-23", "2026-11-23", "2026-11-23"), written)
    assert found.tolist() == [False, True, False]


def test_a_time_that_no_data_set_can_hold_is_never_plausible():
    late = times("2106-02-07T06:28:15", "2106-02-07T06:28:16")
    assert DEFAULT.holds(late, np.datetime64("2206-01-01", "us")).tolist() == [True, False]


@pytest.mark.parametrize(
    ("text", "earliest"),
    [
        ("1970-01-01", datetime(1970, 1, 1, tzinfo=UTC)),
        ("2020-02-01T10:00+02:00", datetime(2020, 2, 1, 8, tzinfo=UTC)),
    ],
)
def test_the_earliest_time_is_a_setting(text, earliest):
    found = PlausibleTimes.from_env({"MOVIEREC_EARLIEST_EVENT_TIME": text})
    assert found.earliest == earliest
    assert PlausibleTimes.parse(found.text) == found


@pytest.mark.parametrize("text", ["1969-12-31", "2150-01-01", "yesterday", "0001-01-01"])
def test_an_earliest_time_that_is_none_is_refused(text):
    with pytest.raises(ConfigError, match="MOVIEREC_EARLIEST_EVENT_TIME"):
        PlausibleTimes.from_env({"MOVIEREC_EARLIEST_EVENT_TIME": text})


def test_readers_of_the_lake_go_by_whole_days():
    assert DEFAULT.days() == (date(2000, 1, 1), date(2106, 2, 6))
    assert DEFAULT.condition() == "event_date between date '2000-01-01' and date '2106-02-06'"
