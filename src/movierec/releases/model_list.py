"""The stored models as a list: a summary of each, the gate's verdict, the release."""

from collections.abc import Mapping
from typing import Any

from movierec.model import model_versions
from movierec.ports import ObjectStore
from movierec.releases import quality_gate
from movierec.releases.log import ReleaseLog


def listed(store: ObjectStore, log: ReleaseLog) -> list[dict[str, Any]]:
    """Return the models' summaries, newest first, with verdict and release."""
    released = _released(log)
    found = []
    for version in reversed(model_versions.versions(store)):
        verdict = quality_gate.recorded(store, version)
        found.append(
            {
                **model_versions.summary(version, model_versions.manifest(store, version)),
                "gate": None if verdict is None else "passed" if verdict["passed"] else "refused",
                "gate_faults": verdict["faults"] if verdict else [],
                "released": version in released,
                "promoted_by": released.get(version),
            }
        )
    return found


def _released(log: ReleaseLog) -> Mapping[str, str]:
    """Return the newest release that promoted each model."""
    closings = ((release, log.closing(release)) for release in log.releases())
    return {
        step.model_version: release
        for release, step in closings
        if step and step.name == "promote" and step.model_version
    }
