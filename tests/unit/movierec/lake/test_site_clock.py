"""The site's local time to UTC, by its zone or by what the records' times show."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from movierec.lake import site_clock
from movierec.lake.site_clock import NO_TIME, FoundClock, OffsetEstimator, TimeBasis, ZoneClock

SECOND, MINUTE, HOUR = 1_000_000, 60_000_000, 3_600_000_000
NOW = int(datetime(2026, 11, 20, 14, tzinfo=UTC).timestamp()) * SECOND


def us(text):
    """Return an ISO 8601 time's microseconds, (1,); as UTC if it has no zone."""
    return np.array([text], "datetime64[us]").astype(np.int64)


def live(offset_minutes, seconds, *, start=NOW, per_second=5, seed=1):
    """Return local and record times of a live stream: a delay of up to two seconds each."""
    random = np.random.default_rng(seed)
    at = start + np.sort(random.integers(0, seconds * SECOND, seconds * per_second))
    records = np.sort(at + random.integers(0, 2 * SECOND, len(at)))
    return at + offset_minutes * MINUTE, records


def backlog(days, *, start=NOW, lines=5000):
    """Return the times of a history that is written within a few seconds."""
    local = start - np.linspace(days * 24 * HOUR, 0, lines).astype(np.int64)
    return local, start + np.arange(lines) * 1000


def offset_of(*streams):
    estimator = OffsetEstimator()
    for local, records in streams:
        estimator.observe(local, records)
    return estimator.offset()


# What the records' times show -----------------------------------------------------------------


@pytest.mark.parametrize("minutes", [0, -240, 345, 840, -570])
def test_a_live_stream_shows_its_offset(minutes):
    found = offset_of(live(minutes, 60))
    assert found is not None
    assert (found.minutes, found.share) == (minutes, 1.0)
    assert 0 <= found.lateness_s <= 2


def test_one_corrupt_time_in_twenty_changes_nothing():
    local, records = live(-240, 60)
    local[::20] += 7 * HOUR + 3 * MINUTE
    found = offset_of((local, records))
    assert found is not None
    assert found.minutes == -240
    assert 0.9 <= found.share < 1


@pytest.mark.parametrize("days", [7, 0.1, 2 / 24 / 60])
def test_a_backlog_written_at_once_shows_none(days):
    assert offset_of(backlog(days)) is None


def test_a_backlog_of_two_minutes_that_takes_a_while_to_write_shows_none():
    local = NOW - 45 * MINUTE + np.linspace(0, 120 * SECOND, 600).astype(np.int64)
    assert offset_of((local, NOW + np.linspace(0, 12 * SECOND, 600).astype(np.int64))) is None


def test_too_few_lines_and_too_short_a_time_show_none():
    assert offset_of(live(-240, 60, per_second=1)) is not None
    assert offset_of(live(-240, 15, per_second=1)) is None
    assert offset_of(live(-240, 5, per_second=200)) is None


def test_lines_without_a_record_time_show_none():
    local, _ = live(-240, 60)
    assert offset_of((local, np.full(len(local), NO_TIME))) is None


def test_live_lines_after_a_backlog_show_it():
    found = offset_of(backlog(7), live(60, 60))
    assert found is not None
    assert found.minutes == 60


def test_an_offset_that_no_zone_has_is_none():
    assert offset_of(live(20 * 60, 60)) is None


# A clock that is found ------------------------------------------------------------------------


def test_until_an_offset_is_found_the_text_is_taken_as_utc_and_said_to_be():
    clock = FoundClock()
    clock.observe(*backlog(7))
    converted = clock.convert(us("2026-11-20T10:05"), us("2026-11-20T14:05:01"))
    assert converted.utc_us == us("2026-11-20T10:05")
    assert converted.basis.tolist() == [TimeBasis.ASSUMED]


def test_a_line_counts_as_utc_by_the_offset_found():
    clock = FoundClock()
    clock.observe(*live(-240, 60))
    converted = clock.convert(us("2026-11-20T10:05"), us("2026-11-20T14:05:01"))
    assert converted.utc_us == us("2026-11-20T14:05")
    assert converted.offset_minutes.tolist() == [-240]
    assert converted.basis.tolist() == [TimeBasis.FOUND]


