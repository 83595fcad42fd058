"""Writes that a disk makes in part, and files that go while something is put off for them."""

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from localstack_keeper.files import Disk
from localstack_keeper.writes import Files, Write


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


def test_what_was_put_off_for_a_file_that_is_gone_is_forgotten(tmp_path: Path) -> None:
    files = Files(tmp_path, Disk())
    for name in ("gone", "stays"):
        (tmp_path / name).touch()
        files.put_off(Write(name, 4, b"data"))
    (tmp_path / "gone").unlink()
    files.sync(["gone", "stays"], files.failures, list)
    assert files.unwritten("gone", 4) is None
    assert not (tmp_path / "gone").exists()
    assert (tmp_path / "stays").read_bytes() == b"\0\0\0\0data"


def test_what_could_not_be_written_stays_put_off(tmp_path: Path) -> None:
    is_broken = True

    def write(fd: int, parts: Sequence[memoryview], offset: int) -> int:
        if is_broken:
            raise OSError("no write")
        return os.pwritev(fd, parts, offset)

    files = Files(tmp_path, Disk(write))
    (tmp_path / "file").touch()
    files.put_off(Write("file", 0, b"data"))
    with pytest.raises(OSError, match="no write"):
        files.sync(["file"], files.failures, list)
    assert files.unwritten("file", 0) == b"data"
    is_broken = False
    files.sync(["file"], files.failures, list)
    assert (tmp_path / "file").read_bytes() == b"data"
    assert files.unwritten("file", 0) is None
