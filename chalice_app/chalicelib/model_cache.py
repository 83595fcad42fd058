"""Cache of models on this execution environment's disk: fetched once, verified, then mapped."""

import functools
import tempfile
from pathlib import Path

from movierec.model import artifact, sealed_folder
from movierec.ports import ObjectStore


def fetch(store: ObjectStore, version: str, parent: Path) -> Path:
    """Return a folder below `parent` with a model's serving files, verified with its manifest.

    An existing folder has been verified: it is filled under another name and renamed last, so that
    neither a crash nor a second environment on the same disk leaves half a model.
    Raises ArtifactError if the files are damaged, ObjectNotFoundError if there is no such model.
    """
    artifact.trained_at(version)  # validates the version before it becomes a path
    folder = parent / version
    if folder.is_dir():
        return folder
    parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=parent) as scratch:
        filled = _fill(store, version, Path(scratch) / version)
        try:
            filled.rename(folder)
        except OSError:
            if not folder.is_dir():  # unless another environment was first
                raise
    return folder


def _fill(store: ObjectStore, version: str, folder: Path) -> Path:
    folder.mkdir()
    key = functools.partial(artifact.key, version)
    sealed = store.get(key(sealed_folder.MANIFEST_FILE))
    (folder / sealed_folder.MANIFEST_FILE).write_bytes(sealed)
    manifest = sealed_folder.open_manifest(sealed)
    names = [name for name in artifact.SERVING_FILES if name != sealed_folder.MANIFEST_FILE]
    names += [name for name in artifact.OPTIONAL_SERVING_FILES if name in manifest["files"]]
    sealed_folder.download(store, key, names, manifest, folder)
    return folder
