"""Unpacked code and layers of functions: several layers in one folder, and when folders go.

An update of a function removes its former code at once, while an invocation may be running that has
modules still to import. So users are counted, and a folder is removed after the last.
"""

import os
import shutil
import threading
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

# Environments of one version may start at once.
_MERGING: Final = threading.Lock()


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


SHARED: Final = CodeReferences()


def merge_layers(layers: Sequence[Path], target: Path) -> Path:
    """Make one folder of several unpacked layers and return it.

    A later layer's file replaces an earlier one's, as on AWS. Files are hard links, or copies
    where the layer is on another file system. A folder that is there already is taken as it is:
    it appears under its name only when it is complete.
    """
    with _MERGING:
        if target.exists():
            return target
        part = target.with_name(f"{target.name}.part")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        for layer in layers:
            shutil.copytree(layer, part, symlinks=True, dirs_exist_ok=True, copy_function=_link)
        return part.rename(target)


def _link(source: str, target: str) -> str:
    Path(target).unlink(missing_ok=True)
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:
        shutil.copy2(source, target)
    return target
