"""Assemble a data set from the lake at pinned versions: its files, reports and manifest's facts."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from functions.build_dataset import data_quality, quality_sections
from functions.build_dataset.lake_reader import Overview, read_evidence, read_overview
from functions.build_dataset.quality_reader import (
    event_condition,
    read_attributes,
    read_clock,
    read_duplicates,
    read_values,
)
from functions.build_dataset.text_reader import read_texts
from movierec.lake.plausible_times import PlausibleTimes
from movierec.lake.ports import LakeReader
from movierec.lake.schema import MOVIES, USERS
from movierec.model import artifact, encoding, segments
from movierec.model import dataset as datasets
from movierec.model.dataset import TEST, Dataset
from movierec.model.dataset_parameters import Parameters
from movierec.quality.profile import profile
from movierec.quality.rules import Judgement
from movierec.runtime.stage_usage import StageUsage


@dataclass(frozen=True, slots=True)
class Assembled:
    """A data set before it is published: the same lake and parameters give the same bytes."""

    dataset_id: str
    files: Mapping[str, bytes]
    """With the reports."""
    facts: Mapping[str, Any]
    """Of the manifest."""

    @property
    def broken(self) -> list[str]:
        """Hard rules that are broken."""
        found: list[str] = self.facts["quality"]["broken"]
        return found

    @property
    def warnings(self) -> list[str]:
        """What is unusual."""
        found: list[str] = self.facts["quality"]["warnings"]
        return found


def assemble(
    lake: LakeReader,
    versions: Mapping[str, int],
    parameters: Parameters,
    code_version: str,
    judgement: Judgement,
    *,
    usage: StageUsage,
) -> Assembled:
    """Return the data set of these versions of the lake. Raises DatasetError, LakeError."""
    plausible = PlausibleTimes.parse(parameters.earliest_event_time)
    with usage.stage("read"):
        evidence = read_evidence(
            lake,
            versions,
            parameters.since,
            plausible=plausible,
            max_interactions=parameters.max_interactions,
        )
        overview = read_overview(lake, versions, parameters.since, plausible)
    with usage.stage("build"):
        dataset = datasets.build(evidence, parameters)
    with usage.stage("read"):
        found = read_texts(lake, versions, dataset, parameters.max_described_users)
    with usage.stage("build"):
        dataset = dataclasses.replace(dataset, texts=found.texts, costs=found.costs)
        files = datasets.pack(dataset)
    dataset_id = datasets.dataset_id(files, parameters, versions)
    known = data_quality.Catalog(MOVIES.name in versions, USERS.name in versions)
    with usage.stage("assess"):
        checked = _checked(lake, versions, parameters, dataset, overview)
        checked["texts"] = quality_sections.texts(dataset, found.left_out)
        report = data_quality.assess(overview, evidence, dataset, known, checked)
        report = data_quality.judge(report, dataset.movie_ids, judgement)
    page = data_quality.render(report, dataset_id=dataset_id, scale=parameters.scale)
    reports = {
        artifact.REPORT_FILE: encoding.dump_json(report),
        artifact.REPORT_PAGE_FILE: page,
    }
    facts = {
        "dataset_id": dataset_id,
        "builder_format": datasets.BUILDER_FORMAT,
        "report_format": data_quality.REPORT_FORMAT,
        "parameters": parameters.to_json(),
        "code_version": code_version,
        # The profile is in the report alone: it would be most of the manifest.
        "quality": {name: part for name, part in report.items() if name != "profile"},
        "judged_by": judgement.to_json(),
        "lake": _lake_facts(versions, overview),
        "stages": usage.stages,
        **_dataset_facts(dataset),
    }
    return Assembled(dataset_id, {**files, **reports}, facts)


def _checked(
    lake: LakeReader,
    versions: Mapping[str, int],
    parameters: Parameters,
    dataset: Dataset,
    overview: Overview,
) -> dict[str, Any]:
    """Return the parts of the report that are of values and distributions."""
    condition = event_condition(
        parameters.since, PlausibleTimes.parse(parameters.earliest_event_time)
    )
    by_day = overview.plausible_days()
    days = float(by_day["last_us"].max() - by_day["first_us"].min()) / _DAY_US
    rows = int(by_day["n"].sum())
    ratings = {
        str(value): n
        for value, n in zip(
            overview.ratings["rating"].tolist(), overview.ratings["n"].tolist(), strict=True
        )
    }
    by_kind: dict[str, int] = {}
    for kind, n in zip(by_day["kind"].tolist(), by_day["n"].tolist(), strict=True):
        by_kind[kind] = by_kind.get(kind, 0) + n
    return {
        "values": read_values(lake, versions, condition, parameters.scale),
        "duplicates": read_duplicates(lake, versions, condition, rows),
        "profile": profile(
            dataset,
            read_attributes(lake, versions, dataset),
            read_clock(lake, versions, condition, days),
            ratings,
            by_kind,
        ),
    }


_DAY_US: Final = 86_400_000_000


def _lake_facts(versions: Mapping[str, int], overview: Overview) -> dict[str, Any]:
    by_day, offsets = overview.plausible_days(), overview.offsets
    columns = (offsets[name].tolist() for name in ("name", "first", "last", "n"))
    ranges = zip(*columns, strict=True)
    return {
        "versions": dict(versions),
        "offsets": {
            name: {"first": first, "last": last, "rows": rows} for name, first, last, rows in ranges
        },
        "event_time_us": {
            "first": int(by_day["first_us"].min()),
            "last": int(by_day["last_us"].max()),
        },
    }


def _dataset_facts(dataset: Dataset) -> dict[str, Any]:
    test = dataset.part == TEST
    return {
        "groups": list(segments.GROUPS),
        "split": {"held_out_from_s": int(dataset.last_at[test].min())},
        "counts": {
            "users": len(dataset.user_ids),
            "movies": len(dataset.movie_ids),
            "interactions": len(dataset.movies),
            "positive": int((dataset.strength > 0).sum()),
            "test": int(test.sum()),
        },
    }
