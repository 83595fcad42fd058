"""A release request, and the model that it selects."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Self

from movierec.errors import ObjectNotFoundError, ReleaseError
from movierec.model import artifact, sealed_folder
from movierec.parameters import read_parameters
from movierec.ports import ObjectStore


@dataclass(frozen=True, slots=True)
class Request:
    """A request. Without a model it is the newest one, or with `code` the stable one."""

    model_version: str = ""
    code: bool = False
    again: bool = False
    """Release a version even though it was rolled back before."""
    allow_truncated: bool = False
    """Let the gate pass a model whose training was cut short by the deadline."""

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> Self:
        """Return a request from JSON. Raises UsageError."""
        return read_parameters(cls, values)

    def to_json(self) -> dict[str, Any]:
        """Return the request as `read` takes it.

        Without `allow_truncated` unless it is set: earlier code does not know it.
        """
        values = asdict(self)
        return values if self.allow_truncated else {k: values[k] for k in _KNOWN_BEFORE}

    def model(self, store: ObjectStore, stable: str | None) -> str:
        """Return the model to release; `stable` is the stable version's.

        Raises ObjectNotFoundError if there is no newest model to select, and UnavailableError.
        """
        if self.model_version:
            return self.model_version
        return stable if self.code and stable else artifact.newest(store)


_KNOWN_BEFORE: Final = ("model_version", "code", "again")


def require_model(store: ObjectStore, model_version: str) -> None:
    """Raise ReleaseError unless a model is complete."""
    try:
        store.get(artifact.key(model_version, sealed_folder.MANIFEST_FILE))
    except ObjectNotFoundError as exc:
        raise ReleaseError(
            f"there is no complete model {model_version!r} to release: see `movierec status`, "
            "or train one"
        ) from exc
