"""The window of plausible event times."""

from datetime import date

import pytest

from movierec.errors import ConfigError
from movierec.lake.plausible_times import DEFAULT, PlausibleTimes


@pytest.mark.parametrize(
    ("text", "earliest"), [("", date(2000, 1, 1)), ("1998-04-01", date(1998, 4, 1))]
)
def test_the_earliest_day_is_a_setting(text, earliest):
    found = PlausibleTimes.from_env({"MOVIEREC_EARLIEST_EVENT_TIME": text})
    assert found.earliest == earliest


@pytest.mark.parametrize("text", ["1969-12-31", "2150-01-01", "yesterday", "0001-01-01"])
def test_an_earliest_day_that_is_none_is_refused(text):
    with pytest.raises(ConfigError, match="MOVIEREC_EARLIEST_EVENT_TIME"):
        PlausibleTimes.from_env({"MOVIEREC_EARLIEST_EVENT_TIME": text})


def test_readers_of_the_lake_go_by_whole_days_whatever_the_sites_zone():
    assert DEFAULT.days() == (date(1999, 12, 31), date(2106, 2, 6))
    assert DEFAULT.condition() == "event_date between date '1999-12-31' and date '2106-02-06'"
    assert PlausibleTimes(date(1970, 1, 1)).days()[0] == date(1970, 1, 1)
