"""The emulator's work folder, and removal of those that killed emulators have left.

lambda-process-<user>/<emulator>/   locked while the emulator lives (flock(2))
environments/<id>/              an environment's /tmp
versions/<id>/                  a version's merged layers
root/                           empty: where file trees are put together
"""

import fcntl
import functools
import os
import shutil
import tempfile
import threading
from pathlib import Path
from typing import Final

_MAKING: Final = threading.Lock()


def own_folder() -> Path:
    """Return this process's folder; the first call makes and locks it. Safe from any thread."""
    with _MAKING:
        return _made_folder()


@functools.cache
def _made_folder() -> Path:
    folder = _user_folder() / str(os.getpid())
    folder.mkdir(parents=True, exist_ok=True)
    lock(folder)
    return folder


def lock(folder: Path) -> int:
    """Lock a folder until the process ends, and return the descriptor that does it.

    Raises BlockingIOError if it is locked.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def remove_stale(folder: Path | None = None) -> None:
    """Remove what emulators of the same user have left that could not remove it themselves."""
    for left in (folder or _user_folder()).glob("*"):
        try:
            descriptor = lock(left)
        except OSError:  # its emulator lives, or another removes it
            continue
        shutil.rmtree(left, ignore_errors=True)
        os.close(descriptor)


def _user_folder() -> Path:
    return Path(tempfile.gettempdir()) / f"lambda-process-{os.getuid()}"
