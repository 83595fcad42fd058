"""Render a training run as an HTML report; report.json has the same facts."""

from collections.abc import Mapping
from typing import Any

from movierec.reports import cost_report, evaluation_report, html, rating_report


def render(facts: Mapping[str, Any]) -> bytes:
    """Return the report of a manifest's facts."""
    metrics, counts = facts["metrics"], facts["counts"]
    return html.page(
        f"Model {facts['model_version']}",
        f"{counts['users']:,} users, {counts['movies']:,} movies,"
        f" {counts['interactions']:,} interactions; data set {facts['dataset_id']}",
        {
            **evaluation_report.sections(metrics),
            **rating_report.sections(metrics["rating"]),
            **cost_report.sections(metrics["license_cost"]),
            **taste_sections(metrics.get("taste") or {}),
            "How it was made": [html.table(["", ""], _made(facts))],
        },
    )


def taste_sections(found: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the section on lists by what users wrote; none where that was not evaluated."""
    if not found.get("users"):
        return {}
    gain = found["gain"]
    rows: list[list[html.Cell]] = [
        ["popular list of the user's group", found["group_ndcg"]],
        ["by the text alone", found["ndcg"]],
        ["the model's, which knows what they liked", found["model_ndcg"]],
    ]
    return {
        "Lists by self-descriptions": [
            html.paragraph(
                f"{found['users']:,} users whose texts were held out, {found['understood']:,} of"
                f" them understood, {found['learned_from']:,} to learn from; lists by text alone"
                f" have {gain['mean']:+.4f} ± {1.96 * gain['stderr']:.4f} NDCG over popular ones"
            ),
            html.table(["lists", "NDCG"], rows),
        ]
    }


def _made(facts: Mapping[str, Any]) -> list[list[html.Cell]]:
    return [
        ["code", facts["git"]["commit"] + (" and changes" if facts["git"]["dirty"] else "")],
        ["Python", facts["python"]],
        *([name, version] for name, version in facts["libraries"].items()),
        *([name, value] for name, value in facts["parameters"].items()),
        ["threads", facts["threads"]],
        ["seconds", facts["duration_s"]],
        ["peak memory, MB", facts["peak_memory_bytes"] / 1e6],
    ]
