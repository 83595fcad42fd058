"""Lists of a site with another clock or scale, with large ids or impossible times in its lake."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from functions.evaluate_online import lake_window
from functions.evaluate_online.lake_window import Window
from movierec.aws.delta_lake import DeltaLake
from movierec.model.rating_scale import RatingScale
from movierec.releases.evaluation import sentence
from tests.contract.served_site import (
    HORIZON_S,
    START,
    Site,
    alive,
    answer,
    asked,
    dependencies,
    evaluate,
    fill,
    line,
    moment,
    rate,
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


def act(site, *, behind_s=0.0, users=40, offset_to=0, **more):
    """Serve each user a list; each asks and watches, in lines on a clock that is behind."""
    site.serve(
        *(
            answer(30 * n, n + offset_to, ["a", "b"], "4" if n % 2 else "3")
            for n in range(1, users + 1)
        )
    )
    lines = [
        made(30 * n + after - behind_s, n + offset_to, *given) | more
        for n in range(1, users + 1)
        for made, after, given in ((asked, 0, ()), (watch, 40, ("a" if n % 3 else "z",)))
    ]
    site.log(*lines, *({**row, **more} for row in alive(3500 - behind_s)))


def test_lists_that_meet_no_line_of_a_site_four_hours_behind_are_refused(site, deps):
    act(site, behind_s=14_400)
    found = evaluate(deps, release((0, 50.0)))
    assert (found.verdict, found.trials, found.trials_key) == (None, None, None)
    assert found.refused == (
        "no line of the site matches any of the 40 lists that were served between"
        " 2026-11-20 23:50:30 and 2026-11-21 00:10:00 UTC: clocks? topic? see `movierec status`"
    )
    assert sentence(found.to_json()).startswith("not evaluated: no line of the site")


def test_no_hit_rate_is_published_of_lists_that_meet_no_line(site, deps, capsys):
    act(site, behind_s=14_400)
    found = evaluate(deps, {"window_s": 3600 * 24})
    assert found.refused
    printed = [json.loads(text) for text in capsys.readouterr().out.splitlines() if "_aws" in text]
    published = {
        metric["Name"]
        for record in printed
        for metric in record["_aws"]["CloudWatchMetrics"][0]["Metrics"]
    }
    assert "Availability" in published
    assert published.isdisjoint({"HitRate", "WatchFraction", "MeanRating", "Score"})


def test_lists_whose_lines_never_came_are_refused(site, deps):
    site.serve(answer(10, 1, ["a"]), answer(20, 2, ["a"], "4"))
    found = evaluate(deps, release((0, 50.0)))
    assert found.refused
    assert found.refused.startswith("no line of the site matches any of the 2 lists")


def test_lists_that_meet_their_lines_are_judged_though_nobody_watches(site, deps):
    site.serve(answer(10, 1, ["a"]), answer(20, 2, ["a"], "4"))
    site.log(asked(10, 1), asked(21, 2), *alive(3500))
    found = evaluate(deps, release((-100, 50.0), since=-100))
    assert (found.refused, found.verdict) == (None, "unclear")
    assert found.trials == {"stable": 1, "canary": 1}
    assert "refused" not in found.to_json()


def test_lists_that_are_not_due_are_no_reason_to_refuse(site, deps):
    site.serve(answer(3000, 1, ["a"]), answer(3100, 2, ["a"], "4"))
    site.log(*alive(3500))
    found = evaluate(deps, release((2000, 50.0), since=2000))
    assert (found.refused, found.verdict) == (None, "unclear")


def test_no_list_is_judged_on_lines_of_an_assumed_clock(site, deps):
    act(site, time_basis="assumed")
    found = evaluate(deps, release((-100, 50.0), since=-100))
    assert found.until is None
    assert found.refused
    assert "; 90 lines on an assumed clock do not count" in found.refused


@pytest.mark.parametrize("basis", ["zone", "found"])
def test_lines_of_a_known_clock_are_what_they_were_without_a_word_of_it(site, deps, lake, basis):
    act(site, time_basis=basis)
    # Without their basis these were a hit, and the newest lines.
    site.log(*(row | {"time_basis": "assumed"} for row in (watch(95, 3, "a"), *alive(3599))))
    found = evaluate(deps, release((-100, 50.0), since=-100))
    assert (found.refused, found.until) == (None, moment(3500 - 15))
    assert found.trials == {"stable": 20, "canary": 20}
    assert found.hits == {"stable": 14, "canary": 13}


def test_events_of_impossible_times_break_nothing(site, deps):
    fill(site)
    clean = evaluate(deps, {"window_s": 7200})
    for year in (1926, 1969, 2206, 9999):
        at = datetime(year, 11, 20, 10, 15, tzinfo=UTC)
        site.log(*({**row, "event_time": at} for row in (watch(0, 1, "a"), rate(0, 1, "a", 1))))
    found = evaluate(deps, {"window_s": 7200})
    assert (found.versions, found.overall) == (clean.versions, clean.overall)
    assert found.until == clean.until


@pytest.mark.parametrize("largest", [400_000_000_000_000, 999_999_999_999_999_999])
def test_users_with_large_ids_have_hits_of_their_own(site, deps, largest):
    act(site, offset_to=largest - 40)
    found = evaluate(deps, release((-100, 50.0), since=-100))
    assert found.trials == {"stable": 20, "canary": 20}
    assert found.hits == {"stable": 14, "canary": 13}


def test_ratings_up_to_ten_are_measured_as_up_to_five(site, deps):
    site.load(a=100)
    site.serve(answer(100, 1, ["a"]), answer(200, 2, ["a"]))
    site.log(rate(150, 1, "a", 9), rate(250, 2, "a", 1), *alive(3000))
    found = evaluate(replace(deps, scale=RatingScale(1, 10)), {"window_s": 7200})
    nine = 1 + 4 * 8 / 9
    assert found.overall["MeanRating"] == pytest.approx((nine + 1) / 2)
    assert found.overall["AverageRating"] == pytest.approx((nine + 1) / 2)
    assert found.overall["Score"] == pytest.approx((nine + 1) / 10)


def test_new_accounts_are_no_viewings(site, deps, lake):
    fill(site)
    clean = evaluate(deps, {"window_s": 7200})
    site.log(*(line("create_account", 60 * n, 7000 + n) for n in range(20)))
    found = evaluate(deps, {"window_s": 7200})
    assert (found.versions, found.overall) == (clean.versions, clean.overall)
    window = Window(START, moment(3400), HORIZON_S)
    assert lake_window.read_site(lake, lake_window.pin(lake), window).lines == 19
