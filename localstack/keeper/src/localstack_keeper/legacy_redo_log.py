"""The redo log of former versions: applied once at the start, then removed.

    redo    two halves, each: records, and what is left of former ones

It holds writes that were acknowledged and may not be in their files. A record begins at a 4 kB
block: header, then writes, each of path, offset and bytes. The half of the higher epoch is newer.
"""

import os
import struct
import zlib
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from localstack_keeper.disk import Disk, opened
from localstack_keeper.errors import DamagedError

_BLOCK_BYTES: Final = 4096
_MARK: Final = b"\xa5rd\x01"
_HEADER: Final = struct.Struct("<4s8sQIII")
_WRITE: Final = struct.Struct("<HQI")


class _Record(NamedTuple):
    offset: int
    run: bytes
    """Random: what a client has put into a body is no record."""
    epoch: int
    previous_bytes: int
    """How much of the half before counts."""
    payload: bytes


def apply(root: Path) -> None:
    """Write and sync what the log holds, and remove it. Raises DamagedError, OSError."""
    path = root / "redo"
    if not path.exists():
        return
    writes: dict[str, list[tuple[int, bytes]]] = defaultdict(list)
    for record in _read(path):
        for name, offset, data in _writes(record.payload):
            writes[name].append((offset, data))
    disk = Disk()  # whoever wrote the log waited for it
    for name, parts in writes.items():
        if (root / name).exists():  # else nothing that was in it is of use
            with opened(root / name, os.O_WRONLY) as fd:
                for offset, data in parts:
                    disk.write_all(fd, offset, data)
                disk.sync_data(fd)
    path.unlink()
    disk.sync_path(root)


def _read(path: Path) -> list[_Record]:
    """Return the records that count, in order."""
    log = path.read_bytes()
    halves = log[: len(log) // 2], log[len(log) // 2 :]
    older, newer = sorted(map(_scan, halves), key=_end)
    if any(_has_later(half, newer) for half in halves):
        raise DamagedError(
            f"{path} has lost a record and none of those after it, which no crash does: restore it "
            "from a copy, or delete it to go on without what was acknowledged last"
        )
    if not older or (older[0].run, older[0].epoch + 1) != (newer[0].run, newer[0].epoch):
        return newer
    return [record for record in older if record.offset < newer[0].previous_bytes] + newer


def _scan(half: bytes) -> list[_Record]:
    """Return the records up to the first that is torn, or left from a former epoch."""
    records: list[_Record] = []
    while record := _record(half, _end(records)[1]):
        if records and (record.run, record.epoch) != (records[0].run, records[0].epoch):
            break
        records.append(record)
    return records


def _end(records: list[_Record]) -> tuple[int, int]:
    """Return the epoch and offset that the next record of a half would have."""
    if not records:
        return -1, 0
    size_bytes = _HEADER.size + len(records[-1].payload)
    return records[-1].epoch, records[-1].offset + -(-size_bytes // _BLOCK_BYTES) * _BLOCK_BYTES


def _has_later(half: bytes, newest: list[_Record]) -> bool:
    """Return whether a half has a record that is newer than all that were found."""
    return any(
        (record.epoch, offset) >= _end(newest)
        for offset in range(0, len(half), _BLOCK_BYTES)
        if (record := _record(half, offset)) and (not newest or record.run == newest[0].run)
    )


def _record(half: bytes, offset: int) -> _Record | None:
    """Return the record at an offset if it is whole."""
    if not half.startswith(_MARK, offset) or offset + _HEADER.size > len(half):
        return None
    mark, run, epoch, previous_bytes, length, checksum = _HEADER.unpack_from(half, offset)
    start = offset + _HEADER.size
    payload = half[start : start + length]
    header = _HEADER.pack(mark, run, epoch, previous_bytes, length, 0)
    is_whole = zlib.crc32(payload, zlib.crc32(header)) == checksum
    return _Record(offset, run, epoch, previous_bytes, payload) if is_whole else None


def _writes(payload: bytes) -> Iterator[tuple[str, int, bytes]]:
    at = 0
    while at < len(payload):
        name_bytes, offset, size_bytes = _WRITE.unpack_from(payload, at)
        data_at = at + _WRITE.size + name_bytes
        at = data_at + size_bytes
        yield payload[data_at - name_bytes : data_at].decode(), offset, payload[data_at:at]
