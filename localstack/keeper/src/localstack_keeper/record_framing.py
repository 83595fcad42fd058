"""Framing of records in a file: mark, length, checksum, payload. A crash tears the last one only.

bytes   the mark, which no text has in it
uint32  length of the payload in bytes, little endian, never 0
uint32  CRC-32 of the payload
bytes   the payload
"""

import itertools
import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

MARK: Final = b"\xa5kp\x01"
_HEAD: Final = struct.Struct("<4sII")
_LENGTH: Final = struct.Struct("<I")


def frame(payload: bytes) -> bytes:
    """Return a record."""
    return _HEAD.pack(MARK, len(payload), zlib.crc32(payload)) + payload


def join(payloads: Iterable[bytes]) -> bytes:
    """Return many payloads as one, so that all of them are in a file or none."""
    return b"".join(
        itertools.chain.from_iterable((_LENGTH.pack(len(one)), one) for one in payloads)
    )


def split(joined: bytes) -> list[bytes]:
    """Return the payloads of which one was joined. Raises ValueError if that one was not."""
    payloads, offset = [], 0
    while offset < len(joined):
        start = offset + _LENGTH.size
        if start > len(joined):
            raise ValueError("a joined payload ends in the middle of a length")
        offset = start + _LENGTH.unpack_from(joined, offset)[0]
        payloads.append(joined[start:offset])
    if offset != len(joined):
        raise ValueError("a joined payload is shorter than what is in it")
    return payloads


@dataclass(frozen=True)
class Reading:
    """What a file's bytes are."""

    payloads: list[bytes]
    intact_bytes: int
    """How much of the file is whole records; what follows is torn, or damaged."""
    is_damaged: bool
    """Whether a whole record follows one that is not: no crash does that."""


def read(data: bytes) -> Reading:
    """Return the records up to the first that is not whole."""
    payloads, offset = [], 0
    while (payload := _at(data, offset)) is not None:
        payloads.append(payload)
        offset += _HEAD.size + len(payload)
    return Reading(payloads, offset, _follows_intact(data, offset))


def _at(data: bytes, offset: int) -> bytes | None:
    """Return the payload of the whole record at an offset; None if there is none."""
    if offset + _HEAD.size > len(data):
        return None
    mark, length, checksum = _HEAD.unpack_from(data, offset)
    start = offset + _HEAD.size
    payload = data[start : start + length] if mark == MARK else b""
    return payload if len(payload) == length > 0 and zlib.crc32(payload) == checksum else None


def _follows_intact(data: bytes, offset: int) -> bool:
    """Return whether a whole record is anywhere after an offset where there is none.

    Not only where the broken one ends: its length may be what is broken.
    """
    while (offset := data.find(MARK, offset + 1)) != -1:
        if _at(data, offset) is not None:
            return True
    return False
