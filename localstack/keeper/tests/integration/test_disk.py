"""Writes that a disk makes in part."""

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from localstack_keeper.disk import Disk


@pytest.mark.parametrize("most_bytes", [1, 3, 4, 1 << 20])
def test_all_parts_are_written_however_few_bytes_at_a_time(tmp_path: Path, most_bytes: int) -> None:
    def write(fd: int, parts: Sequence[memoryview], offset: int) -> int:
        assert len(parts) <= os.sysconf("SC_IOV_MAX")
        return os.pwrite(fd, b"".join(parts)[:most_bytes], offset)

    parts = [b"", b"one", b"", b"four", *([b"x"] * 1100), b""]
    path = tmp_path / "file"
    path.touch()
    fd = os.open(path, os.O_RDWR)
    try:
        Disk(write).write_all(fd, 2, *parts)
    finally:
        os.close(fd)
    assert path.read_bytes() == b"\0\0" + b"".join(parts)
