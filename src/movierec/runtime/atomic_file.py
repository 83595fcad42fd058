"""Files that are there whole or not at all, whatever ends the process that writes them."""

import os
import threading
from pathlib import Path
from typing import Final

PRIVATE: Final = 0o600
"""Mode of a file for its owner alone."""


def write_whole(path: Path, text: str, *, mode: int = 0o666, durable: bool = True) -> None:
    """Replace a file by this text: a reader finds the old or the new one, never a part.

    Written beside and renamed (rename(2) is atomic). `mode` is that of a new file, less the umask,
    and replaces that of the old one. A `durable` file outlives a loss of power, too; that waits
    for the disk. Raises OSError, and leaves nothing behind.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.part")
    try:
        with open(os.open(part, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, mode), "wb") as file:  # noqa: PTH123 (Path.open knows no mode)
            file.write(text.encode())
            file.flush()
            if durable:
                os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
