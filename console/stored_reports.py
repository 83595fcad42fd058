"""Reports of data sets, as `functions.build_dataset` has stored them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from movierec.errors import ObjectNotFoundError
from movierec.model import artifact, dataset, encoding, model_versions
from movierec.ports import ObjectStore


@dataclass(frozen=True, slots=True)
class Violation:
    """A field of an interface, of whose values some are not as declared."""

    table: str
    field: str
    rows: int
    missing: int | None
    violations: int


@dataclass(frozen=True, slots=True)
class DatasetReport:
    """A data set's report, as JSON."""

    dataset_id: str
    report: Mapping[str, Any]

    @property
    def violations(self) -> list[Violation]:
        """The fields with values that are not as declared, most first."""
        return sorted(_violations(self.report), key=lambda each: -each.violations)

    @property
    def fields(self) -> int:
        """How many fields were checked."""
        return sum(len(each["fields"]) for each in self.report.get("values", {}).values())


def of_dataset(store: ObjectStore, dataset_id: str) -> DatasetReport | None:
    """Return a data set's report, None if it has none. Raises UnavailableError."""
    key = dataset.key(dataset_id, artifact.REPORT_FILE)
    try:
        return DatasetReport(dataset_id, encoding.load_json(key, store.get(key)))
    except ObjectNotFoundError:
        return None


def newest_dataset(store: ObjectStore) -> DatasetReport | None:
    """Return the report of the newest model's data set, None without one."""
    versions = model_versions.versions(store)
    if not versions:
        return None
    name = model_versions.manifest(store, versions[-1]).get("dataset_id")
    return of_dataset(store, str(name)) if name else None


def _violations(report: Mapping[str, Any]) -> Iterator[Violation]:
    for table, counted in report.get("values", {}).items():
        for name, found in counted["fields"].items():
            if found.get("violations"):
                yield Violation(
                    table, name, counted["rows"], found.get("missing"), found["violations"]
                )
