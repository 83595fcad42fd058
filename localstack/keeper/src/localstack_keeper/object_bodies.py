"""Objects' bodies, immutable: small ones in pack files, large ones a file each.

    bodies/3f/3f9c...   named at random
    packs/00000003      see `pack_files`

An object's metadata names its body. So no write can spoil what a reader reads, or what is still the
newest acknowledged version.
"""

import errno
import io
import os
import secrets
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import BinaryIO, Final

from localstack_keeper.disk import Disk, Reserve
from localstack_keeper.pack_files import Extent, PackFiles

# Between looking up an object and opening its body another request may delete it.
GRACE_S: Final = 5.0

# A file of its own costs two fsyncs and an inode: little for a megabyte, for 100 kB as much as all
# else that LocalStack does for a put. Whoever reads a packed body has it in memory whole.
PACKED_BYTES: Final = 1024 * 1024


class Draft:
    """A body that is being written: in memory while it is small, then a file of its own."""

    def __init__(self, bodies: "Bodies", disk: Disk) -> None:
        self.name = ""
        """Known when it is finished."""
        self.size_bytes = 0
        self._bodies = bodies
        self._disk = disk
        self._chunks: list[bytes] = []
        self._fd: int | None = None

    def write(self, data: bytes) -> None:
        """Append to the body. Raises OSError."""
        self._chunks.append(data)
        self.size_bytes += len(data)
        if self._fd is None and self.size_bytes > PACKED_BYTES:
            self.name = secrets.token_hex(16)
            flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC
            self._fd = os.open(self._bodies.path(self.name), flags, 0o600)
        if self._fd is not None:
            written_bytes = self.size_bytes - sum(map(len, self._chunks))
            self._disk.write_all(self._fd, written_bytes, *self._chunks)
            self._chunks.clear()

    def finish(self) -> None:
        """Complete the body; a packed one is synced with its record. Raises OSError."""
        if self._fd is None:
            self.name = self._bodies.packs.add(*self._chunks)
            return
        path = self._bodies.path(self.name)
        try:
            self._disk.sync(self._fd)
            self._disk.sync_path(path.parent)
        except OSError:
            path.unlink()
            raise
        finally:
            os.close(self._fd)

    def drop(self) -> None:
        """Delete what was written."""
        if self._fd is not None:
            os.close(self._fd)
            self._bodies.path(self.name).unlink()


class Bodies:
    """All bodies."""

    def __init__(
        self, root: Path, disk: Disk, *, reserve: Reserve, clock: Callable[[], float]
    ) -> None:
        self.packs = PackFiles(root.with_name("packs"), disk)
        self._root = root
        self._reserve = reserve
        self._disk = disk
        self._clock = clock
        self._marked: dict[str, tuple[int, float]] = {}
        self._guard = threading.Lock()
        disk.make_folder(root)
        for number in range(256):
            (root / f"{number:02x}").mkdir(exist_ok=True)
        disk.sync_path(root)

    def path(self, name: str) -> Path:
        """Return the file that a body is in."""
        extent = Extent.parse(name)
        return self.packs.path(extent.pack) if extent else self._root / name[:2] / name

    def draft(self) -> Draft:
        """Return a new body to write. Raises OSError if the rest of the disk is reserved."""
        if not self._reserve.is_held:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return Draft(self, self._disk)

    def open(self, name: str) -> BinaryIO:
        """Return a body to read. Raises FileNotFoundError if it is gone."""
        extent = Extent.parse(name)
        if extent:
            return io.BytesIO(self.packs.read(extent))
        return self.path(name).open("rb", buffering=0)

    def is_empty(self) -> bool:
        """Return whether there is no body at all."""
        has_files = any(any(folder.iterdir()) for folder in self._root.iterdir())
        return not has_files and self.packs.is_empty()

    def mark_for_deletion(self, name: str, record: int) -> None:
        """Have a body deleted once the journal record that makes it garbage is durable."""
        with self._guard:
            self._marked.setdefault(name, (record, self._clock()))

    def collect_garbage(self, durable: int, *, grace_s: float = GRACE_S) -> int:
        """Delete marked bodies whose record is durable; return how many."""
        before = self._clock() - grace_s
        with self._guard:
            due = [
                name for name, (record, at) in self._marked.items()
                if record <= durable and at <= before
            ]  # fmt: skip
            for name in due:
                del self._marked[name]
        for name in due:
            extent = Extent.parse(name)
            if extent:
                self.packs.remove(extent)
            else:
                self.path(name).unlink(missing_ok=True)
        return len(due)

    def remove_orphans(self, used: Iterable[str]) -> tuple[int, set[str]]:
        """Delete unused bodies; return how many files, and which used bodies are missing."""
        names = list(used)
        unused, missing = self.packs.remove_orphans(names)
        missing |= {name for name in names if not Extent.parse(name)}
        for folder in self._root.iterdir():
            for name in os.listdir(folder):  # noqa: PTH208 - a million names, no paths of them
                if name in missing:
                    missing.discard(name)
                else:
                    (folder / name).unlink()
                    unused += 1
        return unused, missing
