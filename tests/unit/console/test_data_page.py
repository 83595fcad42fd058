"""Data: what the lines become, and what is wrong with those that become nothing."""

import re
from datetime import timedelta

from tests.unit.console import recorded
from tests.unit.console.recorded import HEALTH, NOW


def test_events_are_counted_by_kind(browse, busy):
    found = browse(busy).get("/data")

    assert "watch 3,486 58.1 a minute" in found.panel("lines")
    assert "recommend 870" in found.panel("lines")


def test_the_minute_that_goes_on_is_no_fall(browse, busy):
    numbers = browse(busy).get("/data").panel("lines")

    assert re.search(r"2026-11-20 12:00:00 \N{EN DASH}", numbers) is None
    assert "2026-11-20 11:59:00 60" in numbers


def test_a_worker_that_writes_says_how_far_behind_each_partition_is(browse, busy):
    found = browse(busy).get("/data").panel("ingest")

    assert "State writes Lines a second 63.4" in found
    assert "movielog1-0 12 movielog1-1 7" in found


def test_a_worker_that_fails_or_has_nothing_says_so(browse, busy):
    busy.health = {**HEALTH, "failing": "the lake does not answer", "partitions": {}}

    found = browse(busy).get("/data").panel("ingest")

    assert "fails: the lake does not answer" in found
    assert "It has no partition" in found


def test_quarantine_is_shown_by_reason_with_examples(browse, busy):
    page = browse(busy).get("/data")
    found = page.panel("quarantine")

    assert "malformed 12 lines, the newest 1 min ago" in found
    assert "GET /data/m/low+tide+2015/" in found
    assert r"/rate/second+spring+2004=\xff" in found
    assert "unknown movie" in found


def test_of_a_long_line_the_beginning_is_shown(browse, busy):
    """And of one that is no text, what can be."""
    line = b"\x00<b>" + b"x" * 1_000
    when = recorded.us(NOW - timedelta(seconds=5))
    row = {"reason": ["malformed"], "raw": [line], "ingested_at": [when]}
    busy.lake.append("quarantine", [row], transactions={})

    page = browse(busy).get("/data")

    assert "<b>" not in page.text
    assert "x" * 200 in page.panel("quarantine")
    assert "x" * 300 not in page.panel("quarantine")


def test_lines_that_wait_and_what_the_site_said(browse, busy):
    found = browse(busy).get("/data").panel("waiting")
    assert "41 lines" in found
    assert "Admitted 318 Site knew 64 movies, 212 users" in found

    waiting = {**HEALTH["waiting"], "site_failure": "connection refused"}
    busy.health = {**HEALTH, "waiting": waiting}
    busy.clock.advance(60)
    assert "The site does not answer: connection refused" in browse(busy).get("/data").panel(
        "waiting"
    )


def test_violations_of_the_declared_schema_are_of_the_newest_data_set(browse, busy):
    page = browse(busy).get("/data")
    found = page.panel("violations")

    assert "Data set d7e01c35 , 3 fields checked." in found
    assert "watch minute 812,000 12 31 <0.01%" in found
    assert "needs attention 31 of 812,000 rows" in found
    assert "/documents/models/dataset/d7e01c35" in page.text


def test_an_empty_system_says_what_to_do(browse):
    page = browse(recorded.empty()).get("/data")

    assert "movierec simulate --no-site" in page.panel("lines")
    assert "every line was an event" in page.panel("quarantine")
    assert "movierec retrain" in page.panel("violations")
