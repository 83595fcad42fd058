"""Local times of the site map back to the UTC times that they stand for, in every zone."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo, available_timezones

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from movierec.errors import UsageError
from movierec.lake import site_clock
from simulator import log_line_format
from simulator.local_clock import LocalClock

ZONES = st.sampled_from(sorted(available_timezones()))
# 2000 to 2037: up to where zones' rules are listed one by one.
TIMES_S = st.integers(946_684_800, 2_145_916_799)
NANOS = 10**9


def text_of(clock, time_s):
    return log_line_format.time_text(clock.local_ns(time_s * NANOS))


def possible_utc_s(text, zone):
    """Return the UTC times, in seconds, that a local time may stand for: two in autumn."""
    local = datetime.fromisoformat(text)
    instants = {local.replace(tzinfo=ZoneInfo(zone), fold=fold).astimezone(UTC) for fold in (0, 1)}
    return {instant.timestamp() for instant in instants}


@given(ZONES, TIMES_S)
def test_every_local_text_maps_back_to_its_time(zone, time_s):
    text = text_of(LocalClock(zone), time_s)
    assert time_s in possible_utc_s(text, zone)


@given(ZONES, st.lists(TIMES_S, max_size=20), st.integers(-10_000, 10_000), st.floats(-50, 50))
def test_many_times_are_local_as_one_is(zone, times_s, ahead_s, drift_s):
    clock = LocalClock(zone, ahead_s, drift_s, since_s=1_500_000_000)
    one_by_one = [clock.local_ns(time_s * NANOS) for time_s in times_s]
    together = clock.local_s(np.array(times_s, np.int64)) * NANOS
    assert together.tolist() == one_by_one


@given(ZONES, TIMES_S, st.integers(-10_000, 10_000))
def test_a_wrong_clock_shows_the_local_time_of_another_moment(zone, time_s, ahead_s):
    wrong, right = LocalClock(zone, ahead_s), LocalClock(zone)
    assert wrong.local_ns(time_s * NANOS) == right.local_ns((time_s + ahead_s) * NANOS)


@given(ZONES, st.integers(1_420_070_400, 2_145_916_799), st.integers(0, 20))
def test_the_product_takes_each_local_time_for_the_moment_it_was_written(zone, time_s, delay_s):
    """With the zone set; in the hour that autumn repeats the record's time decides."""
    times_s = time_s + np.arange(0, 3 * 3600, 311)
    local_us = LocalClock(zone).local_s(times_s) * 1_000_000
    record_us = (times_s + delay_s) * 1_000_000
    reader = site_clock.from_env({"MOVIEREC_SITE_TIMEZONE": zone})
    assert (reader.convert(local_us, record_us).utc_us == times_s * 1_000_000).all()


@given(st.integers(-48, 48), TIMES_S)
def test_the_product_finds_the_offset_of_a_wrong_clock(quarters, time_s):
    times_s = time_s + np.arange(400)
    local_us = LocalClock(ahead_s=quarters * 900).local_s(times_s) * 1_000_000
    reader = site_clock.from_env({})
    reader.observe(local_us, times_s * 1_000_000 + 200_000)
    assert reader.found is not None
    assert reader.found.minutes == quarters * 15


def test_the_hour_that_autumn_repeats_is_written_twice_and_springs_never():
    clock = LocalClock("America/New_York")
    autumn_s = int(datetime(2026, 11, 1, 5, 30, tzinfo=UTC).timestamp())
    texts = [text_of(clock, autumn_s + hours * 3600) for hours in (0, 1)]
    assert texts == ["2026-11-01T01:30"] * 2
    assert possible_utc_s(texts[0], "America/New_York") == {autumn_s, autumn_s + 3600}
    spring_s = int(datetime(2026, 3, 8, 6, 30, tzinfo=UTC).timestamp())
    texts = [text_of(clock, spring_s + hours * 3600) for hours in (0, 1)]
    assert texts == ["2026-03-08T01:30", "2026-03-08T03:30"]


def test_fractions_of_a_second_are_kept():
    assert LocalClock("Asia/Kolkata").local_ns(1_202_000_001) == 19_801_202_000_001


@pytest.mark.parametrize("zone", ["", "Mars/Phobos", "../../etc/passwd", "America"])
def test_a_zone_that_does_not_exist_is_named(zone):
    with pytest.raises(UsageError, match="--timezone"):
        LocalClock.checked(zone, 0, 0, 0)
