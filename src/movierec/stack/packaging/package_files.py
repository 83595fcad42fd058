"""The contents of a package, written the same way every time, and the record of a build.

Which modules of the library a deployable reaches is read from the code itself, so that no list has
to be kept: every import statement counts, one inside a function too. Modules are taken singly.
Taken by whole packages, one page for people would bring all of `movierec.releases` into a function
that only trains; see docs/adr/0010.
"""

import ast
import functools
import hashlib
import json
import os
import shutil
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from importlib.util import resolve_name
from pathlib import Path
from typing import Final

from movierec.runtime import atomic_file

# The earliest date that a zip can hold; any fixed one would do.
_DATE: Final = (1980, 1, 1, 0, 0, 0)
_DATE_S: Final = 315_532_800
# Of the deltalake package: 6.0 s and 78.3 MB; zlib's usual 6 takes 9.2 s for 77.3 MB.
_LEVEL: Final = 5
_MODE: Final = 0o644  # AWS asks that everybody may read

_LIBRARY: Final = "movierec"

type Files = Mapping[str, Path]
"""Where each file of a package comes from, by its path in the package."""


def below(folder: Path, prefix: str = "") -> Files:
    """Return every file under a folder by its path in the package."""
    found = (Path(top, name) for top, _, names in os.walk(folder) for name in names)
    return {prefix + path.relative_to(folder).as_posix(): path for path in found}


def sources(folder: Path, prefix: str) -> Files:
    """Return the files under a folder of the checkout, but for what an interpreter left there."""
    found = below(folder, prefix)
    return {name: path for name, path in found.items() if "__pycache__" not in path.parts}


def library_files(root: Path, deployable: Files) -> Files:
    """Return the modules of the checkout's library that the files of a deployable reach.

    Each comes with the `__init__` of its packages, which Python runs as well.
    """
    found: dict[str, Path] = {}
    pending = list(deployable.items())
    while pending:
        place, path = pending.pop()
        if not place.endswith(".py"):
            continue
        package = place.rpartition("/")[0].replace("/", ".")
        for name in _imported(path.read_bytes(), package):
            reached = {p: root / "src" / p for p in _places(name) if p not in found}
            there = {p: file for p, file in reached.items() if file.is_file()}
            found |= there
            pending += there.items()
    return found


@functools.lru_cache(maxsize=1024)
def _imported(source: bytes, package: str) -> frozenset[str]:
    """Return what of the library a module imports: modules, and names that may be modules."""
    try:
        tree = ast.parse(source)
    except SyntaxError:  # compiling it says what is wrong with it
        return frozenset()
    names = (name for node in ast.walk(tree) for name in _names(node, package))
    return frozenset(name for name in names if name.split(".")[0] == _LIBRARY)


def _names(node: ast.AST, package: str) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        module = resolve_name("." * node.level + (node.module or ""), package)
        yield from (f"{module}.{alias.name}" for alias in node.names)


def _places(name: str) -> Iterator[str]:
    """Yield where the module of a dotted name and the packages above it may be."""
    parts = name.split(".")
    for count in range(1, len(parts) + 1):
        place = "/".join(parts[:count])
        yield f"{place}.py"
        yield f"{place}/__init__.py"


def add(archive: zipfile.ZipFile, files: Files) -> None:
    """Add files in the order of their names, with one date and mode for all."""
    for name in sorted(files):
        entry = zipfile.ZipInfo(name, _DATE)
        entry.compress_type = zipfile.ZIP_DEFLATED
        entry.external_attr = _MODE << 16
        archive.writestr(entry, files[name].read_bytes(), compresslevel=_LEVEL)


def lay_out(files: Files, folder: Path) -> None:
    """Copy files to their places in a folder, with one date for all."""
    for name in sorted(files):
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(files[name], place)
        os.utime(place, (_DATE_S, _DATE_S))


def link(source: str | Path, target: str | Path) -> None:
    """Give a file a second name, or copy it where that is impossible (another disk)."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def extent(files: Files) -> tuple[int, int]:
    """Return how many files there are, and their bytes."""
    return len(files), sum(path.stat().st_size for path in files.values())


def digest(files: Files) -> str:
    """Return a hash of names and contents, and of how they are written here."""
    found = hashlib.sha256(Path(__file__).read_bytes())
    for name in sorted(files):
        body = files[name].read_bytes()
        found.update(f"{name}\0{len(body)}\0".encode())
        found.update(body)
    return found.hexdigest()


def fingerprint(parts: Mapping[str, str]) -> str:
    """Return a hash of texts by their names: digests, settings, commands."""
    text = json.dumps(dict(parts), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


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
