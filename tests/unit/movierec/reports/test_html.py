"""A page is whole in itself, and nothing that the site sends becomes markup."""

import re

import pytest

from movierec.reports import html as page


def test_nothing_is_fetched_from_anywhere():
    html = page.page("t", "s", {"h": [page.table(["a"], [["b"]]), page.bars({"c": 1})]}).decode()
    assert not re.search(r"https?:|src=|@import|url\(", html)


@pytest.mark.parametrize(
    "make",
    [
        lambda text: page.page(text, text, {text: [page.paragraph(text)]}).decode(),
        lambda text: page.table([text], [[text]]),
        lambda text: page.bars({text: 1}),
    ],
)
def test_text_is_escaped(make):
    assert "<script>" not in make("<script>")
    assert "&lt;script&gt;" in make("<script>")


@pytest.mark.parametrize(
    ("value", "expected"),
    [(None, "-"), (1234567, "1,234,567"), (0.123456, "0.1235"), (12345.6, "12,346"), ("x", "x")],
)
def test_values_are_shown_short(value, expected):
    assert page.show(value) == expected


def test_the_longest_bar_fills_the_chart_and_a_rival_is_drawn_beside():
    widths = re.findall(r'width="([\d.]+)" height', page.bars({"a": 2, "b": 1}, rivals={"b": 2}))
    assert float(widths[0]) == 2 * float(widths[1]) == float(widths[2])


def test_a_chart_of_nothing_is_no_error():
    assert "<svg" in page.bars({})
    assert "<svg" in page.bars({"a": 0})


def test_a_long_label_is_cut_and_still_told_whole():
    name = "the+lord+of+the+rings+the+fellowship+of+the+ring+2001"
    chart = page.bars({name: 1})
    assert f"<title>{name}</title>the+lord+of+the+rings+the…</text>" in chart
