"""Generations: snapshots of all services but S3, one folder each, the last two kept.

    generations/00000007/manifest.json     versions, services, containers, sizes, checksums
                         lambda.0.state    one file, or one folder of assets, a container
    generations/next/                      a draft; without meaning after a crash

A generation is published by one rename.
"""

import hashlib
import json
import logging
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from localstack_keeper.disk import Disk
from localstack_keeper.errors import DamagedError
from localstack_keeper.state_folder import StateFolder, Writer

LOG = logging.getLogger(__name__)

KEPT = 2
_SQLITE_SIDES = ("-journal", "-wal", "-shm")


@dataclass(frozen=True)
class Part:
    """A file of a generation."""

    path: str
    """Relative to the generation's folder."""
    size_bytes: int
    sha256: str


@dataclass(frozen=True)
class Container:
    """A service's n-th state container: a pickle, or a folder of files."""

    service: str
    index: int
    kind: str
    parts: tuple[Part, ...]

    @property
    def name(self) -> str:
        """The name of its file or folder."""
        return f"{self.service}.{self.index}.{self.kind}"


@dataclass(frozen=True)
class Manifest:
    """What a generation holds."""

    number: int
    writer: Writer
    services: tuple[str, ...]
    containers: tuple[Container, ...]

    def dump(self) -> bytes:
        """Return the manifest's file, which ends with its own checksum."""
        body = json.dumps(asdict(self), indent=1)
        return f"{body}\n{hashlib.sha256(body.encode()).hexdigest()}\n".encode()

    @classmethod
    def load(cls, data: bytes) -> "Manifest":
        """Return the manifest. Raises DamagedError if the file is not whole."""
        body, _, digest = data.decode(errors="replace").rstrip("\n").rpartition("\n")
        if hashlib.sha256(body.encode()).hexdigest() != digest:
            raise DamagedError("manifest.json is not what was written")
        fields = json.loads(body)
        containers = tuple(
            Container(**{**container, "parts": tuple(Part(**part) for part in container["parts"])})
            for container in fields["containers"]
        )
        return cls(
            fields["number"], Writer(**fields["writer"]), tuple(fields["services"]), containers
        )


class Draft:
    """A generation that is being written."""

    def __init__(self, path: Path, disk: Disk) -> None:
        self.path = path
        self.containers: list[Container] = []
        self._disk = disk
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(parents=True)

    def add_bytes(self, service: str, index: int, kind: str, data: bytes) -> None:
        """Add a container that is one file."""
        container = Container(service, index, kind, ())
        self._disk.write_file(self.path / container.name, data)
        part = Part(container.name, len(data), hashlib.sha256(data).hexdigest())
        self.containers.append(replace(container, parts=(part,)))

    def add_folder(self, service: str, index: int, kind: str, source: Path) -> None:
        """Add a container that is a copy of a folder."""
        container = Container(service, index, kind, ())
        target = self.path / container.name
        target.mkdir()
        copy_assets(source, target)
        self._disk.sync_tree(target)
        parts = tuple(_part(path, self.path) for path in _files(target))
        self.containers.append(replace(container, parts=parts))

    def discard(self, service: str) -> None:
        """Delete what was added of a service."""
        self.containers = [kept for kept in self.containers if kept.service != service]
        for path in self.path.glob(f"{service}.*"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    def link(self, before: Path, containers: tuple[Container, ...]) -> None:
        """Add unchanged containers, as hard links to the same files."""
        for container in containers:
            for part in container.parts:
                target = self.path / part.path
                target.parent.mkdir(parents=True, exist_ok=True)
                os.link(before / part.path, target)
            if not container.parts:
                (self.path / container.name).mkdir()  # a folder of nothing
            for base, _, _ in os.walk(self.path / container.name):
                self._disk.sync_path(Path(base))
            self.containers.append(container)


class Generations:
    """The generations of a folder."""

    def __init__(self, folder: StateFolder, writer: Writer, disk: Disk) -> None:
        self.root = folder.path / "generations"
        disk.make_folder(self.root)
        self._folder = folder
        self._writer = writer
        self._disk = disk

    def numbers(self) -> list[int]:
        """Return the numbers of all generations, the newest first."""
        names = (path.name for path in self.root.iterdir())
        return sorted((int(name) for name in names if name.isdecimal()), reverse=True)

    def path(self, number: int) -> Path:
        """Return the folder of a generation."""
        return self.root / f"{number:08d}"

    def nothing(self) -> Manifest:
        """Return the manifest of no generation."""
        return Manifest(0, self._writer, (), ())

    def read(self, number: int) -> Manifest:
        """Return a generation's manifest; `check` reads its files. Raises DamagedError."""
        try:
            return Manifest.load((self.path(number) / "manifest.json").read_bytes())
        except (OSError, ValueError, KeyError, TypeError) as exc:
            raise DamagedError(str(exc)) from exc

    def check(self, number: int, container: Container) -> None:
        """Raise DamagedError if a file of a container is not what was written."""
        path = self.path(number)
        for part in container.parts:
            try:
                is_whole = _part(path / part.path, path) == part
            except OSError as exc:
                raise DamagedError(str(exc)) from exc
            if not is_whole:
                raise DamagedError(f"{part.path} is not what was written")

    def newest(self) -> Iterator[tuple[int, Manifest]]:
        """Yield what has a manifest, the newest first; set aside and log what has none."""
        for number in self.numbers():
            try:
                manifest = self.read(number)
            except DamagedError as exc:
                self.reject(number, str(exc))
            else:
                yield number, manifest

    def reject(self, number: int, why: str) -> Path:
        """Set a generation aside, and return where it is."""
        aside = self._folder.set_aside(self.path(number))
        LOG.error(
            "keeper: generation %d does not load (%s): set aside as %s, the one before is used",
            number, why, aside,
        )  # fmt: skip
        return aside

    def draft(self) -> Draft:
        """Return a generation to fill."""
        return Draft(self.root / "next", self._disk)

    def abandon(self) -> None:
        """Delete a draft that did not become a generation."""
        shutil.rmtree(self.root / "next", ignore_errors=True)

    def publish(self, draft: Draft, services: tuple[str, ...]) -> Manifest:
        """Make a draft the newest generation, and delete those older than the last two."""
        number = max(self.numbers(), default=0) + 1
        manifest = Manifest(number, self._writer, services, tuple(draft.containers))
        self._disk.write_file(draft.path / "manifest.json", manifest.dump())
        self._disk.sync_path(draft.path)
        draft.path.rename(self.path(number))
        self._disk.sync_path(self.root)
        for old in self.numbers()[KEPT:]:
            shutil.rmtree(self.path(old), ignore_errors=True)
        return manifest

    def saved_at_s(self, number: int) -> float | None:
        """Return when a generation was made, in Unix seconds."""
        return (self.path(number) / "manifest.json").stat().st_mtime if number else None


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _part(path: Path, root: Path) -> Part:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Part(str(path.relative_to(root)), path.stat().st_size, digest)


def copy_assets(source: Path, target: Path) -> None:
    """Copy a folder of assets; SQLite's files by SQLite, since somebody may be writing."""
    if not source.is_dir():
        return
    for path in _files(source):
        if path.name.endswith(_SQLITE_SIDES):
            continue
        copy = target / path.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):  # deleted since it was listed
            (_copy_sqlite if _is_sqlite(path) else shutil.copyfile)(path, copy)


def _is_sqlite(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(16) == b"SQLite format 3\0"


def _copy_sqlite(source: Path, target: Path) -> None:
    with closing(sqlite3.connect(source)) as here, closing(sqlite3.connect(target)) as there:
        here.backup(there)
