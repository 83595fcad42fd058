"""The overview: is the service well, and if not, where to look."""

from datetime import timedelta

import pytest

from movierec.releases.alarm_states import Alarm
from tests.unit.console import recorded
from tests.unit.console.recorded import HEALTH, NOW

TILES = ("service", "alarms", "traffic", "served", "model", "lag", "quarantine", "clock")


def test_it_says_how_the_site_was_answered(browse, busy):
    found = browse(busy).get("/").panel("service")

    assert "Availability 99.77% good 2 not answered Requests 870" in found
    assert "p50 23 ms p95 54 ms p99 74 ms good" in found


def test_it_says_who_gets_which_version(browse, busy):
    found = browse(busy).get("/")

    assert "75 : 25 % stable : canary" in found.panel("traffic")
    assert "20261120T102530000Z : exposed at 25%" in found.panel("traffic")
    assert "7 model 615 70.7%" in found.panel("served")
    assert "proxy fallback 4 0.5%" in found.panel("served")


def test_alarms_that_ring_come_with_what_they_mean(browse, busy):
    found = browse(busy).get("/").panel("alarms")

    assert "1 of 7 ring bad movierec-ingest-lag for 4 min" in found
    assert "A line has waited more than 300 s" in found


def test_without_a_ringing_alarm_all_is_quiet(browse, busy):
    busy.alarms.found = [a for a in busy.alarms.found if a.state != "alarm"]

    found = browse(busy).get("/").panel("alarms")

    assert "All quiet good 6 alarms, 1 of them without data." in found


def test_of_many_alarms_the_newest_are_shown(browse, busy):
    busy.alarms.found += [
        Alarm(f"movierec-{i}", "alarm", "", "", NOW - timedelta(seconds=i)) for i in range(9)
    ]

    found = browse(busy).get("/").panel("alarms")

    assert "movierec-0" in found
    assert "movierec-ingest-lag" not in found
    assert "and 4 more" in found


@pytest.mark.parametrize(
    ("health", "tile", "says"),
    [
        ({"lag_s": 301.0}, "lag", "5 min bad"),
        ({"lag_s": 61.0}, "lag", "1 min needs attention"),
        ({"failing": "the lake does not answer"}, "lag", "bad 19 lines wait"),
        ({"failing": "the lake does not answer"}, "lag", "the lake does not answer"),
        ({"quarantined": {"malformed": 0.2}}, "quarantine", "20% bad malformed 20%"),
        ({"quarantined": {}}, "quarantine", "0% good Every line was an event."),
        ({"quarantined": {"malformed": 0.00001}}, "quarantine", "<0.01%"),
    ],
)
def test_what_the_worker_says_is_weighed(browse, busy, health, tile, says):
    busy.health = {**HEALTH, **health}

    assert says in browse(busy).get("/").panel(tile)


@pytest.mark.parametrize(
    ("clock", "says"),
    [
        ({}, "UTC\N{MINUS SIGN}5:00 good movielog1: found from Kafka's timestamps"),
        ({"offset_minutes": 330, "basis": "zone"}, "UTC+5:30 good movielog1: as the zone"),
        ({"wrong": "the zone says 60 minutes less"}, "Wrong bad the zone says 60 minutes less"),
        ({"offset_minutes": None, "basis": "assumed"}, "Unknown needs attention"),
        ({"offset_minutes": None, "basis": "zone"}, "By its zone good"),
    ],
)
def test_the_sites_clock_is_said_in_words(browse, busy, clock, says):
    clocks = {"movielog1": HEALTH["site_clocks"]["movielog1"] | clock}
    busy.health = {**HEALTH, "site_clocks": clocks}

    assert says in browse(busy).get("/").panel("clock")


def test_an_old_model_is_bad(browse, busy):
    busy.clock.advance(8 * 86_400)

    assert "9.4 d bad" in browse(busy).get("/").panel("model")


def test_a_longer_time_span_has_what_was_before(browse, busy):
    browser = browse(busy)
    busy.clock.advance(3_600)

    assert "no request in this time span" in browser.get("/").panel("service")
    later = browser.get("/?window=6h")
    assert "Requests 870" in later.panel("service")
    assert 'aria-current="true">6 h<' in later.text


def test_an_empty_system_says_what_to_do(browse):
    found = browse(recorded.empty()).get("/")

    assert found.status == 200
    assert "movierec simulate --no-site" in found.panel("service")
    assert "movierec release cut" in found.panel("traffic")
    assert "movierec retrain" in found.panel("model")
    assert "movierec up" in found.panel("alarms")
    assert "Nothing written yet." in found.panel("lag")


def test_when_everything_is_down_each_part_says_so_and_what_to_do(browse, busy):
    found = browse(busy.fail()).get("/")

    assert found.status == 200
    for tile in TILES:
        assert "Cannot be read" in found.panel(tile)
    assert "MOVIEREC_INGEST_URL is not set" in found.panel("lag")
    assert "failed on request of the test" in found.panel("service")


def test_one_part_that_is_down_leaves_the_others(browse, busy):
    busy.alarms.fail_reads = 1

    found = browse(busy).get("/")

    assert "Cannot be read" in found.panel("alarms")
    assert "99.77%" in found.panel("service")
