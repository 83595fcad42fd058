"""The SQL of evaluate_online on a real Delta lake, in a folder, up to the verdict."""

import json
from dataclasses import replace

import numpy as np
import pytest

from functions.evaluate_online import lake_window
from functions.evaluate_online.handler import Dependencies
from functions.evaluate_online.lake_window import Window
from movierec import metrics
from movierec.aws.delta_lake import DeltaLake
from movierec.errors import ConfigError, UnavailableError, UsageError
from movierec.releases.evaluation import replay
from movierec.testing.memory import MemoryStore
from tests.contract.served_site import (
    HORIZON_S,
    MODELS,
    POLICY,
    START,
    Site,
    alive,
    answer,
    asked,
    dependencies,
    evaluate,
    fill,
    moment,
    release,
    watch,
)


@pytest.fixture
def lake(tmp_path):
    return DeltaLake(str(tmp_path / "lake"))


@pytest.fixture
def site(lake):
    return Site(lake)


@pytest.fixture
def deps(lake):
    return dependencies(lake)


def test_a_look_at_a_release_gives_its_trials(site, deps):
    fill(site)
    found = evaluate(deps, release((0, 5.0), (650, 25.0)))
    # User 1's second list lies in the window of her first; 5's horizon is not over.
    assert found.trials == {"stable": 1, "canary": 2}
    assert found.hits == {"stable": 1, "canary": 1}
    assert found.mixed_windows == 1
    assert (found.verdict, found.lower, found.upper) == ("unclear", None, None)
    assert found.until == moment(3400 - 15)
    assert found.lake_versions == {"events": 1, "movies": 1, "served": 1}
    body = deps.store.get(found.trials_key)
    assert replay(found, body, POLICY) == found


def test_the_metrics_are_those_of_finished_lists(site, deps):
    fill(site)
    found = evaluate(deps, {"window_s": 7200})
    assert found.release_id is found.verdict is found.trials_key is None
    third, fourth = found.versions["3"], found.versions["4"]
    assert (third["model_version"], third["Requests"], fourth["Requests"]) == (MODELS["3"], 1, 3)
    assert third["HitRate"] == 1
    assert third["WatchFraction"] == pytest.approx(0.4)
    assert third["MeanRating"] == 5
    assert third["ResponseTimeMs"] == 20
    assert third["Coverage"] == 3 / 5
    # Place 1 at 40 %, place 3 rated 5.
    assert third["Score"] == pytest.approx((0.6 + 1) / 2)
    # User 2 watched at the last second that counts, and rated past it.
    assert (fourth["HitRate"], fourth["WatchFraction"]) == (pytest.approx(1 / 3), 0.5)
    assert fourth["MeanRating"] == (4 + 5) / 2
    assert found.overall["Requests"] == 4
    assert found.overall["Availability"] == 3 / 4
    assert found.overall["AverageRating"] == pytest.approx((4 + 1 + 5) / 3)
    assert found.overall["ModelAgeDays"] == pytest.approx(1 / 24)


def test_dollars_are_the_catalogs_newest_and_the_median_where_it_knows_none(site, deps):
    site.load([9.0, 9.0, None, 9.0], a=100, b=50, c=60, d=60)
    site.load([1.0, 3.0, None, -4.0], "2026-11-21", a=100, b=50, c=60, d=60)
    site.serve(answer(100, 1, ["a", "b", "c", "d"]), answer(100, 2, ["b", "new"], "4"))
    site.log(watch(110, 1, "a", 20), watch(110, 1, "d", 20), watch(110, 1, "new", 20))
    site.log(watch(110, 2, "b", 20), *alive(3400))
    found = evaluate(deps, {"window_s": 7200})
    third, fourth = found.versions["3"], found.versions["4"]
    assert third["ListCostUsd"] == (1 + 3 + 2 + 2) / 4
    assert third["WatchedCostTotalUsd"] == 1 + 2
    assert third["WatchedCostUsd"] == 1.5
    assert (fourth["ListCostUsd"], fourth["WatchedCostUsd"]) == (2.5, 3)
    assert found.overall["WatchedCostTotalUsd"] == 6


def test_a_catalog_without_costs_gives_no_dollars(site, deps):
    site.load(a=100)
    site.serve(answer(100, 1, ["a"]))
    site.log(watch(110, 1, "a", 20), *alive(3400))
    found = evaluate(deps, {"window_s": 7200})
    assert found.overall["ListCostUsd"] is None
    assert found.versions["3"]["WatchedCostUsd"] is None


def test_sums_in_batches_are_the_same_sums(site, lake):
    fill(site)
    window = Window(START, moment(3400), HORIZON_S)
    versions = lake_window.pin(lake)
    lines = lake_window.read_site(lake, versions, window).lines
    whole = lake_window.read_evidence(lake, versions, window, lines=lines)
    parts = lake_window.read_evidence(
        lake, versions, window, lines=lines, batch_lines=3, batch_lists=2
    )
    by = {"rows": ["user_id", "served_at"], "viewings": ["user_id", "first"], "ratings": ["at"]}
    for name, order in by.items():
        one, other = (
            getattr(found, name).sort_values(order, ignore_index=True) for found in (whole, parts)
        )
        assert one.drop(columns="number", errors="ignore").equals(
            other.drop(columns="number", errors="ignore")
        )
    assert sorted(whole.movies.tolist()) == sorted(parts.movies.tolist())


def test_what_users_did_who_got_no_list_is_not_read(site, lake):
    fill(site)
    window = Window(START, moment(3400), HORIZON_S)
    found = lake_window.read_evidence(lake, lake_window.pin(lake), window, lines=10)
    assert set(found.viewings["user_id"]) == {1, 2, 4, 5}


