"""What a release is asked for, and which model that means."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from movierec.errors import ObjectNotFoundError, ReleaseError
from movierec.model import artifact, sealed_folder
from movierec.parameters import read_parameters
from movierec.ports import ObjectStore


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be released. No model is the newest one, or the stable one with new `code`."""

    model_version: str = ""
    code: bool = False
    again: bool = False
    """Release a version even though it was rolled back before."""

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> Self:
        """Return a request from JSON. Raises UsageError."""
        return read_parameters(cls, values)

    def model(self, store: ObjectStore, stable: str | None) -> str:
        """Return the model that is meant; `stable` is the one that everybody has.

        Raises ObjectNotFoundError if the newest is meant and there is none, and UnavailableError.
        """
        if self.model_version:
            return self.model_version
        return stable if self.code and stable else artifact.newest(store)


def require_model(store: ObjectStore, model_version: str) -> None:
    """Raise ReleaseError unless a model is there, complete."""
    try:
        store.get(artifact.key(model_version, sealed_folder.MANIFEST_FILE))
    except ObjectNotFoundError as exc:
        raise ReleaseError(
            f"there is no complete model {model_version!r} to release: see `movierec status`, "
            "or train one"
        ) from exc
