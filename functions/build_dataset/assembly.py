"""Assemble a data set from the lake at pinned versions: its files, reports and manifest's facts."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from functions.build_dataset import data_quality
from functions.build_dataset.lake_reader import Overview, read_evidence, read_overview
from movierec.lake.plausible_times import PlausibleTimes
from movierec.lake.ports import LakeReader
from movierec.lake.schema import MOVIES, USERS
from movierec.model import artifact, encoding, segments
from movierec.model import dataset as datasets
from movierec.model.dataset import TEST, Dataset
from movierec.model.dataset_parameters import Parameters


@dataclass(frozen=True, slots=True)
class Assembled:
    """A data set before it is published: the same lake and parameters give the same bytes."""

    dataset_id: str
    files: Mapping[str, bytes]
    """With the reports."""
    facts: Mapping[str, Any]
    """Of the manifest."""

    @property
    def warnings(self) -> list[str]:
        """What is unusual."""
        found: list[str] = self.facts["quality"]["warnings"]
        return found


def assemble(
    lake: LakeReader, versions: Mapping[str, int], parameters: Parameters, code_version: str
) -> Assembled:
    """Return the data set of these versions of the lake. Raises DatasetError, LakeError."""
    plausible = PlausibleTimes.parse(parameters.earliest_event_time)
    evidence = read_evidence(
        lake,
        versions,
        parameters.since,
        plausible=plausible,
        max_interactions=parameters.max_interactions,
    )
    overview = read_overview(lake, versions, parameters.since, plausible)
    dataset = datasets.build(evidence, parameters)
    files = datasets.pack(dataset)
    dataset_id = datasets.dataset_id(files, parameters, versions)
    known = data_quality.Catalog(MOVIES.name in versions, USERS.name in versions)
    report = data_quality.assess(overview, evidence, dataset, known)
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
        "quality": report,
        "lake": _lake_facts(versions, overview),
        **_dataset_facts(dataset),
    }
    return Assembled(dataset_id, {**files, **reports}, facts)


def _lake_facts(versions: Mapping[str, int], overview: Overview) -> dict[str, Any]:
    by_day, offsets = overview.plausible_days(), overview.offsets
    columns = (offsets[name].tolist() for name in ("kafka_partition", "first", "last", "n"))
    ranges = zip(*columns, strict=True)
    return {
        "versions": dict(versions),
        "offsets": {
            str(partition): {"first": first, "last": last, "rows": rows}
            for partition, first, last, rows in ranges
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
