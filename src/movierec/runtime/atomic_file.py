"""Atomic file writes: a file is there whole or not at all, even if the writer is killed."""

import os
import threading
from pathlib import Path
from typing import Final

PRIVATE: Final = 0o600
"""Mode of a file for its owner alone."""


def write_whole(path: Path, text: str, *, mode: int = 0o666, durable: bool = True) -> None:
    """Replace a file by this text: a reader finds the old or the new one, never a part.

    Written beside it and renamed (rename(2) is atomic). `mode` is the new file's, less the umask,
    whatever the old one had. `durable` survives a power cut, and waits for fsync. Raises OSError,
    and leaves nothing behind.
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
