"""Format of an overlay: what has changed since a model was trained, without training anew.

An overlay holds the lists of users who have newer events, those of new users, movies that came
since, and titles that were withdrawn. It is complete: the newest one of a model replaces all
before it. Each lies under `overlays/<model_version>/<number, 8 digits>/`:

    user_ids.npy     (n,) int64, strictly ascending
    topk.npy         (n, TOP_K) as in the model, indices into the model's movies followed by
                     `movie_ids.json`; the smallest type for all of them
    groups.npy       (n,) uint8, index into the manifest's "groups", as in the model
    reasons.npy      (n,) uint8, index into REASONS: what the user's list was made from
    movie_ids.json   [id of each movie that came after the model's, ...]
    withdrawn.json   [id of each title that no list may hold, ...]
    manifest.json    written last, and only if absent, as for models

All but the manifest are members of one file, `overlay.zip`, uncompressed: an API that starts asks
for three objects. Those of before have a file each, and are read as well.

`overlays/<model_version>/newest.json` is written after the manifest: {"number": n}.
"""

import functools
import io
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, Self, get_args

import numpy as np

from movierec.errors import ArtifactError
from movierec.model import artifact, sealed_folder
from movierec.model.artifact import TOP_K
from movierec.model.encoding import Array, dump_json, dump_npy, load_json, load_npy
from movierec.model.user_id import row_of
from movierec.ports import ObjectStore

PREFIX: Final = "overlays/"

Reason = Literal["fold_in", "description", "group"]
REASONS: Final[tuple[Reason, ...]] = get_args(Reason)
"""What a list was made from: newer events, what the user wrote, or age band and gender alone."""

_USER_IDS: Final = "user_ids.npy"
_TOPK: Final = "topk.npy"
_GROUPS: Final = "groups.npy"
_REASONS: Final = "reasons.npy"
_MOVIE_IDS: Final = "movie_ids.json"
_WITHDRAWN: Final = "withdrawn.json"

_MEMBERS: Final = (_USER_IDS, _TOPK, _GROUPS, _REASONS, _MOVIE_IDS, _WITHDRAWN)

FILE: Final = "overlay.zip"

FILES: Final = (FILE, *_MEMBERS)
"""All that an overlay may lie in: the first alone, or the others."""

# The earliest that the format knows: the same overlay gives the same bytes.
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)


def key(model_version: str, number: int, name: str) -> str:
    """Return the object key of one file of an overlay."""
    return f"{PREFIX}{model_version}/{number:08}/{name}"


def newest_key(model_version: str) -> str:
    """Return the object key of the document that names a model's newest overlay."""
    return f"{PREFIX}{model_version}/newest.json"


def dump_newest(number: int) -> bytes:
    """Return the document that names a model's newest overlay."""
    return dump_json({"number": number})


def load_newest(body: bytes) -> int:
    """Return the number in that document. Raises ArtifactError."""
    value = load_json("newest.json", body)
    number = value.get("number") if isinstance(value, dict) else None
    if type(number) is not int or number < 1:
        raise ArtifactError(f"newest.json is {value!r}: expected the number of an overlay")
    return number


def load(store: ObjectStore, model_version: str, number: int, n_model_movies: int) -> "Overlay":
    """Return an overlay, verified with its manifest, of a model with so many movies.

    Raises ObjectNotFoundError and ArtifactError.
    """
    folder = functools.partial(key, model_version, number)
    manifest = sealed_folder.manifest(store, folder)
    names = [name for name in FILES if name in manifest["files"]]
    return unpack(sealed_folder.load(store, folder, names, manifest), n_model_movies)


@dataclass(frozen=True, slots=True, eq=False)
class Overlay:
    """An overlay's content; shapes and types are those of the files above."""

    user_ids: Array
    topk: Array
    groups: Array
    reasons: Array
    movie_ids: Sequence[str] = ()
    withdrawn: frozenset[str] = frozenset()

    @classmethod
    def empty(cls, *, withdrawn: frozenset[str] = frozenset()) -> Self:
        """Return the overlay that changes no user's list but for withdrawn titles."""
        none = np.zeros(0, np.uint8)
        rows = np.zeros((0, TOP_K), np.uint16)
        return cls(np.zeros(0, np.int64), rows, none, none, withdrawn=withdrawn)

    def row_of(self, user_id: int) -> int | None:
        """Return the user's row, None if the overlay has no list of the user's own."""
        return row_of(self.user_ids, user_id)


