"""The sections of a model's report on its offline evaluation and on other models beside it."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from movierec.model.offline_metrics import DEFINITIONS
from movierec.reports import html

_RIVALS: Final = {"popularity": "popular list", "production": "in production"}


def sections(metrics: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the sections for what `offline_evaluation.judge` found, and the comparison."""
    table = metrics.get("comparison")
    return {
        **({"Flagged": _flags(metrics["flags"])} if metrics["flags"] else {}),
        f"Held-out metrics of lists of {metrics['k']}": _overall(metrics),
        "Against other models": _differences(metrics),
        **({"Models by accuracy and cost": _comparison(table)} if table else {}),
        **{f"NDCG by {kind}": _groups(groups) for kind, groups in metrics["groups"].items()},
        "New movies": _new_movies(metrics),
        "How metrics are defined": [
            html.table(["metric", "definition"], [[_title(n), d] for n, d in DEFINITIONS.items()])
        ],
    }


def _title(name: str) -> str:
    return name.replace("_", " ")


def _interval(low_high: Sequence[float] | None) -> str:
    return f"{low_high[0]:.4f} to {low_high[1]:.4f}" if low_high else "-"


def _flags(flags: Sequence[Mapping[str, str]]) -> list[str]:
    return [html.table(["", ""], [[flag["kind"], flag["text"]] for flag in flags])]


def _overall(metrics: Mapping[str, Any]) -> list[str]:
    model, popular = metrics["model"], metrics["popularity"]
    production = metrics["others"].get("production", {})
    rows: list[list[html.Cell]] = [
        [
            _title(name),
            model.get(name),
            _interval(model["intervals"].get(name)),
            popular.get(name),
            production.get(name),
        ]
        for name in DEFINITIONS
    ]
    gain = metrics["gain"]["ndcg"]
    return [
        html.paragraph(
            f"{metrics['test_users']:,} users with {metrics['test_interactions']:,} liked movies;"
            f" NDCG is {gain['mean']:+.4f} ± {1.96 * gain['stderr']:.4f} against the popular list"
        ),
        html.table(["metric", "model", "95% interval", "popular list", "in production"], rows),
        *([html.paragraph(_about(metrics["production"]))] if metrics["production"] else []),
    ]


def _about(production: Mapping[str, Any]) -> str:
    """Return how the model in production is compared."""
    version = production["model_version"]
    if production["basis"] is None:
        return f"In production is {version}. It is not compared: {production['reason']}."
    until = datetime.fromtimestamp(production["known_until_s"], UTC)
    lists = "the lists that it serves" if production["basis"] == "served" else "its held-out lists"
    return (
        f"In production is {version}: {lists}, without what users have seen since, on the test"
        f" users whom it knows. They were made of events before {until:%Y-%m-%d %H:%M} UTC."
    )


def _differences(metrics: Mapping[str, Any]) -> list[str]:
    rows: list[list[html.Cell]] = [
        [
            _RIVALS.get(name, _title(name)),
            found["ndcg"]["mean"],
            _interval((found["ndcg"]["low"], found["ndcg"]["high"])),
            found["recall"]["mean"],
            _interval((found["recall"]["low"], found["recall"]["high"])),
            found["ndcg"]["users"],
        ]
        for name, found in metrics["differences"].items()
    ]
    head = ["model minus", "NDCG", "95% interval", "recall", "95% interval", "users"]
    return [
        html.paragraph("Paired, user by user; intervals by bootstrap over users"),
        html.table(head, rows),
    ]


def _groups(groups: Mapping[str, Any]) -> list[str]:
    rows: list[list[html.Cell]] = [
        [
            name,
            g["model"]["users"],
            g["model"]["ndcg"],
            _interval(g["model"]["intervals"]["ndcg"]),
            g["popularity"]["ndcg"],
            g.get("production", {}).get("ndcg"),
            g["model"]["recall"],
        ]
        for name, g in groups.items()
    ]
    head = ["", "users", "NDCG", "95% interval", "popular list", "in production", "recall"]
    return [
        html.bars(
            {name: g["model"]["ndcg"] for name, g in groups.items()},
            rivals={name: g["popularity"]["ndcg"] for name, g in groups.items()},
        ),
        html.table(head, rows),
    ]


def _new_movies(metrics: Mapping[str, Any]) -> list[str]:
    rows: list[list[html.Cell]] = [
        [
            _RIVALS.get(name, _title(name)),
            found["users"],
            found.get("recall"),
            _interval(found.get("intervals", {}).get("recall")),
        ]
        for name, found in metrics["new_movies"].items()
    ]
    return [
        html.paragraph("Liked movies whose first event is among the last tenth of TRAIN, or later"),
        html.table(["", "users", "recall", "95% interval"], rows),
    ]


_ACCURACY: Final = ("ndcg", "recall", "hit_rate", "coverage", "rmse", "users")


def _comparison(table: Mapping[str, Any]) -> list[str]:
    columns = {column["name"]: column for column in table["columns"]}
    ends = ("ndcg_low", "ndcg_high")
    costs = [name for name in columns if name not in (*_ACCURACY, *ends)]
    accuracy: list[list[html.Cell]] = [
        [
            _title(row["model"]),
            row["ndcg"],
            _interval([row[end] for end in ends] if row["ndcg"] is not None else None),
            *(row[name] for name in _ACCURACY[1:]),
        ]
        for row in table["rows"]
    ]
    cost = [[_title(row["model"]), *(row[name] for name in costs)] for row in table["rows"]]
    definitions: list[list[html.Cell]] = [
        [_head(column), column["better"] or "-", column["definition"]]
        for column in table["columns"]
    ]
    names = [_head(columns[name]) for name in _ACCURACY]
    return [
        html.paragraph(f"The lists of this version are those of: {_title(table['product'])}"),
        html.table(["", names[0], "95% interval", *names[1:]], accuracy),
        html.table(["", *(_head(columns[name]) for name in costs)], cost),
        html.paragraph("Costs were measured in this training run, on its machine"),
        html.table(["measure", "better", "definition"], definitions),
    ]


def _head(column: Mapping[str, str]) -> str:
    """Return a column's title: its unit, if the name ends in it, after a comma."""
    name, _, last = column["name"].rpartition("_")
    if name and last == column["unit"].lower():
        return f"{_title(name)}, {column['unit']}"
    return _title(column["name"])
