"""Folders of code that environments use: their removal waits for the last of them.

An update of a function removes its former code at once, while an invocation may be running that has
modules still to import.
"""

import shutil
import threading
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from localstack.services.lambda_.invocation.lambda_models import ArchiveCode


class Holding:
    """Who uses which folder. Safe from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users: Counter[Path] = Counter()
        self._to_go: set[Path] = set()

    def take(self, folders: Iterable[Path]) -> None:
        """Note a user of some folders."""
        with self._lock:
            self._users.update(folders)

    def give_back(self, folders: Iterable[Path]) -> None:
        """Note that a user is gone, and remove what was to go and has no other."""
        with self._lock:
            self._users.subtract(folders)
            self._users = +self._users
            self._sweep()

    def remove(self, folder: Path) -> None:
        """Remove a folder: now, or after its last user."""
        with self._lock:
            self._to_go.add(folder)
            self._sweep()

    def keep(self, folders: Iterable[Path]) -> None:
        """Have folders stay that were to go: they are filled again."""
        with self._lock:
            self._to_go.difference_update(folders)

    def _sweep(self) -> None:
        for folder in self._to_go - self._users.keys():
            self._to_go.remove(folder)
            shutil.rmtree(folder, ignore_errors=True)


SHARED = Holding()


def folder_of(code: "ArchiveCode") -> Path:
    """Return the folder that LocalStack removes with some unpacked code."""
    return Path(code.get_unzipped_code_location()).parent
