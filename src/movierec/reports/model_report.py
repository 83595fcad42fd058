"""Render a training run as an HTML report; report.json has the same facts."""

from collections.abc import Mapping
from typing import Any, Final

from movierec.reports import html, rating_report

_METRICS: Final = (
    "recall",
    "ndcg",
    "map",
    "hit_rate",
    "novelty",
    "coverage",
    "mean_hit_rating",
    "rating_concordance",
)


def render(facts: Mapping[str, Any]) -> bytes:
    """Return the report of a manifest's facts."""
    metrics, counts = facts["metrics"], facts["counts"]
    return html.page(
        f"Model {facts['model_version']}",
        f"{counts['users']:,} users, {counts['movies']:,} movies,"
        f" {counts['interactions']:,} interactions; data set {facts['dataset_id']}",
        {
            f"Held-out metrics of lists of {metrics['k']}": _overall(metrics),
            **{f"NDCG by {kind}": _groups(groups) for kind, groups in metrics["groups"].items()},
            **rating_report.sections(metrics["rating"]),
            "How it was made": [html.table(["", ""], _made(facts))],
        },
    )


def _overall(metrics: Mapping[str, Any]) -> list[str]:
    model, popular = metrics["model"], metrics["popularity"]
    rows: list[list[html.Cell]] = [
        [name.replace("_", " "), model[name], model.get(f"{name}_stderr"), popular[name]]
        for name in _METRICS
    ]
    gain = metrics["gain"]["ndcg"]
    return [
        html.paragraph(
            f"{metrics['test_users']:,} users with {metrics['test_interactions']:,} liked movies;"
            f" NDCG is {gain['mean']:+.4f} ± {1.96 * gain['stderr']:.4f} against the popular list"
        ),
        html.table(["metric", "model", "standard error", "popular list"], rows),
    ]


def _groups(groups: Mapping[str, Any]) -> list[str]:
    rows: list[list[html.Cell]] = [
        [name, g["model"]["users"], g["model"]["ndcg"], g["model"]["ndcg_stderr"],
         g["popularity"]["ndcg"], g["model"]["recall"]]
        for name, g in groups.items()
    ]  # fmt: skip
    return [
        html.bars(
            {name: g["model"]["ndcg"] for name, g in groups.items()},
            rivals={name: g["popularity"]["ndcg"] for name, g in groups.items()},
        ),
        html.table(["", "users", "NDCG", "standard error", "popular list", "recall"], rows),
    ]


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
