"""Publish a trained model: its files, then the manifest of how it was made."""

import functools
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from movierec.errors import ObjectExistsError
from movierec.model import artifact, encoding, sealed_folder
from movierec.model.artifact import Model
from movierec.model.segments import GROUPS
from movierec.ports import ObjectStore


@dataclass(frozen=True, slots=True)
class Origin:
    """What a model was made by, and of."""

    started: datetime
    code_version: str
    """Git commit, with `-dirty` when the work tree differed."""
    dataset_id: str
    libraries: Mapping[str, str]
    """Versions of the engine's libraries by name."""

    def facts(self) -> dict[str, Any]:
        """Return its part of the manifest."""
        commit, _, dirty = self.code_version.partition("-")
        version = artifact.model_version(self.started, self.code_version, self.dataset_id)
        return {
            "model_version": version,
            "dataset_id": self.dataset_id,
            "created_at": self.started.isoformat(),
            "groups": list(GROUPS),
            "git": {"commit": commit, "dirty": bool(dirty)},
            "python": platform.python_version(),
            "libraries": {"numpy": np.__version__, **self.libraries},
        }


def publish(
    store: ObjectStore,
    model: Model,
    facts: Mapping[str, Any],
    report_page: bytes,
    optional: Mapping[str, bytes] | None = None,
) -> None:
    """Write the model's files and reports, then its manifest, which holds the facts.

    `optional` are further files of the artifact by name. Raises ObjectExistsError for a version
    that is taken.
    """
    version = facts["model_version"]
    reports = {
        artifact.REPORT_FILE: encoding.dump_json(facts["metrics"]),
        artifact.REPORT_PAGE_FILE: report_page,
    }
    key = functools.partial(artifact.key, version)
    # Another run of the same second may be writing: one of the two succeeds.
    files = {**artifact.pack(model), **(optional or {}), **reports}
    if not sealed_folder.publish(store, key, files, facts):
        raise ObjectExistsError(f"model {version} was published meanwhile: train again")
