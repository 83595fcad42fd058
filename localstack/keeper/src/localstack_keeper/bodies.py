"""Objects' bodies, written once, never changed: small ones in packs, large ones a file each.

    bodies/3f/3f9c...   named at random
    packs/00000003      see `packs`

Whoever has an object's metadata knows its body. So no write can spoil what a reader reads, or what
is still the newest acknowledged version.
"""

import errno
import io
import os
import secrets
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import BinaryIO, Final

from localstack_keeper.files import Disk, Reserve
from localstack_keeper.packs import Packs, Place

# Between looking up an object and opening its body another request may delete it.
GRACE_S: Final = 5.0

# A file of its own costs two syncs and an inode: little for a megabyte, for 100 kB as much as all
# else that LocalStack does for a put. Whoever reads a packed body has it in memory whole.
PACKED_BYTES: Final = 1024 * 1024


class Draft:
    """A body that is being written."""

    def __init__(self, bodies: "Bodies") -> None:
        self.name = ""
        """Known when it is finished."""
        self.size_bytes = 0
        self._bodies = bodies
        self._chunks: list[bytes] = []
        self._large: LargeDraft | None = None

    def write(self, data: bytes) -> None:
        """Append to the body. Raises OSError."""
        self.size_bytes += len(data)
        if self._large is None and self.size_bytes <= PACKED_BYTES:
            self._chunks.append(data)
            return
        if self._large is None:
            self._large = self._bodies.draft_large()
            self._large.write(b"".join(self._chunks))
            self._chunks.clear()
        self._large.write(data)

    def finish(self) -> None:
        """Have the body whole; a packed one is on the disk with its record. Raises OSError."""
        if self._large is None:
            self.name = self._bodies.packs.add(*self._chunks)
        else:
            self._large.finish()
            self.name = self._large.name

    def drop(self) -> None:
        """Take it back."""
        if self._large is not None:
            self._large.drop()


class LargeDraft:
    """A file of its own that is being written."""

    def __init__(self, name: str, path: Path, disk: Disk) -> None:
        self.name = name
        self._path = path
        self._size_bytes = 0
        self._disk = disk
        self._fd = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)

    def write(self, data: bytes) -> None:
        """Append to the file. Raises OSError."""
        self._disk.write_all(self._fd, self._size_bytes, data)
        self._size_bytes += len(data)

    def finish(self) -> None:
        """Have the file on the disk. Raises OSError; there is none then."""
        try:
            self._disk.sync(self._fd)
            self._disk.sync_folder(self._path.parent)
        except OSError:
            self._path.unlink()
            raise
        finally:
            os.close(self._fd)

    def drop(self) -> None:
        """Take it back."""
        os.close(self._fd)
        self._path.unlink()


class Bodies:
    """All bodies."""

    def __init__(
        self, root: Path, disk: Disk, *, reserve: Reserve, clock: Callable[[], float]
    ) -> None:
        self.packs = Packs(root.with_name("packs"), disk)
        self._root = root
        self._reserve = reserve
        self._disk = disk
        self._clock = clock
        self._doomed: dict[str, tuple[int, float]] = {}
        self._guard = threading.Lock()
        disk.make_folder(root)
        for number in range(256):
            (root / f"{number:02x}").mkdir(exist_ok=True)
        disk.sync_folder(root)

    def path(self, name: str) -> Path:
        """Return the file that a body is in."""
        place = Place.of(name)
        return self.packs.path(place.pack) if place else self._root / name[:2] / name

    def draft(self) -> Draft:
        """Return a new body to write. Raises OSError if the rest of the disk is reserved."""
        if not self._reserve.is_held:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return Draft(self)

    def draft_large(self) -> LargeDraft:
        """Return a new file to write. Raises OSError."""
        name = secrets.token_hex(16)
        return LargeDraft(name, self.path(name), self._disk)

    def open(self, name: str) -> BinaryIO:
        """Return a body to read. Raises FileNotFoundError if it is gone."""
        place = Place.of(name)
        if place:
            return io.BytesIO(self.packs.read(place))
        return self.path(name).open("rb", buffering=0)

    def is_empty(self) -> bool:
        """Return whether there is no body at all."""
        has_files = any(any(folder.iterdir()) for folder in self._root.iterdir())
        return not has_files and self.packs.is_empty()

    def doom(self, name: str, record: int) -> None:
        """Have a body deleted once the journal's record that makes it useless is on the disk."""
        with self._guard:
            self._doomed.setdefault(name, (record, self._clock()))

    def sweep(self, durable: int, *, grace_s: float = GRACE_S) -> int:
        """Delete doomed bodies whose record is durable; return how many."""
        before = self._clock() - grace_s
        with self._guard:
            due = [
                name for name, (record, at) in self._doomed.items()
                if record <= durable and at <= before
            ]  # fmt: skip
            for name in due:
                del self._doomed[name]
        for name in due:
            place = Place.of(name)
            if place:
                self.packs.remove(place)
            else:
                self.path(name).unlink(missing_ok=True)
        return len(due)

    def settle(self, used: Iterable[str]) -> tuple[int, set[str]]:
        """Delete what nothing uses; return how many files, and the used bodies that are missing."""
        names = list(used)
        unused, missing = self.packs.settle(names)
        missing |= {name for name in names if not Place.of(name)}
        for folder in self._root.iterdir():
            for name in os.listdir(folder):  # noqa: PTH208 - a million names, no paths of them
                if name in missing:
                    missing.discard(name)
                else:
                    (folder / name).unlink()
                    unused += 1
        return unused, missing