def test_a_single_line_from_the_future_moves_nothing(site, deps):
    fill(site)
    site.log(watch(100_000, 7, "a"), *alive(3599, n=3))
    assert evaluate(deps).until == moment(3400 - 15)


def test_a_lake_that_is_behind_holds_the_watermark_back(site, deps):
    fill(site)
    deps.clock.advance(7200)
    assert evaluate(deps).until == moment(3400 - 15)


def test_an_older_lists_outcome_does_not_count_before_its_horizon_is_over(site, deps):
    site.serve(answer(0, 1, ["a"]), answer(200, 2, ["a"], "4"))
    site.log(watch(1, 1, "a"), watch(201, 2, "a"), *alive(620))
    event = release((-100, 50.0), since=-100)
    assert evaluate(deps, event).trials == {"stable": 1, "canary": 0}
    site.log(*alive(900))
    assert evaluate(deps, event).trials == {"stable": 1, "canary": 1}


def test_without_tables_there_is_nothing_to_say_and_nothing_to_fail_on(deps, site):
    event = release((0, 50.0))
    empty = evaluate(deps, event)
    assert (empty.until, empty.versions, empty.verdict) == (None, {}, "unclear")
    assert empty.trials == {"stable": 0, "canary": 0}
    site.log(asked(2900, 1), *alive(3000))
    unserved = evaluate(deps)
    assert (unserved.versions, unserved.overall["Availability"]) == ({}, 1)
    site.serve(answer(-100_000, 1, ["a"]))
    assert evaluate(deps).overall["Requests"] == 0
    assert evaluate(deps, event).verdict == "unclear"


def test_lists_without_movies_are_lists(site, deps):
    site.serve(answer(0, 1, []), answer(1, 2, [], "4"))
    site.log(*alive(3000))
    assert evaluate(deps).overall["HitRate"] == 0


def test_what_a_proxy_left_out_is_unknown_and_not_published_under_a_wrong_name(site, deps, capsys):
    unnamed = {k: v for k, v in answer(0, 1, ["a"]).items() if k != "model_version"}
    site.serve({k: v for k, v in unnamed.items() if k != "latency_ms"})
    site.log(*alive(3000))
    found = evaluate(deps)
    assert found.versions["3"]["ResponseTimeMs"] is None
    assert found.overall["ModelAgeDays"] is None
    (only,) = emf(capsys)
    assert only["service"] == metrics.QUALITY_SERVICE


def test_each_models_metrics_are_published_under_its_name(site, deps, capsys):
    fill(site)
    evaluate(deps)
    records = emf(capsys)
    assert {r.get("ModelVersion") or r["service"] for r in records} == {
        MODELS["3"],
        MODELS["4"],
        metrics.QUALITY_SERVICE,
    }
    declared = {m.name: m.unit for m in metrics.OVERALL_METRICS}
    for record in records:
        head = record["_aws"]["CloudWatchMetrics"][0]
        assert head["Namespace"] == metrics.NAMESPACE
        assert len(head["Dimensions"][0]) == 1
        assert {m["Name"]: m["Unit"] for m in head["Metrics"]}.items() <= declared.items()
    (overall,) = (r for r in records if "service" in r)
    assert overall["Availability"] == [0.75]
    assert {m["Name"] for m in overall["_aws"]["CloudWatchMetrics"][0]["Metrics"]} == set(declared)


def test_a_look_publishes_bounds_and_leaves_the_days_metrics_alone(site, deps, capsys):
    simulate(site, gain=0.2, n=2000)
    found = evaluate(deps, release((-100, 50.0), since=-100))
    (overall,) = (r for r in emf(capsys) if "service" in r)
    assert overall["HitRateDifference"] == [found.difference]
    assert overall["HitRateDifferenceLower"] == [found.lower]
    assert "Availability" not in overall


def emf(capsys):
    printed = capsys.readouterr().out.splitlines()
    return [record for text in printed if "_aws" in (record := json.loads(text))]


def simulate(site, *, gain, n, seed=1):
    """Serve n users one list each, half of them by the canary; hit rate 0.3, or `gain` more."""
    rng = np.random.default_rng(seed)
    canary = rng.random(n) < 0.5
    hit = rng.random(n) < 0.3 + gain * canary
    seconds = np.sort(rng.uniform(0, 600, n))
    sides = np.where(canary, "4", "3").tolist()
    chosen = np.where(hit, "a", "z").tolist()
    users = list(zip(range(n), seconds.tolist(), sides, chosen, strict=True))
    site.serve(*(answer(second, user, ["a", "b"], side) for user, second, side, _ in users))
    site.log(*(watch(second + 5, user, movie) for user, second, _, movie in users), *alive(3000))


@pytest.mark.parametrize(("gain", "verdict"), [(0.1, "fine"), (-0.2, "worse")])
def test_the_difference_is_near_the_truth_and_the_verdict_follows(site, deps, gain, verdict):
    simulate(site, gain=gain, n=4000)
    found = evaluate(deps, release((-100, 50.0), since=-100))
    assert found.lower < gain < found.upper
    assert found.difference == pytest.approx(gain, abs=0.05)
    assert found.verdict == verdict
    assert sum(found.trials.values()) == 4000


def test_no_verdict_is_given_whose_trials_could_not_be_stored(site, deps):
    simulate(site, gain=0.1, n=200)
    with pytest.raises(UnavailableError):
        evaluate(replace(deps, store=MemoryStore(fail_puts=1)), release((-100, 50.0)))


def test_a_wrong_event_is_refused(deps):
    with pytest.raises(UsageError, match="no canary"):
        evaluate(deps, {"release_id": "r1", "stable": "3"})


def test_missing_settings_are_named():
    with pytest.raises(ConfigError, match="MOVIEREC_LAKE_BUCKET"):
        Dependencies.from_env({})
