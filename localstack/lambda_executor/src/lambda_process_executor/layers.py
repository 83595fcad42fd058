"""Merge a function's layers into one /opt."""

import os
import shutil
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Final

# Environments of one version may start at once.
_MERGING: Final = threading.Lock()


def merge(layers: Sequence[Path], target: Path) -> Path:
    """Make one folder of several unpacked layers and return it.

    A later layer's file replaces an earlier one's, as on AWS. Files are hard links, or copies
    where the layer is on another file system. A folder that is there already is taken as it is:
    it appears under its name only when it is complete.
    """
    with _MERGING:
        if not target.exists():
            _build(layers, target)
    return target


def _build(layers: Sequence[Path], target: Path) -> None:
    building = target.with_name(f"{target.name}.part")
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir(parents=True)
    for layer in layers:
        shutil.copytree(layer, building, symlinks=True, dirs_exist_ok=True, copy_function=_link)
    building.rename(target)


def _link(source: str, target: str) -> str:
    Path(target).unlink(missing_ok=True)
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:
        shutil.copy2(source, target)
    return target
