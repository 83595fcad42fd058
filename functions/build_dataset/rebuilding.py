"""Build a published data set again, and compare each file with its manifest. Publishes nothing.

Answer:

    {"dataset_id": ..., "rebuilt_id": ..., "same": bool, "gone": "",
     "checks": [{"name": "data set movies.npy", "expected": ..., "found": ..., ...}]}

`gone` says what the lake no longer holds; then nothing was compared.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any, Final

from functions.build_dataset import data_quality
from functions.build_dataset.assembly import Assembled, assemble
from movierec.errors import ObjectNotFoundError, UsageError, VersionNotFoundError
from movierec.lake.ports import LakeReader
from movierec.model import artifact, sealed_folder
from movierec.model import dataset as datasets
from movierec.model.dataset_parameters import Parameters
from movierec.ports import ObjectStore
from movierec.provenance.checks import Check, check_files, check_rows, rows_by_kind
from movierec.quality import reference
from movierec.quality.limits import Limits
from movierec.quality.rules import Judgement
from movierec.runtime.stage_usage import StageUsage

_REPORTS: Final = (artifact.REPORT_FILE, artifact.REPORT_PAGE_FILE)


def rebuild(
    dataset_id: str, lake: LakeReader, store: ObjectStore, code_version: str
) -> dict[str, Any]:
    """Return the answer of the module's docstring. Raises UsageError, DatasetError, LakeError."""
    try:
        manifest = sealed_folder.manifest(store, lambda name: datasets.key(dataset_id, name))
    except ObjectNotFoundError as exc:
        raise UsageError(f"there is no data set {dataset_id!r}: {exc}") from exc
    parameters = Parameters.read(manifest["parameters"])
    versions = manifest["lake"]["versions"]
    try:
        judgement = _judged_by(manifest, store)
        again = assemble(lake, versions, parameters, code_version, judgement, usage=StageUsage())
    except VersionNotFoundError as exc:
        return _answer(dataset_id, "", (), gone=str(exc))
    return _answer(dataset_id, again.dataset_id, checks(dataset_id, manifest, again))


def _judged_by(manifest: Mapping[str, Any], store: ObjectStore) -> Judgement:
    """Return what the data set was judged by: its report is made of that as well."""
    known = manifest.get("judged_by")
    if known is None:
        return Judgement("built by code that compared with no other data set")
    then = known["released"]
    return Judgement(
        then
        if isinstance(then, str)
        else reference.read(store, then["model_version"], then["dataset_id"]),
        Limits.read(known["limits"]),
        accept_drift=known["accept_drift"],
    )


def _answer(
    dataset_id: str, rebuilt_id: str, found: Iterable[Check], gone: str = ""
) -> dict[str, Any]:
    listed = tuple(found)
    return {
        "dataset_id": dataset_id,
        "rebuilt_id": rebuilt_id,
        "same": not gone and all(check.ok for check in listed),
        "gone": gone,
        "checks": [{**asdict(check), "ok": check.ok} for check in listed],
    }


def checks(dataset_id: str, manifest: Mapping[str, Any], again: Assembled) -> tuple[Check, ...]:
    """Compare a manifest with the data set built again: rows read, files, id, and code.

    Reports of another format are not compared: they say the same in other words. Neither are files
    that only newer code writes.
    """
    reports = manifest.get("report_format", 1)
    compared = (
        manifest["files"]
        if reports == data_quality.REPORT_FORMAT
        else {name: found for name, found in manifest["files"].items() if name not in _REPORTS}
    )
    files = check_files("data set", {"files": compared}, sealed_folder.checksums(again.files))
    return (
        Check("data set's id", dataset_id, again.dataset_id),
        *check_rows(manifest, rows_by_kind(again.facts)),
        *files,
        *_of_other_code(manifest, again, reports),
    )


def _of_other_code(manifest: Mapping[str, Any], again: Assembled, reports: int) -> Iterable[Check]:
    """Yield a note for each way in which the code is another one; none is a fault by itself."""
    pairs = {
        "code": (manifest.get("code_version"), again.facts["code_version"], "built by other code"),
        "builder": (
            f"format {manifest.get('builder_format', 1)}",
            f"format {datasets.BUILDER_FORMAT}",
            "built by a builder of another format",
        ),
        "reports": (
            f"format {reports}",
            f"format {data_quality.REPORT_FORMAT}",
            "reports of another format are not compared",
        ),
    }
    for name, (then, now, note) in pairs.items():
        if then != now:
            yield Check(name, str(then), str(then), note=f"{note}: {then}, now {now}")
