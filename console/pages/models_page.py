"""Models: which there are, what they are worth, two compared, and what they were made of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from console import stored_reports
from console.page import Document, Page, Panel, Query
from console.stored_reports import DatasetReport
from console.system import System
from movierec.model import artifact, dataset, model_versions, sealed_folder
from movierec.releases import model_list
from movierec.releases.log import ReleaseLog


@dataclass(frozen=True, slots=True)
class Listed:
    """The models, newest first, and the versions that serve now with their share."""

    models: Sequence[Mapping[str, Any]]
    serving: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Compared:
    """Two models side by side; `versions` can be chosen from."""

    found: Mapping[str, Any]
    versions: Sequence[str]
    one: str
    other: str


@dataclass(frozen=True, slots=True)
class Chosen:
    """One model's manifest, and that of its data set, None where it is gone."""

    version: str
    manifest: Mapping[str, Any]
    dataset_id: str
    dataset: Mapping[str, Any] | None
    page: bool
    """Whether the model has a report as a page."""


def read_list(system: System, _: Query) -> Listed:
    """Return all models."""
    store = system.store()
    found = model_list.listed(store, ReleaseLog(store, system.clock))
    return Listed(found, _serving(system))


def _serving(system: System) -> dict[str, str]:
    """Return the models that answer requests, with what they are."""
    releases = system.releases()
    split = releases.split()
    if split is None:
        return {}
    roles = {split.stable: "stable", split.canary: "canary"}
    models = releases.models(split)
    return {model: roles[version] for version, model in models.items() if model}


def read_chosen(system: System, query: Query) -> Chosen | None:
    """Return the model that was asked for, or the newest; None without any."""
    store = system.store()
    version = query.text("model") or next(iter(model_versions.versions(store)[::-1]), "")
    if not version:
        return None
    manifest = model_versions.manifest(store, version)
    dataset_id = str(manifest.get("dataset_id") or "")
    key = dataset.key(dataset_id, sealed_folder.MANIFEST_FILE)
    known = dataset_id and key in set(store.keys(key))
    return Chosen(
        version,
        manifest,
        dataset_id,
        sealed_folder.open_manifest(store.get(key)) if known else None,
        artifact.REPORT_PAGE_FILE in manifest.get("files", {}),
    )


def read_compared(system: System, query: Query) -> Compared | None:
    """Return two models side by side: those asked for, or stable and newest; None without two."""
    store = system.store()
    versions = model_versions.versions(store)[::-1]
    if len(versions) < 2:  # noqa: PLR2004  two sides
        return None
    stable = next((m for m, role in _serving(system).items() if role == "stable"), "")
    other = query.text("other") or versions[0]
    first = stable if stable in versions and stable != other else ""
    one = query.text("one") or first or next(v for v in versions if v != other)
    found = model_versions.compared(
        *(model_versions.manifest(store, version) for version in (one, other))
    )
    return Compared(found, versions, one, other)


def read_drift(system: System, query: Query) -> DatasetReport | None:
    """Return the report of the chosen model's data set; None without one."""
    chosen = read_chosen(system, query)
    if chosen is None or not chosen.dataset_id:
        return None
    return stored_reports.of_dataset(system.store(), chosen.dataset_id)


def _report(system: System, version: str) -> bytes:
    return system.store().get(artifact.key(version, artifact.REPORT_PAGE_FILE))


def _dataset_report(system: System, dataset_id: str) -> bytes:
    return system.store().get(dataset.key(dataset_id, artifact.REPORT_PAGE_FILE))


# What is stored of a model changes with a retraining or a release, which take minutes.
_SLOWLY: Final[dict[str, Any]] = {"refresh_s": 60, "fresh_s": 15}

PAGE: Final = Page(
    "models",
    "Models",
    "Which models there are, what they are worth, and what they were made of.",
    order=3,
    parameters=("model", "one", "other"),
    panels=(
        Panel("list", "All models", read_list, span=3, **_SLOWLY),
        Panel("compared", "Two models compared", read_compared, span=2, **_SLOWLY),
        Panel("chosen", "One model", read_chosen, span=2, **_SLOWLY),
        Panel("drift", "Drift of its data set", read_drift, span=3, **_SLOWLY),
    ),
    documents=(Document("report", _report), Document("dataset", _dataset_report)),
)
