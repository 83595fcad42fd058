"""A lineage laid out for people and machines."""

import json
from dataclasses import replace

import pytest

from movierec.provenance import report
from movierec.provenance.lineage import Lineage
from tests.unit.movierec.provenance.example import CHAIN, MODEL, SERVED


def text(chain: Lineage) -> str:
    return "\n".join(
        f"[{section.title}] {label}: {value}"
        for section in report.render(chain)
        for label, value in section.rows
    )


def test_a_whole_chain_is_laid_out_link_by_link() -> None:
    titles = [section.title for section in report.render(CHAIN)]

    assert titles == ["recommendation", "site", "function", "release", "model", "data set"]


@pytest.mark.parametrize(
    "fact",
    [
        "[recommendation] id: id-1",
        "[recommendation] movies: a+1999, b+2000",
        "[site] line: 2026-11-20T10:15:00.250,7,recommendation request host:8082, status 200, "
        "result: a+1999, b+2000, 12 ms",
        "[site] Kafka: partition 0, offset 4711",
        "[function] version: movierec-api:12",
        "[function] code: abc123",
        "[release] weigh: 2026-11-20T09:00:00: version 12 gets 25% of requests (fine so far)",
        f"[model] version: {MODEL}",
        "[model] code: abc123 with local changes",
        "[model] libraries: python 3.13.0, numpy 2.3",
        "[model] offline, model: ndcg 0.1235",
        "[data set] lake versions: events 41",
        "[data set] partition 0: 0..99, 100 rows",
        "[data set] rows: watch 90, rate 10",
        "[data set] events: 2026-09-21T",
    ],
)
def test_every_fact_of_the_chain_is_shown(fact: str) -> None:
    assert fact in text(CHAIN)


def test_the_sites_line_has_the_sites_text_of_the_time() -> None:
    assert CHAIN.site_event is not None
    event = {**CHAIN.site_event, "site_time": "2026-11-20T06:15:00.250", "time_basis": "zone"}
    found = text(replace(CHAIN, site_event=event))

    assert "[site] line: 2026-11-20T06:15:00.250,7,recommendation request host:8082" in found


def test_a_chain_that_ends_early_says_why() -> None:
    chain = Lineage(SERVED, missing=("the function: the proxy answered",))

    assert [section.title for section in report.render(chain)] == ["recommendation", "missing"]
    assert "the proxy answered" in text(chain)


def test_a_chain_is_plain_json() -> None:
    found = json.loads(json.dumps(report.to_json(CHAIN)))

    assert found["served"]["served_at"] == "2026-11-20T10:15:00.250000+00:00"
    assert found["site_line"].startswith("2026-11-20T10:15:00.250,7,recommendation request")
    assert found["model"]["dataset_id"] == found["dataset"]["dataset_id"]
    assert json.loads(json.dumps(report.to_json(Lineage(SERVED))))["function"] is None


@pytest.mark.parametrize(
    ("detail", "shown", "plain"),
    [
        (
            '{"v":1,"cold_start":false,"popular_group":"F:25-34"}',
            "cold_start false, popular_group F:25-34",
            {"v": 1, "cold_start": False, "popular_group": "F:25-34"},
        ),
        ('{"v":1,"fallback":"timeout"}', "fallback timeout", {"v": 1, "fallback": "timeout"}),
        (
            '{"v":2,"arm":{"name":"b","p":0.25},"seen":null}',
            'arm {"name": "b", "p": 0.25}, seen null',
            {"v": 2, "arm": {"name": "b", "p": 0.25}, "seen": None},
        ),
        ("no JSON", "text no JSON", {"text": "no JSON"}),
        ("[1]", "text [1]", {"text": "[1]"}),
    ],
)
def test_the_detail_is_shown_whatever_is_in_it(
    detail: str, shown: str, plain: dict[str, object]
) -> None:
    chain = replace(CHAIN, served=replace(SERVED, detail=detail))

    assert f"[recommendation] detail: {shown}" in text(chain).splitlines()
    assert json.loads(json.dumps(report.to_json(chain)))["served"]["detail"] == plain


def test_a_recommendation_of_before_has_no_detail_to_show() -> None:
    assert "detail" not in text(CHAIN)
    assert report.to_json(CHAIN)["served"]["detail"] is None
