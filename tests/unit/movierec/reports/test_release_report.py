"""A release's page says where it stands and why, from its steps alone."""

from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from movierec.errors import ReleaseError
from movierec.releases.log import Step, StepName, stamp
from movierec.releases.traffic_split import TrafficSplit
from movierec.reports import release_report

START = datetime(2026, 11, 20, 10, 15, tzinfo=UTC)
RELEASE = "20261120T101500000Z"
STABLE, CANARY = TrafficSplit("1"), TrafficSplit("1", "2", 5.0)


def step(
    name: StepName,
    minutes: float,
    after: TrafficSplit | None = None,
    reason: str = "",
    **facts: Any,
) -> Step:
    at = stamp(START + timedelta(minutes=minutes))
    return Step(RELEASE, "api", "m2", STABLE, name, "2", after, reason, at, facts)


def evaluation(**changes: Any) -> dict[str, Any]:
    versions = {
        "1": {"model_version": "m1", "HitRate": 0.1, "Novelty": 9.5},
        "2": {"model_version": "m2", "HitRate": 0.08, "Novelty": None},
    }
    return {
        "trials": {"stable": 9_500, "canary": 500},
        "hits": {"stable": 950, "canary": 40},
        "difference": -0.02,
        "lower": -0.05,
        "upper": 0.01,
        "verdict": "unclear",
        "versions": versions,
        **changes,
    }


START_STEP = step("start", 0, policy={"margin": 0.02})
EXPOSED = (START_STEP, step("cut", 0.5), step("weigh", 1, CANARY, "passed its smoke test"))


def text(*steps: Step) -> str:
    return release_report.render(steps).decode()


def charts(page: str) -> list[ET.Element]:
    found = [part.split("</svg>")[0] for part in page.split("<svg ")[1:]]
    return [ET.fromstring(f"<svg {each}</svg>") for each in found]  # noqa: S314  our own


def title(chart: ET.Element) -> str | None:
    return chart.findtext("{http://www.w3.org/2000/svg}title")


def test_the_headline_says_state_model_version_and_why() -> None:
    page = text(*EXPOSED, step("rollback", 30, STABLE, "alarm x: 3 errors"))

    assert f"<h1>Release {RELEASE}</h1>" in page
    assert "rolled back · model m2 · version 2 · in place of version 1: alarm x: 3 errors" in page


def test_each_step_is_told_with_its_time_its_users_and_its_reason() -> None:
    page = text(*EXPOSED)

    row = "<tr><td>2026-11-20 10:16:00</td><td>weigh</td><td>version 2 gets 5% of requests</td>"
    assert f"{row}<td>passed its smoke test</td></tr>" in page


def test_ticks_in_a_row_that_changed_nothing_are_one_line() -> None:
    holds = [step("hold", m, None, f"at 5% for {m} min") for m in (2, 3, 4)]

    page = text(*EXPOSED, *holds)

    assert "<td>3 looks</td><td></td><td>at 5% for 4 min</td>" in page
    assert "at 5% for 3 min" not in page


def test_the_charts_show_share_difference_and_hit_rate_over_the_looks() -> None:
    ticks = [step("hold", m, evaluation=evaluation()) for m in (12, 13)]

    found = charts(text(*EXPOSED, *ticks))

    assert [title(each) for each in found] == [
        "Share of requests",
        "Gain in hit rate, canary less stable",
        "Hit rate",
    ]


def test_before_there_are_bounds_their_chart_is_not_drawn_and_that_is_said() -> None:
    bare = evaluation(difference=None, lower=None, upper=None, versions={})

    page = text(*EXPOSED, step("hold", 12, evaluation=bare), step("hold", 13, evaluation=bare))

    assert "too few trials" in page
    assert [title(each) for each in charts(page)] == ["Share of requests"]
    assert "stable 950 of 9,500 lists watched" in page


def test_the_metrics_of_each_version_stand_side_by_side() -> None:
    page = text(*EXPOSED, step("hold", 12, evaluation=evaluation()))

    assert '<td>HitRate</td><td class="n">0.1</td><td class="n">0.08</td>' in page
    assert '<td>Novelty</td><td class="n">9.5</td><td class="n">-</td>' in page


def test_the_alarm_that_rolled_it_back_is_quoted() -> None:
    alarm = {"name": "movierec-canary-2-errors", "reason": "Threshold Crossed: 3 > 0"}

    page = text(*EXPOSED, step("rollback", 2, STABLE, alarm=alarm))

    assert "movierec-canary-2-errors, 2026-11-20 10:17:00: Threshold Crossed: 3 &gt; 0" in page


def test_the_policy_is_the_one_that_the_release_began_with() -> None:
    page = text(*EXPOSED)

    assert '<td>margin</td><td class="n">0.02</td>' in page
    assert "<td>5% → 25% → 50% → 100%</td>" in page


@pytest.mark.parametrize("hostile", ["<script>alert(1)</script>", '"><img src=x>'])
def test_what_others_wrote_is_text_and_never_markup(hostile: str) -> None:
    class Tags(HTMLParser):
        found: list[str] = []  # noqa: RUF012  one parser, one list

        def handle_starttag(self, tag: str, attrs: Any) -> None:
            self.found.append(tag)

    tags = Tags()
    tags.feed(text(*EXPOSED, step("rollback", 2, STABLE, hostile)))
    assert not {"script", "img"} & set(tags.found)


def test_a_release_that_has_only_begun_has_a_page() -> None:
    assert f"Release {RELEASE}" in text(START_STEP)


def test_the_share_ends_at_all_users_once_it_is_promoted() -> None:
    page = text(*EXPOSED, step("promote", 61, TrafficSplit("2")))
    (share,) = charts(page)
    curve = share.find('.//{http://www.w3.org/2000/svg}path[@class="chart-curve ours"]')

    assert curve is not None
    top = min(float(part.split("H")[0]) for part in curve.attrib["d"].split("V")[1:])
    assert curve.attrib["d"].split("V")[-1] == f"{top:.1f}"


def test_without_a_step_there_is_no_page() -> None:
    with pytest.raises(ReleaseError, match="release list"):
        release_report.render(())
