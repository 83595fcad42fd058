"""The overlays of a model in the artifacts bucket, as the refresh reads and writes them."""

import functools
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from movierec.errors import ObjectExistsError, ObjectNotFoundError
from movierec.model import artifact, encoding, overlay, refresh, sealed_folder
from movierec.model.refresh import State
from movierec.ports import ObjectStore

FORGOTTEN_AFTER: Final = timedelta(days=30)
"""How long the overlays of a model are kept that is not served: recommendations of that time can be
verified. Deleted objects can be restored for as long as the bucket keeps what was replaced."""

KEPT: Final = 30 * 24 * 12
"""Of a model that is served: those of as many days, one every five minutes."""

_PASSED_OVER: Final = 2

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
    """Write the next overlay of a model, delete what is KEPT numbers older, return its number.

    A crash leaves files without a manifest: their number is passed over. Raises ObjectExistsError
    when another run has taken the number meanwhile.
    """
    number = 1 + _newest(store, model_version)
    while any(True for _ in store.keys(overlay.key(model_version, number, ""))):
        number += 1
    key = functools.partial(overlay.key, model_version, number)
    files = refresh.pack(state)
    if len(waiting):
        files[_WAITING_FILE] = encoding.dump_npy(waiting)
    if not sealed_folder.publish(store, key, files, {"number": number, **facts}):
        raise ObjectExistsError(f"overlay {number} of {model_version} was published meanwhile")
    store.put(overlay.newest_key(model_version), overlay.dump_newest(number))
    # Of numbers that were passed over as well.
    for old in range(max(1, number - KEPT - _PASSED_OVER), number - KEPT + 1):
        store.delete(store.keys(overlay.key(model_version, old, "")))
    return number


def forget(store: ObjectStore, served: Collection[str], now: datetime) -> None:
    """Delete the overlays of old models that are not served, but for each one's newest.

    A rollback to such a model begins with that.
    """
    folders = {key.split("/")[1] for key in store.keys(overlay.PREFIX) if key.count("/") > 1}
    for version in sorted(folders - set(served)):
        if now - artifact.trained_at(version) < FORGOTTEN_AFTER:
            continue
        kept = (overlay.newest_key(version), overlay.key(version, _newest(store, version), ""))
        keys = store.keys(f"{overlay.PREFIX}{version}/")
        store.delete([key for key in keys if not key.startswith(kept)])


def _newest(store: ObjectStore, model_version: str) -> int:
    try:
        return overlay.load_newest(store.get(overlay.newest_key(model_version)))
    except ObjectNotFoundError:
        return 0
