"""Sections of the quality report's page: values, distributions, drift."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from movierec.model.dataset import Dataset
from movierec.model.encoding import Array
from movierec.reports import html

_SHOWN_CORRELATIONS: Final = 12


def sections(report: Mapping[str, Any]) -> dict[str, Sequence[str]]:
    """Return the sections by heading."""
    profile = report["profile"]
    found: dict[str, Sequence[str]] = {
        "Values as declared": [_values(report["values"])],
        "Duplicates, references, missing": [_facts(report)],
        "Texts and costs": [_flat(report["texts"])],
        "Drift since the released data set": _drift(report["drift"]),
        "Correlations": [_correlations(profile["correlations"])],
    }
    for name, histogram in profile["histograms"].items():
        counts = histogram["counts"]
        if counts:
            found[f"Distribution: {name}"] = [html.bars(counts)]
    return found


def texts(dataset: Dataset, left_out: int) -> dict[str, Any]:
    """Return how many users and movies have words, how long those are, and how many have a cost.

    `left_out` users wrote something that is not in the data set.
    """
    known, costs = dataset.texts, dataset.costs
    descriptions = known.descriptions if known else ()
    movies = known.movies if known else ()
    given = np.zeros(0) if costs is None else costs[~np.isnan(costs)].astype(np.float64)
    written = {
        "likes": [len(one.likes) for one in descriptions if one.likes],
        "dislikes": [len(one.dislikes) for one in descriptions if one.dislikes],
    }
    listed = {
        name: [len(getattr(one, name)) for one in movies if getattr(one, name)]
        for name in ("title", "genres", "keywords", "people", "overview")
    }
    return {
        "users_described": len(descriptions),
        "users_left_out": left_out,
        "users_with": {name: len(lengths) for name, lengths in written.items()},
        "movies_with": {name: len(sizes) for name, sizes in listed.items()},
        "movies_with_cost": len(given),
        "quartiles": {
            "likes_characters": _quartiles(written["likes"]),
            "dislikes_characters": _quartiles(written["dislikes"]),
            "overview_characters": _quartiles(listed["overview"]),
            "keywords": _quartiles(listed["keywords"]),
            "people": _quartiles(listed["people"]),
            "cost_usd": _quartiles(given[np.isfinite(given)]),
        },
    }


def _quartiles(values: Sequence[float] | Array) -> list[float]:
    """Return the three, none without values."""
    return np.quantile(values, [0.25, 0.5, 0.75]).tolist() if len(values) else []


def _flat(found: Mapping[str, Any]) -> str:
    rows: list[list[html.Cell]] = []
    for name, value in found.items():
        parts = value if isinstance(value, Mapping) else {"": value}
        for part, n in parts.items():
            shown = " · ".join(f"{one:g}" for one in n) if isinstance(n, list) else n
            rows.append([f"{name} {part}".replace("_", " ").strip(), shown])
    return html.table(["", ""], rows)


def _values(values: Mapping[str, Any]) -> str:
    head = ["of", "field", "rows", "missing", "not as declared", "lowest", "highest"]
    rows = [
        [
            name,
            field,
            counted["rows"],
            *(found.get(key) for key in ("missing", "violations", "lowest", "highest")),
        ]
        for name, counted in values.items()
        for field, found in counted["fields"].items()
    ]
    return html.table(head, rows)


def _facts(report: Mapping[str, Any]) -> str:
    profile, duplicates = report["profile"], report["duplicates"]
    rows: list[list[html.Cell]] = [
        ["events that are there twice, share", duplicates["share"]],
        [f"events compared, those of {_users(duplicates['users_one_in'])}", duplicates["of"]],
    ]
    for side, known in profile["references"].items():
        rows.append([f"interactions of {side} without a row, share", known["share"]])
        rows.append([f"{side} without a row", known["unknown"]])
    rows += [[f"distinct {name}", n] for name, n in profile["distinct"].items()]
    rows += [[f"without {name}", n] for name, n in profile["missing"].items()]
    return html.table(["", ""], rows)


def _users(one_in: int) -> str:
    return "all users" if one_in == 1 else f"one user in {one_in}"


def _drift(drift: Mapping[str, Any]) -> list[str]:
    note = [html.paragraph(drift["note"])] if drift["note"] else []
    rows = [
        [
            name,
            found["level"],
            found["psi"],
            found["psi_by_chance"],
            found["ks"],
            found["p_value"],
            ", ".join(found["unseen"][:5]),
        ]
        for name, found in drift["attributes"].items()
    ]
    head = ["attribute", "level", "PSI", "PSI by chance", "KS", "p", "new values"]
    catalog = [
        html.table(["", ""], [[k.replace("_", " "), v] for k, v in drift["catalog"].items()])
    ]
    return [
        *note,
        *([html.table(head, rows)] if rows else []),
        *(catalog if drift["catalog"] else []),
    ]


def _correlations(found: Sequence[Sequence[Any]]) -> str:
    return html.table(["", "", "r"], [list(each) for each in found[:_SHOWN_CORRELATIONS]])
