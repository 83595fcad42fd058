"""Stored model versions: a summary of each, and two of them side by side, from their manifests."""

import functools
from collections.abc import Mapping
from typing import Any, Final

from movierec.errors import ObjectNotFoundError, UsageError
from movierec.model import artifact, comparison, sealed_folder
from movierec.model.sealed_folder import MANIFEST_FILE
from movierec.ports import ObjectStore

Manifest = Mapping[str, Any]


def versions(store: ObjectStore) -> tuple[str, ...]:
    """Return the complete models' versions, oldest first. Raises UnavailableError."""
    suffix = f"/{MANIFEST_FILE}"
    keys = (key for key in store.keys(artifact.PREFIX) if key.endswith(suffix))
    return tuple(sorted(key.removeprefix(artifact.PREFIX).removesuffix(suffix) for key in keys))


def manifest(store: ObjectStore, version: str) -> Manifest:
    """Return a model's manifest. Raises UsageError for an unknown version, and ArtifactError."""
    try:
        return sealed_folder.manifest(store, functools.partial(artifact.key, version))
    except ObjectNotFoundError as exc:
        raise UsageError(f"there is no model {version!r}: see `movierec models list`") from exc


def summary(version: str, sealed: Manifest) -> dict[str, Any]:
    """Return what a list of models shows of one; None where its manifest does not say it."""
    model = sealed.get("metrics", {}).get("model", {})
    return {
        "model_version": version,
        "trained_at": artifact.trained_at(version).isoformat(),
        "dataset_id": sealed.get("dataset_id"),
        "users": sealed.get("counts", {}).get("users"),
        "ndcg": model.get("ndcg"),
        "recall": model.get("recall"),
        "lists_from": sealed.get("lists_from"),
        "truncated": bool(sealed.get("truncated")),
    }


def compared(one: Manifest, other: Manifest) -> dict[str, Any]:
    """Return two models side by side, and whether their accuracy can be compared.

    `difference` is the other's NDCG and recall minus the one's, on the same users: only where the
    other's evaluation included the one as the model in production.
    """
    ours, theirs = _row(one), _row(other)
    comparable, note = _comparable(one, other)
    paired = _metrics(other).get("differences", {}).get("production")
    production = _metrics(other).get("production") or {}
    named = production.get("model_version") == one["model_version"]
    return {
        "models": [one["model_version"], other["model_version"]],
        "comparable": comparable,
        "note": note,
        "difference": {name: paired[name] for name in ("ndcg", "recall")}
        if paired and named
        else None,
        "measures": [
            {
                "name": column.name,
                "unit": column.unit,
                "better": column.better,
                "definition": column.definition,
                "values": [ours.get(column.name), theirs.get(column.name)],
            }
            for column in comparison.COLUMNS
        ],
    }


def _comparable(one: Manifest, other: Manifest) -> tuple[bool, str]:
    production = _metrics(other).get("production") or {}
    if production.get("model_version") == one["model_version"] and production["basis"]:
        return True, "the second was evaluated beside the first, on the same users and window"
    if one.get("dataset_id") and one.get("dataset_id") == other.get("dataset_id"):
        return True, "both were evaluated on the same data set"
    return False, "they were evaluated on different data: their accuracy cannot be compared"


def _metrics(sealed: Manifest) -> Mapping[str, Any]:
    found: Mapping[str, Any] = sealed.get("metrics") or {}
    return found


def _row(sealed: Manifest) -> dict[str, Any]:
    """Return a model's values by column, those of its whole artifact where it says them."""
    table = _metrics(sealed).get("comparison")
    found = dict(_product_row(table)) if table else _from_before(sealed)
    size = sum(each["size_bytes"] for each in sealed.get("files", {}).values())
    return {**found, "size_mb": size / _MB}


_MB: Final = 1e6


def _product_row(table: Mapping[str, Any]) -> Mapping[str, Any]:
    return next(row for row in table["rows"] if row["model"] == table["product"])


def _from_before(sealed: Manifest) -> dict[str, Any]:
    """Return what a manifest without a table says."""
    model = _metrics(sealed).get("model", {})
    names = ("ndcg", "recall", "hit_rate", "coverage", "users")
    return {name: model.get(name) for name in names}