def members(overlay: Overlay) -> dict[str, bytes]:
    """Return the arrays and documents of the module's docstring by name."""
    return {
        _USER_IDS: dump_npy(overlay.user_ids),
        _TOPK: dump_npy(overlay.topk),
        _GROUPS: dump_npy(overlay.groups),
        _REASONS: dump_npy(overlay.reasons),
        _MOVIE_IDS: dump_json(list(overlay.movie_ids)),
        _WITHDRAWN: dump_json(sorted(overlay.withdrawn)),
    }


def pack(overlay: Overlay) -> dict[str, bytes]:
    """Return the overlay's files by name; the same overlay gives the same bytes."""
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w", zipfile.ZIP_STORED) as archive:
        for name, content in members(overlay).items():
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), content)
    return {FILE: body.getvalue()}


def _unzipped(files: Mapping[str, bytes]) -> Mapping[str, bytes]:
    """Return the members, whichever way they are stored. Raises ArtifactError."""
    if FILE in files:
        try:
            with zipfile.ZipFile(io.BytesIO(files[FILE])) as archive:
                files = {name: archive.read(name) for name in archive.namelist()}
        except (zipfile.BadZipFile, NotImplementedError) as exc:
            raise ArtifactError(f"{FILE} is no archive ({exc}): refresh again") from exc
    if not set(_MEMBERS) <= set(files):
        raise ArtifactError(f"the overlay lacks {set(_MEMBERS) - set(files)}: refresh again")
    return files


def unpack(files: Mapping[str, bytes], n_model_movies: int) -> Overlay:
    """Return the overlay that `pack` wrote, of a model with so many movies.

    Raises ArtifactError if its parts do not fit together.
    """
    files = _unzipped(files)
    overlay = Overlay(
        user_ids=load_npy(_USER_IDS, files[_USER_IDS]),
        topk=load_npy(_TOPK, files[_TOPK]),
        groups=load_npy(_GROUPS, files[_GROUPS]),
        reasons=load_npy(_REASONS, files[_REASONS]),
        movie_ids=_texts(_MOVIE_IDS, files[_MOVIE_IDS]),
        withdrawn=frozenset(_texts(_WITHDRAWN, files[_WITHDRAWN])),
    )
    faults = _faults(overlay, n_model_movies + len(overlay.movie_ids))
    if faults:
        raise ArtifactError(f"no valid overlay: {'; '.join(faults)}: refresh again")
    return overlay


def _texts(name: str, body: bytes) -> Sequence[str]:
    value = load_json(name, body)
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise ArtifactError(f"{name} is no list of movie ids: refresh again")
    return tuple(value)


def _faults(overlay: Overlay, n_movies: int) -> Sequence[str]:
    n_users, u1 = len(overlay.user_ids), np.dtype(np.uint8)
    shapes: Sequence[tuple[str, Array, tuple[int, ...], np.dtype[Any]]] = (
        (_USER_IDS, overlay.user_ids, (n_users,), np.dtype(np.int64)),
        (_TOPK, overlay.topk, (n_users, TOP_K), artifact.index_type(n_movies)),
        (_GROUPS, overlay.groups, (n_users,), u1),
        (_REASONS, overlay.reasons, (n_users,), u1),
    )
    faults = [
        f"{name} has shape {array.shape} and type {array.dtype}, not {shape} and {dtype}"
        for name, array, shape, dtype in shapes
        if array.shape != shape or array.dtype != dtype
    ]
    if faults:
        return faults
    if not (overlay.user_ids[1:] > overlay.user_ids[:-1]).all():
        faults.append(f"{_USER_IDS} does not ascend")
    padding = np.iinfo(overlay.topk.dtype).max
    if not ((overlay.topk < n_movies) | (overlay.topk == padding)).all():
        faults.append(f"{_TOPK} names unknown movies")
    if not (overlay.reasons < len(REASONS)).all():
        faults.append(f"{_REASONS} names unknown reasons")
    return faults
