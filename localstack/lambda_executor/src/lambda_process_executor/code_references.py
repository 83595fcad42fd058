"""Reference counts of unpacked code: a folder is removed after its last user.

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


class CodeReferences:
    """Counts the environments that use a folder. Safe from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users: Counter[Path] = Counter()
        self._to_remove: set[Path] = set()

    def acquire(self, folders: Iterable[Path]) -> None:
        """Count one more user of some folders."""
        with self._lock:
            self._users.update(folders)

    def release(self, folders: Iterable[Path]) -> None:
        """Count one user less, and remove the folders that waited for it."""
        with self._lock:
            self._users.subtract(folders)
            self._users = +self._users
            self._sweep()

    def remove(self, folder: Path) -> None:
        """Remove a folder: now, or after its last user."""
        with self._lock:
            self._to_remove.add(folder)
            self._sweep()

    def retain(self, folders: Iterable[Path]) -> None:
        """Cancel the removal of folders: they are filled again."""
        with self._lock:
            self._to_remove.difference_update(folders)

    def _sweep(self) -> None:
        for folder in self._to_remove - self._users.keys():
            self._to_remove.remove(folder)
            shutil.rmtree(folder, ignore_errors=True)


SHARED = CodeReferences()


def folder_of(code: "ArchiveCode") -> Path:
    """Return the folder that LocalStack removes with some unpacked code."""
    return Path(code.get_unzipped_code_location()).parent
