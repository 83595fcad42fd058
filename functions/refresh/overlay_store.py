"""The overlays of a model in the artifacts bucket, as the refresh reads and writes them."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from movierec.errors import ObjectExistsError
from movierec.model import encoding, overlay, refresh, sealed_folder
from movierec.model.refresh import State
from movierec.ports import ObjectStore

_WAITING_FILE: Final = "waiting.npy"


@dataclass(frozen=True, slots=True, eq=False)
class Stored:
    """An overlay's state, its number (0: none yet), and what it was made from."""

    number: int
    state: State
    offsets: Mapping[str, int]
    versions: Mapping[str, int] = field(default_factory=dict)
    """Of the lake's tables."""
    created_at: datetime | None = None
    described_to: int | None = -1
    """See `functions.refresh.changing`; None: all who wrote something have been looked through."""
    waiting: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    """Ids of users whose text no language model has read yet, ascending."""


def load(store: ObjectStore, model_version: str, n_movies: int) -> Stored | None:
    """Return a model's newest overlay, None before the first. Raises ArtifactError."""
    found = refresh.load(store, model_version, n_movies)
    if found is None:
        return None
    number, state, manifest = found
    stored = Stored(
        number,
        state,
        manifest["offsets"],
        manifest["lake"]["versions"],
        datetime.fromisoformat(manifest["created_at"]),
        # Those of before knew nothing of descriptions.
        manifest.get("described_to", -1),
    )
    if _WAITING_FILE not in manifest["files"]:
        return stored
    key = functools.partial(overlay.key, model_version, number)
    files = sealed_folder.load(store, key, [_WAITING_FILE], manifest)
    return replace(stored, waiting=encoding.load_npy(_WAITING_FILE, files[_WAITING_FILE]))


def publish(
    store: ObjectStore,
    model_version: str,
    state: State,
    facts: Mapping[str, Any],
    waiting: npt.NDArray[np.int64],
) -> int:
    """Write the next overlay of a model and return its number.

    A crash leaves files without a manifest: their number is passed over. Raises ObjectExistsError
    when another run has taken the number meanwhile.
    """
    number = 1 + max((_number(key) for key in store.keys(_folder(model_version))), default=0)
    key = functools.partial(overlay.key, model_version, number)
    files = refresh.pack(state)
    if len(waiting):
        files[_WAITING_FILE] = encoding.dump_npy(waiting)
    if not sealed_folder.publish(store, key, files, {"number": number, **facts}):
        raise ObjectExistsError(f"overlay {number} of {model_version} was published meanwhile")
    store.put(overlay.newest_key(model_version), overlay.dump_newest(number))
    return number


def _folder(model_version: str) -> str:
    return f"{overlay.PREFIX}{model_version}/"


def _number(key: str) -> int:
    part = key.split("/")[2]
    return int(part) if part.isdecimal() else 0
