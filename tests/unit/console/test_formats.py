"""How values are written."""

from datetime import datetime

import pytest

from console import formats

DASH, MINUS = formats.NOTHING, "\N{MINUS SIGN}"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, DASH),
        (0, "0"),
        (1234567, "1,234,567"),
        (0.123456, "0.1235"),
        (2.0, "2"),
        (12345.6, "12,346"),
    ],
)
def test_numbers(value, text):
    assert formats.number(value) == text


@pytest.mark.parametrize(
    ("share", "digits", "text"),
    [
        (None, 1, DASH),
        (float("nan"), 1, DASH),
        (0, 1, "0%"),
        (1, 2, "100%"),
        (0.00001, 1, "<0.1%"),
        (0.99999, 2, ">99.99%"),
        (0.5, 2, "50%"),
        (0.1234, 1, "12.3%"),
    ],
)
def test_what_is_not_whole_is_never_rounded_to_0_or_100_percent(share, digits, text):
    assert formats.percent(share, digits) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, DASH),
        (-3, "0 s"),
        (59, "59 s"),
        (61, "1 min"),
        (5_400, "1.5 h"),
        (86_400 * 12, "12 d"),
    ],
)
def test_time_spans(seconds, text):
    assert formats.span(seconds) == text


def test_differences_have_a_sign():
    assert formats.signed(0.01234) == "+0.0123"
    assert formats.signed(-0.5) == f"{MINUS}0.5000"
    assert formats.signed(None) == DASH


@pytest.mark.parametrize(
    ("version", "text"),
    [
        ("20261120T101500Z-0123456789ab-d1", "2026-11-20 10:15:00 0123456"),
        ("m1", "m1"),
        ("20261120T101500Z", "20261120T101500Z"),
        ("", ""),
    ],
)
def test_model_versions_are_shortened_if_they_are_ones(version, text):
    assert formats.short(version) == text


def test_manifests_values_are_plain():
    found = {"a": 1_000, "b": [1.5, "x"], "c": None, "d": True, "e": {}}
    assert formats.plain(found) == f"a 1,000, b 1.5, x, c {DASH}, d yes, e {DASH}"


def test_shares_of_nothing_are_none():
    assert formats.shares([0, 0], 100) == [(0, 0), (0, 0)]
    assert formats.shares([1, 3], 100) == [(0, 25), (25, 75)]


def test_times_are_in_utc():
    assert (
        formats.clock(datetime.fromisoformat("2026-11-20T10:00:00+02:00")) == "2026-11-20 08:00:00"
    )
