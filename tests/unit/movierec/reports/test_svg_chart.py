"""A chart is well-formed, says what it shows, and draws where the values are."""

import math
import re
from itertools import pairwise
from xml.etree import ElementTree as ET

import pytest

from movierec.reports.svg_chart import Mark, Series, line_chart

SVG = "{http://www.w3.org/2000/svg}"


def drawn(*series, **options):
    given = {"x_label": "hours", "y_label": "percent", **options}
    return ET.fromstring(line_chart("A <title> & more", series, **given))  # noqa: S314


def curves(root):
    found = root.iter(f"{SVG}path")
    return [path.get("d") for path in found if "chart-curve" in path.get("class")]


def texts(root):
    return {text.text: text for text in root.iter(f"{SVG}text")}


def test_a_reader_who_sees_nothing_is_told_title_and_content():
    root = drawn(Series("ours", [(0, 1), (1, 2)]), description="Two points.")
    assert root.get("role") == "img"
    assert root.findtext(f"{SVG}title") == "A <title> & more"
    assert root.findtext(f"{SVG}desc") == "Two points."


def test_larger_values_are_further_right_and_higher_up():
    (curve,) = curves(drawn(Series("ours", [(0, 0), (10, 100)])))
    x0, y0, x1, y1 = map(float, re.findall(r"[\d.]+", curve))
    assert x0 < x1
    assert y0 > y1


def test_a_step_holds_its_value_until_the_next():
    (curve,) = curves(drawn(Series("ours", [(0, 0), (1, 5)], step=True)))
    assert re.fullmatch(r"M[\d.]+ [\d.]+H[\d.]+V[\d.]+", curve)


@pytest.mark.parametrize("hole", [math.inf, -math.inf, math.nan])
def test_a_curve_is_broken_where_there_is_no_value(hole):
    (curve,) = curves(drawn(Series("lower", [(0, hole), (1, 1), (2, 2), (3, hole), (4, 4)])))
    assert curve.count("M") == 2
    assert not re.search("nan|inf", curve)


@pytest.mark.parametrize("points", [[], [(0.0, math.nan)], [(3.0, 7.0)], [(0, 5), (1, 5)]])
def test_little_or_nothing_to_draw_is_still_a_chart(points):
    assert len(curves(drawn(Series("ours", points)))) == 1


def test_names_of_curves_that_end_together_do_not_cover_each_other():
    series = [Series(f"series {i}", [(0, 0), (1, 100)]) for i in range(4)]
    found = texts(drawn(*series))
    tops = sorted(float(found[f"series {i}"].get("y")) for i in range(4))
    assert min(b - a for a, b in pairwise(tops)) >= 15


def test_marks_are_within_the_ranges_that_follow_from_them():
    root = drawn(Series("ours", [(0, 1), (1, 2)]), marks=[Mark("goal", 5), Mark("late", 9, "x")])
    found = texts(root)
    assert {"goal", "late"} <= set(found)
    assert {"5", "9"} & set(found)


def test_what_is_outside_of_a_given_range_is_drawn_at_its_edge():
    inside, outside = (
        curves(drawn(Series("ours", [(0, 0), (1, y)]), y_range=(0, 10)))[0] for y in (10, 1000)
    )
    assert inside == outside
