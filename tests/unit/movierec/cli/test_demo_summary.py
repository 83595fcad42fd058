from dataclasses import replace

import pytest

from movierec.cli.demo_summary import Expected, Lake, summarise

EXPECTED = Expected(events=100, model_versions=("m1", "m2"))
LAKE = Lake(
    events={"watch": 80, "rate": 15, "recommend": 10},
    quarantined={"bad_time": 2, "duplicate": 1},
    served=10,
)


def ledger(**requests):
    return {
        "events": {"total": 105, "watch": 80, "rate": 15, "recommend": 10},
        "quarantined": 3,
        "corrupted": {"inserted": {"detectable": 2}, "duplicate": {"duplicate": 1}},
        "unconfirmed": 0,
        "outcomes": {},
        "requests": {
            "total": 10,
            "availability": 1.0,
            "by_status": {"200": 10},
            "by_error": {},
            "by_model_version": {"m1": 9, "m2": 1},
            "by_source": {"model": 10},
            "by_model_and_source": {"m1": {"model": 9}, "m2": {"model": 1}},
            "latency_ms": {"p50": 9.0, "p95": 12.0, "p99": 20.0, "max": 30.0},
            **requests,
        },
    }


def summary(account, lake=LAKE, expected=EXPECTED, stolen_percent=0.0):
    return summarise(
        account,
        lake,
        expected,
        models=[],
        phases_s={"up": 1.234},
        total_s=2.34,
        peak_rss_mb={"proxy": 99.6},
        stolen_percent=stolen_percent,
    )


def test_accounts_that_agree_are_well():
    found = summary(ledger())
    assert found.ok
    assert found.problems == []
    assert found.events["lake"]["total"] == 105
    assert (found.phases_s, found.total_s, found.peak_rss_mb) == ({"up": 1.2}, 2.3, {"proxy": 100})


@pytest.mark.parametrize(
    ("account", "lake", "words"),
    [
        (ledger(), replace(LAKE, events={**LAKE.events, "watch": 79}), "watch events"),
        (ledger(), replace(LAKE, events={**LAKE.events, "strange": 1}), "strange events"),
        (ledger(), replace(LAKE, quarantined={"bad_time": 2}), "quarantined lines"),
        (ledger(), replace(LAKE, served=11), "served records"),
        (ledger() | {"unconfirmed": 4}, LAKE, "4 lines were never confirmed"),
        (ledger(availability=0.9, by_error={"timed out": 1}), LAKE, "availability 0.9"),
        (
            ledger(by_error={"timed out": 1}),
            replace(LAKE, served=12),
            "served records: the site wrote 10 to 11, the lake holds 12",
        ),
        (
            ledger(by_model_and_source={"m1": {"model": 9}, "m2": {"fallback": 1}}),
            LAKE,
            "model m2 answered nobody",
        ),
    ],
)
def test_what_disagrees_is_named(account, lake, words):
    found = summary(account, lake)
    assert not found.ok
    assert len(found.problems) == 1
    assert words in found.problems[0]


def test_what_was_served_when_the_site_had_given_up_may_be_on_record():
    account = ledger(by_error={"timed out": 2})
    assert [summary(account, replace(LAKE, served=n)).ok for n in (9, 10, 12)] == [0, 1, 1]


@pytest.mark.parametrize(
    ("account", "words"),
    [
        (ledger(latency_ms={"p99": 400.0}), "p99 400.0 ms"),
        (ledger(by_source={"model": 9, "fallback": 1}), "1 of 10 answers were fallbacks"),
    ],
)
def test_slowness_is_said_and_is_not_wrong(account, words):
    found = summary(account)
    assert found.ok
    assert len(found.slow) == 1
    assert words in found.slow[0]


@pytest.mark.parametrize(
    "account",
    [
        ledger(latency_ms={"p99": 400.0}),
        ledger(availability=0.9, by_error={"timed out": 1}),
    ],
)
def test_a_machine_that_others_take_time_from_is_named_beside_what_was_late(account):
    why = "12% of this machine's time went to others on its host"
    assert why in summary(account, stolen_percent=12.4).slow
    assert not any("host" in slow for slow in summary(account, stolen_percent=4.9).slow)


def test_nothing_is_slow_that_is_in_time():
    assert summary(ledger()).slow == []
    assert summary(ledger(), stolen_percent=50.0).slow == []


def test_too_small_a_history_is_a_problem():
    found = summary(ledger(), expected=replace(EXPECTED, events=1_000_000))
    assert found.problems == ["105 events, not 1000000 or more"]
