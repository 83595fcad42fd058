import json

import pytest

from simulator.line_corruption import Corruption, Detectability
from simulator.traffic_ledger import Ledger


def filled():
    ledger = Ledger()
    ledger.count_lines("watch", 10)
    ledger.count_lines("rate", 4)
    ledger.count_corrupted("watch", Corruption.INSERTED, Detectability.DETECTABLE)
    ledger.count_corrupted("watch", Corruption.INSERTED, Detectability.SILENT)
    ledger.count_corrupted("rate", Corruption.DUPLICATE, Detectability.DUPLICATE)
    ledger.count_offsets(0, 100, 115, 15)
    ledger.count_request(200, None, "m1", "model", 10.0)
    ledger.count_request(200, None, "m1", "popular", 20.0)
    ledger.count_request(0, "timed out", "unknown", "unknown", 801.26)
    outcome = ledger.outcome("m1")
    outcome.lists, outcome.movies, outcome.lists_watched, outcome.movies_watched = 2, 40, 1, 1
    outcome.watch_share_sum, outcome.ratings, outcome.rating_sum = 0.5, 2, 7
    return ledger


def test_detectable_lines_and_copies_are_quarantined_silent_ones_are_events():
    found = filled().as_json()
    assert found["lines"] == {"total": 15, "watch": 10, "rate": 5}
    assert found["events"] == {"total": 13, "watch": 9, "rate": 4}
    assert found["quarantined"] == 2
    assert found["lines"]["total"] == found["events"]["total"] + found["quarantined"]
    assert found["corrupted"]["inserted_character"] == {"detectable": 1, "silent": 1}


def test_requests_are_told_by_status_error_model_and_source():
    found = filled().as_json()["requests"]
    assert found["total"] == 3
    assert found["availability"] == pytest.approx(2 / 3, abs=1e-6)
    assert found["by_status"] == {"200": 2, "0": 1}
    assert found["by_error"] == {"timed out": 1}
    assert found["by_model_version"] == {"m1": 2}
    assert found["by_source"] == {"model": 1, "popular": 1}
    assert found["latency_ms"] == {"p50": 20.0, "p95": 801.3, "p99": 801.3, "max": 801.3}


def test_outcomes_are_shares_and_means():
    found = filled().as_json()["outcomes"]["m1"]
    assert found["share_of_lists_watched"] == 0.5
    assert found["share_of_movies_watched"] == 0.025
    assert found["watch_fraction"] == 0.5
    assert found["mean_rating"] == 3.5


def test_an_empty_account_has_no_shares():
    found = Ledger().as_json()
    assert found["requests"]["availability"] is None
    assert found["requests"]["latency_ms"]["p50"] is None


def test_an_account_comes_back_from_its_json():
    ledger = filled()
    assert Ledger.from_json(json.loads(json.dumps(ledger.as_json()))) == ledger


def test_two_accounts_add_up():
    total = filled()
    other = filled()
    other.count_offsets(0, 115, 130, 15)
    other.unconfirmed = 3
    total.add(other)
    found = total.as_json()
    assert found["lines"]["total"] == 30
    assert found["unconfirmed"] == 3
    assert found["offsets"]["0"] == {"first": 100, "next": 130, "lines": 45}
    assert found["requests"]["total"] == 6
    assert found["outcomes"]["m1"]["lists"] == 4
    assert found["outcomes"]["m1"]["mean_rating"] == 3.5
