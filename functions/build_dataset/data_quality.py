"""Data quality report of a data set's input: counts, then warnings."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from functions.build_dataset import quality_sections
from functions.build_dataset.lake_reader import Overview
from movierec import settings
from movierec.model import segments
from movierec.model.dataset import LATER, TEST, TRAIN, Dataset, Evidence
from movierec.model.rating_scale import RatingScale
from movierec.quality import interfaces, rules
from movierec.quality.rules import Judgement
from movierec.reports import html

REPORT_FORMAT: Final = 3
"""Of the report, named in the manifest as `report_format`; those of format 1 do not.

3: counts texts and costs.
"""

_NO_NUMBERS: Final = pd.DataFrame({"reason": [], "n": []})

_ID: Final = re.compile(interfaces.MOVIE_ID)

# The site loses or corrupts about one line in a thousand.
_QUARANTINE_LIMIT: Final = 0.02
# A user with fewer interactions than this gets little more than the popular list.
_COLD_BELOW: Final = 5


@dataclass(frozen=True, slots=True)
class Catalog:
    """Rows of the lake's tables of movies and users."""

    movies_known: bool
    users_known: bool


def assess(
    overview: Overview,
    evidence: Evidence,
    dataset: Dataset,
    catalog: Catalog,
    checked: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the report as plain values for JSON.

    `checked` has the parts of values, distributions, texts: see `functions.build_dataset.assembly`.
    """
    quarantine = _quarantine(overview)
    report = {
        "rows": _rows(overview),
        "ratings": _counts(overview.ratings, "rating"),
        "answers": _counts(overview.answers, "status"),
        "quarantine": quarantine,
        "interactions": _interactions(evidence, dataset),
        "users": _users(dataset, catalog),
        "movies": _movies(evidence, dataset, catalog),
        **checked,
    }
    return {**report, "warnings": _warnings(report)}


def judge(
    report: Mapping[str, Any], movie_ids: Sequence[str], judgement: Judgement
) -> dict[str, Any]:
    """Return the report with its drift since the released data set, and what follows from it."""
    compared = rules.compare(report["profile"], movie_ids, judgement.released)
    broken = rules.broken(report, compared, judgement)
    return {
        **report,
        "drift": compared.to_json(),
        "broken": broken,
        "warnings": [*report["warnings"], *rules.warnings(report, compared)],
    }


def _rows(overview: Overview) -> dict[str, Any]:
    frame, plausible = pd.DataFrame(overview.rows_by_day), pd.DataFrame(overview.plausible_days())
    table = plausible.pivot_table(
        index="day", columns="kind", values="n", aggfunc="sum", fill_value=0
    )
    by_day = {
        str(day): {str(kind): int(n) for kind, n in row.items()} for day, row in table.iterrows()
    }
    by_kind = {str(kind): int(n) for kind, n in frame.groupby("kind")["n"].sum().items()}
    total = int(frame["n"].sum())
    return {
        "all": total,
        "by_kind": by_kind,
        "by_day": by_day,
        "at_impossible_times": total - int(plausible["n"].sum()),
        "on_assumed_clock": int(overview.assumed["n"][0]),
    }


def _counts(columns: Mapping[str, Any], name: str) -> dict[str, int]:
    frame = pd.DataFrame(columns)
    return {str(int(value)): int(n) for value, n in zip(frame[name], frame["n"], strict=True)}


def _quarantine(overview: Overview) -> dict[str, Any]:
    frame = pd.DataFrame(overview.quarantine) if overview.quarantine else _NO_NUMBERS
    rows, good = int(frame["n"].sum()), int(pd.DataFrame(overview.rows_by_day)["n"].sum())
    reasons = {str(r): int(n) for r, n in zip(frame["reason"], frame["n"], strict=True)}
    return {"rows": rows, "share": rows / (rows + good), "by_reason": reasons}


def _interactions(evidence: Evidence, dataset: Dataset) -> dict[str, Any]:
    strength = pd.Series(dataset.strength)
    positive = strength[strength > 0]
    parts = {"train": TRAIN, "test": TEST, "later": LATER}
    return {
        "all": len(strength),
        "positive": len(positive),
        "rated": int((dataset.ratings > 0).sum()),
        "older": evidence.older,
        "parts": {name: int((dataset.part == part).sum()) for name, part in parts.items()},
        "strength_quartiles": [float(q) for q in positive.quantile([0.25, 0.5, 0.75])],
    }


def _users(dataset: Dataset, catalog: Catalog) -> dict[str, Any]:
    sizes = pd.Series(np.diff(dataset.indptr))
    groups = pd.Series(segments.groups_of(dataset.user_ids, dataset.user_groups))
    by_group = groups.map(dict(enumerate(segments.GROUPS))).value_counts().sort_index()
    return {
        "all": len(sizes),
        "metadata_loaded": catalog.users_known,
        "of_known_age": int((groups > 0).sum()),
        "cold": int((sizes < _COLD_BELOW).sum()),
        "cold_below": _COLD_BELOW,
        "past_groups": int((dataset.user_ids > segments.LARGEST_USER_ID).sum()),
        "interactions_quartiles": [float(q) for q in sizes.quantile([0.25, 0.5, 0.75])],
        "by_group": {str(name): int(n) for name, n in by_group.items()},
    }


def _movies(evidence: Evidence, dataset: Dataset, catalog: Catalog) -> dict[str, Any]:
    viewers = pd.Series(np.bincount(dataset.movies, minlength=len(dataset.movie_ids)))
    top = viewers.nlargest(10)
    return {
        "in_events": len(evidence.movie_ids),
        "kept": len(dataset.movie_ids),
        "of_malformed_id": sum(not _ID.fullmatch(each) for each in evidence.movie_ids),
        "too_rare": len(evidence.movie_ids) - len(dataset.movie_ids),
        "catalog_loaded": catalog.movies_known,
        "of_unknown_runtime": int((np.asarray(evidence.runtimes_minutes) <= 0).sum()),
        "kept_not_for_minors": int(dataset.adult.sum()),
        "most_seen": {dataset.movie_ids[int(str(i))]: int(n) for i, n in top.items()},
    }


def _warnings(report: Mapping[str, Any]) -> list[str]:
    quarantine, users, movies = report["quarantine"], report["users"], report["movies"]
    impossible, past_groups = report["rows"]["at_impossible_times"], users["past_groups"]
    assumed, older = report["rows"]["on_assumed_clock"], report["interactions"]["older"]
    checks = {
        f"{quarantine['share']:.1%} of all lines are in quarantine, more than"
        f" {_QUARANTINE_LIMIT:.0%}: check the reasons": quarantine["share"] > _QUARANTINE_LIMIT,
        "no movie metadata: runtimes are estimated, adult movies are unknown": (
            not movies["catalog_loaded"]
        ),
        "no user metadata: all users get the list without adult movies, and no metric can be"
        " split by gender or age": not users["metadata_loaded"],
        f"{users['cold']:,} of {users['all']:,} users have fewer than {_COLD_BELOW} interactions": (
            users["cold"] * 2 > users["all"]
        ),
        f"{impossible:,} events are of impossible times and were left out: the clock of the site"
        f" was wrong, or {settings.EARLIEST_EVENT_TIME} is too late": impossible > 0,
        f"{older:,} older interactions are left out: max_interactions are newer": older > 0,
        f"{assumed:,} events are on an assumed clock: set the site's time zone and read them again"
        " with `movierec ingest replay`": assumed > 0,
        f"{past_groups:,} users have ids above {segments.LARGEST_USER_ID:,}: age and gender of"
        " those are not used": past_groups > 0,
    }
    return [text for text, holds in checks.items() if holds]


def render(report: Mapping[str, Any], *, dataset_id: str, scale: RatingScale) -> bytes:
    """Return the report as an HTML page."""
    rows, users, movies = report["rows"], report["users"], report["movies"]
    kinds = sorted(rows["by_kind"])
    days = [[day, *(n.get(k, 0) for k in kinds)] for day, n in rows["by_day"].items()]
    interactions, quarantine = report["interactions"], report["quarantine"]
    warnings = [html.paragraph(f"⚠ {text}") for text in report["warnings"]]
    broken = [html.paragraph(f"✗ {text}") for text in report["broken"]]
    return html.page(
        f"Data set {dataset_id}",
        f"{interactions['all']:,} interactions of {users['all']:,} users with"
        f" {movies['kept']:,} movies, from {rows['all']:,} events",
        {
            **({"Broken rules": broken} if broken else {}),
            "Warnings": warnings or [html.paragraph("Nothing unusual.")],
            "Events by day and kind": [html.table(["day", *kinds], days)],
            "Ratings": [
                html.bars({f"{k} of {scale.highest}": n for k, n in report["ratings"].items()})
            ],
            "Quarantine": [
                html.paragraph(f"{quarantine['rows']:,} lines, {quarantine['share']:.2%} of all"),
                html.bars(quarantine["by_reason"]),
            ],
            "Interactions": [_facts(interactions["parts"] | _scalars(interactions))],
            "Users": [_facts(_scalars(users)), html.bars(users["by_group"])],
            "Movies": [_facts(_scalars(movies)), html.bars(movies["most_seen"])],
            **quality_sections.sections(report),
        },
    )


def _scalars(values: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in values.items() if isinstance(v, (int, float, str))}


def _facts(values: Mapping[str, Any]) -> str:
    return html.table(["", ""], [[k.replace("_", " "), _plain(v)] for k, v in values.items()])


def _plain(value: html.Cell) -> html.Cell:
    return ("yes" if value else "no") if isinstance(value, bool) else value
