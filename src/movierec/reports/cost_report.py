"""The section on license cost of a model's report."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from movierec.model import cost_curve
from movierec.reports import html, svg_chart
from movierec.reports.svg_chart import Mark, Series

_COLUMNS: Final = {
    "cost_weight": "cost weight",
    "ndcg": "NDCG",
    "hit_rate": "hit rate",
    "hit_rating": "rating of hits",
    "predicted_rating": "predicted rating",
    "usd_a_play": "USD a play",
    "usd_a_list": "USD, mean of a list",
    "usd_watched": "USD a hit",
}
_DOLLARS: Final = {
    "usd_a_play": "a play, by rank",
    "usd_a_list": "a list's movies, each as likely",
}


def sections(found: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the section for what `cost_curve` found; without costs, one line."""
    if "skipped" in found:
        return {"License cost": [html.paragraph(f"Not measured: {found['skipped']}.")]}
    points = found["points"]
    rows = [[point[name] for name in _COLUMNS] for point in points]
    return {
        "License cost": [
            html.paragraph(_known(found["costs"])),
            *(html.paragraph(_saving(n, found["at_saving"][n])) for n in _DOLLARS),
            _chart(points, found["cost_weight"]),
            html.table(list(_COLUMNS.values()), rows),
            html.paragraph(
                f"{found['users']:,} test users. The published lists have the cost weight"
                f" {found['cost_weight']:g}. USD a play weighs a list's movies by 1 / log2(rank +"
                " 1), as NDCG does; USD a hit is the mean over listed movies that were liked."
            ),
        ]
    }


def _known(costs: Mapping[str, Any]) -> str:
    wrong = costs["missing"] + costs["absurd"]
    counted = (
        f"; {costs['missing']:,} without one and {costs['absurd']:,} with an absurd one count as"
        " that"
        if wrong
        else ""
    )
    return (
        f"A play costs {costs['median_usd']:.2f} USD in the median of {costs['movies']:,} movies"
        f"{counted}."
    )


def _saving(dollars: str, at: Mapping[str, float] | None) -> str:
    what = f"{cost_curve.SAVED:.0%} of the cost of {_DOLLARS[dollars]}"
    if at is None:
        return f"No weight that was tried saves {what}."
    return (
        f"A cost weight of {at['cost_weight']:.2f} saves {what}: NDCG {at['ndcg']:+.1%}, hit rate"
        f" {at['hit_rate']:+.1%}."
    )


def _chart(points: Sequence[Mapping[str, Any]], weight: float) -> str:
    """Return NDCG and hit rate, in percent of those without a weight, against dollars saved."""
    first = points[0]

    def series(name: str, title: str, dollars: str, style: svg_chart.Style) -> Series:
        found = [
            (_percent(1 - p[dollars] / first[dollars]), _share(p, first, name)) for p in points
        ]
        return Series(title, found, style)

    own = next(point for point in points if point["cost_weight"] == weight)
    saved = _percent(1 - own["usd_a_play"] / first["usd_a_play"])
    marks = [Mark("published", saved, "x")] if weight else []
    return svg_chart.line_chart(
        "What cheaper lists cost",
        [
            series("ndcg", "NDCG, by USD a play", "usd_a_play", "ours"),
            series("ndcg", "NDCG, by mean of a list", "usd_a_list", "also"),
            series("hit_rate", "hit rate, by USD a play", "usd_a_play", "theirs"),
        ],
        x_label="license cost saved, %",
        y_label="of what lists without a cost weight have, %",
        marks=marks,
    )


def _share(point: Mapping[str, Any], first: Mapping[str, Any], name: str) -> float:
    return _percent(point[name] / first[name]) if first[name] else math.nan


def _percent(share: float) -> float:
    return 100 * share
