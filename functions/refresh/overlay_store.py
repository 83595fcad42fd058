"""The overlays of a model in the artifacts bucket, as the refresh reads and writes them."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from movierec.errors import ObjectExistsError, ObjectNotFoundError
from movierec.model import overlay, recent, sealed_folder
from movierec.model.refresh import State
from movierec.ports import ObjectStore


@dataclass(frozen=True, slots=True, eq=False)
class Stored:
    """An overlay's state, its number (0: none yet), and what it was made from."""

    number: int
    state: State
    offsets: Mapping[str, int]


def load(store: ObjectStore, model_version: str, n_movies: int) -> Stored | None:
    """Return a model's newest overlay, None before the first. Raises ArtifactError."""
    try:
        number = overlay.load_newest(store.get(overlay.newest_key(model_version)))
    except ObjectNotFoundError:
        return None
    key = functools.partial(overlay.key, model_version, number)
    manifest = sealed_folder.manifest(store, key)
    files = sealed_folder.load(store, key, (*overlay.SERVING_FILES, *recent.FILES), manifest)
    return Stored(
        number,
        State(overlay.unpack(files, n_movies), recent.unpack(files)),
        manifest["offsets"],
    )


def publish(store: ObjectStore, model_version: str, state: State, facts: Mapping[str, Any]) -> int:
    """Write the next overlay of a model and return its number.

    A crash leaves files without a manifest: their number is passed over. Raises ObjectExistsError
    when another run has taken the number meanwhile.
    """
    number = 1 + max((_number(key) for key in store.keys(_folder(model_version))), default=0)
    key = functools.partial(overlay.key, model_version, number)
    files = {**overlay.pack(state.overlay), **recent.pack(state.recent)}
    if not sealed_folder.publish(store, key, files, {"number": number, **facts}):
        raise ObjectExistsError(f"overlay {number} of {model_version} was published meanwhile")
    store.put(overlay.newest_key(model_version), overlay.dump_newest(number))
    return number


def _folder(model_version: str) -> str:
    return f"{overlay.PREFIX}{model_version}/"


def _number(key: str) -> int:
    part = key.split("/")[2]
    return int(part) if part.isdecimal() else 0
