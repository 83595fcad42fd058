"""The state folder: a lock for the one emulator that uses it, and the version that wrote it."""

import fcntl
import itertools
import json
import os
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from localstack_keeper.disk import Disk
from localstack_keeper.errors import RefusedError

FORMAT = 1


@dataclass(frozen=True)
class Writer:
    """Who wrote a folder. Pickled state fits what wrote it and no other."""

    localstack: str
    keeper: str
    format: int = FORMAT
    python: str = f"{sys.version_info.major}.{sys.version_info.minor}"

    def fits(self, other: "Writer") -> bool:
        """Return whether one reads what the other wrote."""
        return replace(self, keeper=other.keeper) == other

    def __str__(self) -> str:
        """Return how a message names it."""
        return (
            f"LocalStack {self.localstack} with keeper {self.keeper} (format {self.format}) on "
            f"Python {self.python}"
        )


@dataclass
class StateFolder:
    """A state folder that is this process's alone until it ends."""

    path: Path
    lock_fd: int

    @classmethod
    def take(cls, path: Path, writer: Writer, disk: Disk) -> "StateFolder":
        """Lock the folder, made if need be; the kernel unlocks it when the process ends.

        Raises RefusedError if another emulator has it or another version wrote it.
        """
        disk.make_folder(path)
        fd = os.open(path / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            _lock(fd, path)
            _check(path, writer, disk)
        except BaseException:
            os.close(fd)
            raise
        return cls(path, fd)

    def release(self) -> None:
        """Let others have the folder."""
        os.close(self.lock_fd)

    def set_aside(self, path: Path) -> Path:
        """Move something damaged out of the way and return where it is now."""
        aside = self.path / "set-aside"
        aside.mkdir(exist_ok=True)
        targets = (aside / f"{path.name}.{number}" for number in itertools.count(1))
        target = next(target for target in targets if not target.exists())
        path.rename(target)
        return target


def _lock(fd: int, path: Path) -> None:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.pread(fd, 20, 0).decode(errors="replace").strip() or "unknown"
        raise RefusedError(
            f"{path}: another emulator keeps its state there (process {owner}): "
            "stop it, or set KEEPER_FOLDER to another folder"
        ) from None
    # In this order, since a full disk may not give back what is cut off first.
    os.ftruncate(fd, os.pwrite(fd, f"{os.getpid()}\n".encode(), 0))


def _check(path: Path, writer: Writer, disk: Disk) -> None:
    named = path / "keeper.json"
    if not named.exists():
        part = path / "keeper.json.part"
        disk.write_file(part, json.dumps(asdict(writer)).encode())
        part.replace(named)
        disk.sync_path(path)
        return
    try:
        wrote = Writer(**json.loads(named.read_bytes()))
    except (ValueError, TypeError) as exc:
        raise RefusedError(
            f"{path}: {exc}: no telling which version wrote this folder; restore the file, or set "
            "KEEPER_FOLDER to an empty folder"
        ) from exc
    if not wrote.fits(writer):
        raise RefusedError(
            f"{path}: written by {wrote}, this is {writer}: start the version that wrote it, or "
            "set KEEPER_FOLDER to an empty folder"
        )