@pytest.mark.parametrize(
    ("record", "basis"),
    [
        ("2026-11-20T14:14", TimeBasis.FOUND),
        ("2026-11-20T14:04:10", TimeBasis.FOUND),
        ("2026-11-20T15:05", TimeBasis.ASSUMED),
        ("2026-11-20T13:05", TimeBasis.ASSUMED),
        ("2026-12-20T14:05", TimeBasis.ASSUMED),
        ("NaT", TimeBasis.FOUND),
    ],
)
def test_a_line_that_contradicts_the_offset_is_on_an_assumed_clock(record, basis):
    clock = FoundClock()
    clock.observe(*live(-240, 60))
    converted = clock.convert(us("2026-11-20T10:05"), us(record))
    assert converted.utc_us == us("2026-11-20T14:05")
    assert converted.basis.tolist() == [basis]


def test_a_clock_that_is_put_back_is_found_again():
    clock = FoundClock()
    clock.observe(*live(-240, 60))
    clock.observe(*live(-300, 30, start=NOW + 60 * SECOND))
    assert clock.found is not None
    assert clock.found.minutes == -300


def test_a_backlog_in_between_does_not_lose_the_offset():
    clock = FoundClock()
    clock.observe(*live(-240, 60))
    clock.observe(*backlog(7, start=NOW + 60 * SECOND))
    assert clock.found is not None
    assert clock.found.minutes == -240


# A zone that is set ---------------------------------------------------------------------------

NEW_YORK = ZoneClock(ZoneInfo("America/New_York"))
LORD_HOWE = ZoneClock(ZoneInfo("Australia/Lord_Howe"))
UTC_ZONE = ZoneInfo("UTC")


@pytest.mark.parametrize(
    ("local", "record", "utc", "offset"),
    [
        ("2026-11-20T10:05", "2026-11-20T15:05:01", "2026-11-20T15:05", -300),
        ("2026-07-20T10:05:00.000001", "NaT", "2026-07-20T14:05:00.000001", -240),
        # The hour that comes twice.
        ("2026-11-01T01:30", "2026-11-01T05:30:01", "2026-11-01T05:30", -240),
        ("2026-11-01T01:30", "2026-11-01T06:30:01", "2026-11-01T06:30", -300),
        ("2026-11-01T01:30", "NaT", "2026-11-01T05:30", -240),
        ("2026-11-01T01:30", "2026-11-09T12:00", "2026-11-01T05:30", -240),
        ("2026-11-01T00:59", "2026-11-01T05:59", "2026-11-01T04:59", -240),
        # The hour that does not come.
        ("2026-03-08T02:30", "NaT", "2026-03-08T07:30", -300),
        ("2026-03-08T03:00", "NaT", "2026-03-08T07:00", -240),
    ],
)
def test_local_time_is_converted_by_the_zone(local, record, utc, offset):
    converted = NEW_YORK.convert(us(local), us(record))
    assert converted.utc_us == us(utc)
    assert converted.offset_minutes.tolist() == [offset]
    assert converted.basis.tolist() == [TimeBasis.ZONE]


def test_a_zone_whose_summer_time_is_half_an_hour():
    converted = LORD_HOWE.convert(us("2026-04-05T01:45"), us("2026-04-04T15:15"))
    assert converted.utc_us == us("2026-04-04T15:15")


def test_no_lines_are_no_times():
    none = np.empty(0, np.int64)
    assert len(NEW_YORK.convert(none, none).utc_us) == len(FoundClock().convert(none, none).basis)


def test_a_zone_that_the_lines_contradict_is_said():
    clock = ZoneClock(UTC_ZONE)
    now = datetime(2026, 11, 20, 14, 1, tzinfo=UTC)
    clock.observe(*live(0, 60))
    assert site_clock.contradiction(clock, now) == ""
    clock.observe(*live(-240, 60, start=NOW + 60 * SECOND))
    assert "-240" in site_clock.contradiction(clock, now)
    assert site_clock.contradiction(FoundClock(), now) == ""
