"""The last released data set: the one of the model that the API's alias calls stable."""

from collections.abc import Callable
from typing import Any

from movierec.errors import ObjectNotFoundError
from movierec.model import artifact, encoding, sealed_folder
from movierec.model import dataset as datasets
from movierec.ports import ObjectStore
from movierec.quality import profile
from movierec.quality.rules import Released

ReleasedModel = Callable[[], str | None]
"""Returns the model that serves everybody, None before the first release."""


def released(store: ObjectStore, model: str | None) -> Released | str:
    """Return the data set of a released model, or why there is none to compare with.

    Raises ArtifactError, StoreError and UnavailableError.
    """
    if model is None:
        return "no model is released yet: there is nothing to compare with"
    try:
        manifest = sealed_folder.manifest(store, lambda name: artifact.key(model, name))
        return read(store, model, str(manifest.get("dataset_id")))
    except ObjectNotFoundError:
        return f"the manifest of the released model {model} is gone: nothing is compared"


def read(store: ObjectStore, model: str, dataset_id: str) -> Released | str:
    """Return a data set that a model was released with, or why it cannot be compared with."""
    try:
        report = _json(store, dataset_id, artifact.REPORT_FILE)
        movie_ids = _json(store, dataset_id, datasets.MOVIE_IDS_FILE)
    except ObjectNotFoundError:
        return f"the released data set {dataset_id} is gone: nothing is compared"
    known = report.get("profile")
    if not known or known.get("format") != profile.FORMAT:
        return f"the released data set {dataset_id} has no profile: it was built by other code"
    return Released(model, dataset_id, known, movie_ids)


def _json(store: ObjectStore, dataset_id: str, name: str) -> Any:  # noqa: ANN401  a file of JSON
    return encoding.load_json(name, store.get(datasets.key(dataset_id, name)))
