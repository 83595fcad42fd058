"""Sections of the quality report's page: values, distributions, drift."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from movierec.reports import html

_SHOWN_CORRELATIONS: Final = 12


def sections(report: Mapping[str, Any]) -> dict[str, Sequence[str]]:
    """Return the sections by heading."""
    profile = report["profile"]
    found: dict[str, Sequence[str]] = {
        "Values as declared": [_values(report["values"])],
        "Duplicates, references, missing": [_facts(report)],
        "Drift since the released data set": _drift(report["drift"]),
        "Correlations": [_correlations(profile["correlations"])],
    }
    for name, histogram in profile["histograms"].items():
        counts = histogram["counts"]
        if counts:
            found[f"Distribution: {name}"] = [html.bars(counts)]
    return found


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
