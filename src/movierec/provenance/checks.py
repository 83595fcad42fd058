"""Checks of a lineage: manifests compared with the data, read again."""

from collections.abc import Mapping
from dataclasses import dataclass

from movierec.lake.served import Served
from movierec.model.dataset import BUILDER_FORMAT
from movierec.model.ranking import Ranked
from movierec.provenance.lineage import Facts, Function, Lineage


@dataclass(frozen=True, slots=True)
class Check:
    """One comparison: the manifest's value, and the one found.

    `gone`: the data is past its retention, and `found` says so. That is no failure. `note` says
    what was not compared.
    """

    name: str
    expected: str
    found: str
    gone: bool = False
    note: str = ""

    @property
    def ok(self) -> bool:
        """Whether they are the same."""
        return not self.gone and self.expected == self.found


def check_files(what: str, manifest: Facts, found: Mapping[str, Facts]) -> tuple[Check, ...]:
    """Compare each file's checksum with the manifest; a file not in `found` is missing."""
    return tuple(
        Check(f"{what} {name}", _sum(expected), _sum(found.get(name)))
        for name, expected in sorted(manifest.get("files", {}).items())
    )


def check_rows(manifest: Facts, counted: Mapping[str, int]) -> tuple[Check, ...]:
    """Compare a data set's events with a count at the same version of the lake."""
    expected = rows_by_kind(manifest)
    kinds = sorted(expected.keys() | counted.keys())
    return tuple(
        Check(f"lake rows, {kind}", str(expected.get(kind, 0)), str(counted.get(kind, 0)))
        for kind in kinds
    )


def check_offsets(manifest: Facts, offsets: Mapping[str, Facts]) -> tuple[Check, ...]:
    """Compare each partition's offsets `first`, `last` and its number of `rows`."""
    expected: Mapping[str, Facts] = manifest.get("lake", {}).get("offsets", {})
    return tuple(
        Check(
            f"partition {partition}",
            offsets_text(expected.get(partition)),
            offsets_text(offsets.get(partition)),
        )
        for partition in sorted(expected.keys() | offsets.keys())
    )


def check_is_gone(table: str, version: int, why: str) -> Check:
    """Return the check of a version that the lake no longer holds: there is nothing to count."""
    return Check(f"{table} at version {version}", "still in the lake", why, gone=True)


def check_overlay_is_gone(number: int, why: str) -> Check:
    """Return the check of an overlay that was deleted: no list can be made from it again."""
    return Check(f"refresh {number}", "still in the bucket", why, gone=True)


def check_builder(manifest: Facts) -> tuple[Check, ...]:
    """Return a note that a data set of an older builder has its sums checked and no more."""
    found = int(manifest.get("builder_format", 1))
    if found >= BUILDER_FORMAT:
        return ()
    note = (
        f"built by format {found}, this code has {BUILDER_FORMAT}: its sums are checked, and no"
        " more: it is not built again"
    )
    return (Check("data set's builder", f"format {found}", f"format {found}", note=note),)


def check_answer(found: Served, again: Ranked) -> Check:
    """Compare the served list with the same model's answer now."""
    return Check("the model's answer", ", ".join(found.movie_ids), ", ".join(again.movie_ids))


def check_links(lineage: Lineage) -> tuple[Check, ...]:
    """Compare each link's reference to the next with the next link's own identity."""
    # $LATEST is pinned to no model.
    pinned = lineage.function if lineage.function and lineage.function.model_version else None
    pairs = (
        ("model of the function", pinned, "model_version", lineage.served.model_version),
        ("model", lineage.model, "model_version", lineage.served.model_version),
        ("data set", lineage.dataset, "dataset_id", (lineage.model or {}).get("dataset_id")),
    )
    return tuple(
        Check(name, str(expected), str(_field(link, field)))
        for name, link, field, expected in pairs
        if link is not None
    )


def _field(link: Function | Facts, field: str) -> object:
    return getattr(link, field) if isinstance(link, Function) else link.get(field)


def rows_by_kind(manifest: Facts) -> Mapping[str, int]:
    """Return the number of events in a data set's manifest, by kind."""
    counts: Mapping[str, int] = manifest.get("quality", {}).get("rows", {}).get("by_kind", {})
    return counts


def _sum(found: Facts | None) -> str:
    return f"{found['size_bytes']} bytes, sha256 {found['sha256']}" if found else "missing"


def offsets_text(part: Facts | None) -> str:
    """Return a partition's offsets and rows in words."""
    return f"{part['first']}..{part['last']}, {part['rows']} rows" if part else "missing"
