"""What was built: a package's place, sizes and checksum, written down beside it."""

import hashlib
import json
import zipfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from movierec.runtime import atomic_file


@dataclass(frozen=True, slots=True)
class Built:
    """One package: where it is and what is in it."""

    name: str
    path: Path
    key: str
    sha256: str
    zipped_bytes: int
    unzipped_bytes: int
    files: int


def measured(draft: Path, target: Path, name: str, key: str) -> Built:
    """Return what a zip holds that is going to be `target`."""
    with draft.open("rb") as stream:
        sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
    with zipfile.ZipFile(draft) as archive:
        sizes = [entry.file_size for entry in archive.infolist()]
    return Built(name, target, key, sha256, draft.stat().st_size, sum(sizes), len(sizes))


def recorded(folder: Path, target: Path, name: str, key: str) -> Built | None:
    """Return what the last build wrote down, if it was made from the same."""
    try:
        built = Built(**json.loads(_path(folder, name).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):  # none, half a one, or one of an older recipe
        return None
    return replace(built, path=target) if built.key == key else None


def write_down(folder: Path, built: Built) -> Built:
    """Keep what was built for the next build, and return it."""
    text = json.dumps({**asdict(built), "path": built.path.name}, indent=2)
    atomic_file.write_whole(_path(folder, built.name), text + "\n", durable=False)
    return built


def _path(folder: Path, name: str) -> Path:
    return folder / f"{name}.json"
