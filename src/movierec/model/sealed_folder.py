"""Sealed folders in an object store, for data sets and models: files first, manifest last.

A folder without a manifest does not exist for readers, and a sealed one never changes: the manifest
is a conditional put and holds each file's checksum, which every load verifies.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from movierec.errors import ArtifactError, ObjectExistsError, ObjectNotFoundError
from movierec.model.encoding import dump_json, load_json
from movierec.ports import ObjectStore

FORMAT_VERSION: Final = 1

MANIFEST_FILE: Final = "manifest.json"

Key = Callable[[str], str]
"""An object's key by its name in the folder."""


def publish(
    store: ObjectStore,
    key: Key,
    files: Mapping[str, bytes],
    facts: Mapping[str, Any],
    *,
    overwrite: bool = False,
) -> bool:
    """Write files, then the manifest; return False, and change nothing, if it exists already.

    A crash in between leaves files without a manifest. Where the name is a hash of the content (a
    data set), `overwrite` lets a retry write them again; else ObjectExistsError is raised for a
    file that another writer has put. Raises UnavailableError.
    """
    try:
        store.get(key(MANIFEST_FILE))
    except ObjectNotFoundError:
        put = store.put if overwrite else store.put_if_absent
        for name, body in files.items():
            put(key(name), body)
    else:
        return False
    try:
        store.put_if_absent(key(MANIFEST_FILE), seal(files, facts))
    except ObjectExistsError:
        return False
    return True


def manifest(store: ObjectStore, key: Key) -> dict[str, Any]:
    """Return a folder's manifest. Raises ObjectNotFoundError without one, and ArtifactError."""
    return open_manifest(store.get(key(MANIFEST_FILE)))


def load(
    store: ObjectStore, key: Key, names: Iterable[str], sealed: Mapping[str, Any]
) -> dict[str, bytes]:
    """Return files of a folder, each verified with the manifest. Raises ArtifactError."""
    files = {name: store.get(key(name)) for name in names}
    for name, body in files.items():
        verify(name, body, sealed)
    return files


def download(
    store: ObjectStore, key: Key, names: Iterable[str], sealed: Mapping[str, Any], folder: Path
) -> None:
    """Download files to a local folder, each verified with the manifest. Raises ArtifactError."""
    for name in names:
        store.download(key(name), folder / name)
        verify(name, (folder / name).read_bytes(), sealed)


def checksum(body: bytes) -> dict[str, Any]:
    """Return a file's `sha256` and `size_bytes`."""
    return {"sha256": hashlib.sha256(body).hexdigest(), "size_bytes": len(body)}


def checksums(files: Mapping[str, bytes]) -> dict[str, dict[str, Any]]:
    """Return the checksum of each file by its name."""
    return {name: checksum(files[name]) for name in sorted(files)}


def verify(name: str, body: bytes, manifest: Mapping[str, Any]) -> None:
    """Verify a file with its manifest. Raises ArtifactError, saying how they differ."""
    expected = manifest.get("files", {}).get(name)
    if expected is None:
        raise ArtifactError(f"{name} is not in its manifest: it belongs to another version")
    found = checksum(body)
    if found != expected:
        raise ArtifactError(
            f"{name} has {found['size_bytes']} bytes and sha256 {found['sha256']}, its manifest"
            f" says {expected['size_bytes']} and {expected['sha256']}: fetch it again"
        )


def seal(files: Mapping[str, bytes], facts: Mapping[str, Any]) -> bytes:
    """Return the manifest: `facts`, the format's version, and each file's checksum."""
    return dump_json({**facts, "format_version": FORMAT_VERSION, "files": checksums(files)})


def open_manifest(body: bytes) -> dict[str, Any]:
    """Return a manifest's facts. Raises ArtifactError if this code does not know its format."""
    manifest = load_json(MANIFEST_FILE, body)
    found = manifest.get("format_version") if isinstance(manifest, dict) else None
    if found != FORMAT_VERSION:
        raise ArtifactError(
            f"{MANIFEST_FILE} has format version {found!r}, this code reads {FORMAT_VERSION}:"
            " train anew, or serve it with the code that wrote it"
        )
    return dict(manifest)
