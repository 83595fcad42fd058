"""The model in production on another model's held-out window: users and movies matched by id.

A comparison is fair if neither has seen the window. What a model serves was made of all of its data
set, so two cases differ:

    "served"     its data ended before the window began: the lists that it serves are compared
    "held out"   its data reaches into the window, as usual when retraining is frequent: the lists
                 of its own evaluation are compared, which know only what came before its own
                 window. Its artifact holds them since HELD_OUT_FILE exists

Otherwise there is no comparison, and the reason is recorded. Users without a list in both models
are left out.
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from movierec.errors import ArtifactError, ObjectNotFoundError
from movierec.model import artifact, sealed_folder
from movierec.model import dataset as datasets
from movierec.model.artifact import HELD_OUT_TOPK_FILE, HELD_OUT_USERS_FILE
from movierec.model.dataset import TEST, Dataset
from movierec.model.encoding import load_json, load_npy
from movierec.model.stored_lists import StoredLists
from movierec.ports import ObjectStore

Basis = Literal["served", "held out"]


@dataclass(frozen=True, slots=True, eq=False)
class Production:
    """The lists of the model in production that can be compared, or why there are none."""

    model_version: str
    lists: StoredLists | None = None
    basis: Basis | None = None
    known_until_s: int | None = None
    """The lists know nothing later."""
    reason: str = ""
    manifest: Mapping[str, Any] = field(default_factory=dict)
    """The model's, empty where it cannot be read."""

    def facts(self) -> dict[str, Any]:
        """Return what the report says about the comparison."""
        return {
            "model_version": self.model_version,
            "basis": self.basis,
            "known_until_s": self.known_until_s,
            "reason": self.reason,
        }


def held_out_from(dataset: Dataset) -> int:
    """Return when the held-out window begins, in seconds since 1970."""
    return int(dataset.last_at[dataset.part == TEST].min())


def load(store: ObjectStore, model_version: str, dataset: Dataset) -> Production:
    """Return the model's lists for a data set's users. Raises UnavailableError.

    A model that cannot be read is no reason not to train its successor.
    """
    try:
        return _load(store, model_version, dataset)
    except (ArtifactError, ObjectNotFoundError) as exc:
        return Production(model_version, reason=f"it cannot be read: {exc}")


def _load(store: ObjectStore, version: str, dataset: Dataset) -> Production:
    key = functools.partial(artifact.key, version)
    manifest, window_s = sealed_folder.manifest(store, key), held_out_from(dataset)
    until_s = _data_until(store, manifest, version)
    if until_s < window_s:
        basis: Basis = "served"
        names = (artifact.USER_IDS_FILE, artifact.TOPK_FILE)
    else:
        basis, names = "held out", (HELD_OUT_USERS_FILE, HELD_OUT_TOPK_FILE)
        until_s = manifest.get("metrics", {}).get("held_out_from_s")
        if until_s is None or not set(names) <= set(manifest["files"]):
            return Production(version, reason=OLD, manifest=manifest)
        if until_s > window_s:
            return Production(version, reason=LATER, manifest=manifest)
    files = sealed_folder.load(store, key, (*names, artifact.MOVIE_IDS_FILE), manifest)
    user_ids, lists = (load_npy(name, files[name]) for name in names)
    movie_ids = load_json(artifact.MOVIE_IDS_FILE, files[artifact.MOVIE_IDS_FILE])
    stored = StoredLists.of(dataset, user_ids, lists, movie_ids)
    return Production(version, stored, basis, until_s, manifest=manifest)


OLD: Final = (
    "its data reaches into the held-out window, and its artifact has no lists from before that:"
    " it was trained by earlier code"
)
LATER: Final = "its own held-out window begins later: it has learned from this one"


def _data_until(store: ObjectStore, manifest: Mapping[str, Any], version: str) -> int:
    """Return the time of the model's last event, or of its training if the data set has gone."""
    dataset_id = manifest.get("dataset_id", "")
    try:
        sealed = sealed_folder.manifest(store, functools.partial(datasets.key, dataset_id))
        return int(sealed["lake"]["event_time_us"]["last"]) // 1_000_000
    except (ArtifactError, ObjectNotFoundError, KeyError, TypeError):
        return int(artifact.trained_at(version).timestamp())
