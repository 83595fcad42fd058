"""Models on this execution environment's disk: fetched once, checked, then mapped."""

import functools
import tempfile
from pathlib import Path

from movierec.model import artifact, sealed_folder
from movierec.ports import ObjectStore


def fetch(store: ObjectStore, version: str, parent: Path) -> Path:
    """Return a folder below `parent` that holds a model's serving files, as its manifest says.

    A folder that is there has been checked: it is filled under another name and renamed last, so
    that neither a crash nor a second environment on the same disk leaves half a model.
    Raises ArtifactError if the files are damaged, ObjectNotFoundError if there is no such model.
    """
    artifact.trained_at(version)  # a name that is no version must not become a path
    folder = parent / version
    if folder.is_dir():
        return folder
    parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=parent) as scratch:
        filled = _fill(store, version, Path(scratch) / version)
        try:
            filled.rename(folder)
        except OSError:
            if not folder.is_dir():  # nobody else was first: a real failure
                raise
    return folder


def _fill(store: ObjectStore, version: str, folder: Path) -> Path:
    folder.mkdir()
    key = functools.partial(artifact.key, version)
    sealed = store.get(key(sealed_folder.MANIFEST_FILE))
    (folder / sealed_folder.MANIFEST_FILE).write_bytes(sealed)
    manifest = sealed_folder.open_manifest(sealed)
    names = [name for name in artifact.SERVING_FILES if name != sealed_folder.MANIFEST_FILE]
    sealed_folder.download(store, key, names, manifest, folder)
    return folder
