"""Provenance: search, the lineage drawn and in words, checks on demand."""

from dataclasses import replace

import pytest

from console.lineage_graph import graph_of
from movierec.provenance.checks import Check, check_is_gone
from movierec.provenance.lineage import Lineage
from tests.unit.console import recorded
from tests.unit.movierec.provenance.example import CHAIN, SERVED

BY_USER = "/provenance?user=7&at=2026-11-20T10:10"


def test_a_lineage_is_found_by_id(browse, busy):
    page = browse(busy).get("/provenance?id=id-1")

    assert "Recommendation id-1 user 7" in page.panel("chain")
    assert "id id-1 user 7 served at" in page.panel("chain")
    assert "Data set d1" in page.panel("chain")
    assert 'aria-label="Lineage: Site' in page.text


def test_a_lineage_is_found_by_user_and_time(browse, busy):
    browser = browse(busy)

    assert "Recommendation id-1" in browser.get(BY_USER).panel("chain")
    assert "Recommendation id-1" in browser.get("/provenance?user=7").panel("chain")
    late = browser.get("/provenance?user=7&at=2026-11-25T10:10")
    assert "was served nothing within a day of 2026-11-25T10:10" in late.panel("chain")


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ("id=nothing", "no recommendation 'nothing' in the lake"),
        ("user=9", "user 9 was served nothing"),
        ("user=me", "user 'me' is no id: expected a positive number"),
        ("user=0", "is no id"),
        ("user=1234567890123456789", "is no id"),
        ("user=7&at=noon", "'noon' is no time"),
    ],
)
def test_what_cannot_be_found_is_said_with_what_is_expected(browse, busy, asked, says):
    page = browse(busy).get(f"/provenance?{asked}")

    assert page.status == 200
    assert says in page.panel("chain")


def test_what_was_asked_stays_in_the_form(browse, busy):
    text = browse(busy).get("/provenance?id=%22%3E%3Cb%3E").text

    assert 'name="id" value="&#34;&gt;&lt;b&gt;"' in text
    assert "<b>" not in text


def test_links_that_are_missing_are_drawn_as_missing(browse, busy):
    broken = replace(
        CHAIN, function=None, release=(), dataset=None, missing=("the function: gone",)
    )
    busy.lineages.found = [broken]

    found = browse(busy).get("/provenance?id=id-1").panel("chain")

    assert "Function not found Release not found Code not found" in found
    assert "needs attention the function: gone" in found


def test_checks_are_run_on_demand_alone(browse, busy):
    browser = browse(busy)
    page = browser.get("/provenance?id=id-1")
    assert "Nothing is checked yet." in page.panel("checks")
    assert "/provenance?id=id-1&amp;verify=1" in page.text

    found = browser.get("/provenance?id=id-1&verify=1").panel("checks")
    assert "All hold good" in found
    assert "holds the model's answer a+1999, b+2000 the same" in found


def test_a_check_that_does_not_hold_comes_first(browse, busy):
    gone = check_is_gone("events", 41, "the lake no longer holds version 41 of events")
    busy.lineages.checks = (*recorded.CHECKS, gone, Check("data set", "d1", "d2"))

    found = browse(busy).get("/provenance?id=id-1&verify=1").panel("checks")

    assert "1 of 5 do not hold bad" in found
    assert "Result Check Expected Found differs data set d1 d2" in found
    assert "gone events at version 41" in found


def test_without_anything_asked_the_page_says_how_to(browse):
    page = browse(recorded.empty()).get("/provenance")

    assert "Nothing was asked for yet." in page.panel("chain")
    assert "X-Recommendation-Id" in page.panel("search")


def test_a_lake_that_is_down_says_so(browse, busy):
    page = browse(busy.fail()).get("/provenance?id=id-1&verify=1")

    for panel in ("chain", "checks"):
        assert "Cannot be read" in page.panel(panel)


def test_a_graph_has_every_link_once_and_arrows_that_end_before_boxes():
    found = graph_of(CHAIN)

    assert len({(box.left, box.top) for box in found.boxes}) == len(found.boxes) == 9
    assert all(box.found for box in found.boxes)
    assert max(box.left for box in found.boxes) + 186 < found.width
    assert len(found.arrows) == 8


def test_a_graph_of_a_recommendation_alone_has_nothing_else():
    found = graph_of(Lineage(SERVED))

    assert [box.name for box in found.boxes if box.found] == ["served"]
    assert "not found: Site's line" in found.text
