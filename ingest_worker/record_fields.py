"""Read the records in Kafka's batches by columns.

A record's length is walked over one by one, since each says where the next begins; all other fields
are read of all records at once. Their form: Kafka's documentation, "Message Format". Its numbers
are zigzag varints: seven bits a byte, the lowest first, and in the lowest bit the sign.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from ingest_worker.batcher import Records
from ingest_worker.line_fields import WORD, Bytes, Ints, Mask, trailing_zeros, words_at


@dataclass(frozen=True, slots=True)
class RawBatch:
    """The bytes of some records, decompressed, and what their batch says of all of them."""

    payload: memoryview
    count: int
    base_offset: int
    first_ms: int
    appended_ms: int | None
    """When the broker appended them; None if each record has a time of its own."""


def read(batches: Sequence[RawBatch]) -> Records | None:
    """Return the records of all batches, None if one is of an unusual form or broken.

    Usual are a number below 2**55, and whole records one after the other. Headers and keys are
    not read. A record without a value is an empty line.
    """
    counts = [batch.count for batch in batches]
    ends = itertools.accumulate(len(batch.payload) for batch in batches)
    data = b"".join([*(batch.payload for batch in batches), bytes(WORD)])
    begins = _begins(data, counts, list(ends))
    if begins is None:
        return None
    fields = _fields(data, begins)
    if fields is None:
        return None
    time_delta, offset_delta, lines = fields
    own_ms = np.repeat([batch.first_ms for batch in batches], counts) + time_delta
    appended_ms = np.repeat([batch.appended_ms or 0 for batch in batches], counts)
    appended = np.repeat([batch.appended_ms is not None for batch in batches], counts)
    return Records(
        np.repeat([batch.base_offset for batch in batches], counts) + offset_delta,
        lines,
        np.where(appended, appended_ms, own_ms),
    )


def _begins(data: bytes, counts: Sequence[int], ends: Sequence[int]) -> Ints | None:
    """Return where each record begins, behind its length, and where the last one ends."""
    begins: list[int] = []
    at = 0
    for count, end in zip(counts, ends, strict=True):
        for _ in range(count):
            if at >= end:
                return None
            # Written out, for it is all that runs for each record: one byte, two, or more.
            length, more = data[at], data[at + 1]
            at += 1
            if length > _BITS:
                length = length & _BITS | more << 7
                at += 1
                if more > _BITS:
                    length, at = _rest(data, length & (1 << 14) - 1, at)
            if length & 1:
                return None
            begins.append(at)
            at += length >> 1
        if at != end:
            return None
    return np.array([*begins, at], np.int64)


_BITS: Final = 0x7F


def _rest(data: bytes, value: int, at: int) -> tuple[int, int]:
    """Return a varint of whose value two bytes were read, and the place after it."""
    for shift in range(14, 35, 7):
        value |= (data[at] & _BITS) << shift
        at += 1
        if data[at - 1] <= _BITS:
            break
    return value, at


def _fields(data: bytes, begins: Ints) -> tuple[Ints, Ints, pl.Series] | None:
    """Return the times and offsets of records relative to their batch's, and their values."""
    every = np.frombuffer(data, np.uint8)
    attributes = 1
    time_delta, at, times_sound = _varints(every, begins[:-1] + attributes)
    offset_delta, at, offsets_sound = _varints(every, at)
    key, at, keys_sound = _varints(every, at)
    size, at, sizes_sound = _varints(every, at + np.maximum(key, 0))
    size = np.maximum(size, 0)
    # The next one's length, and the number of this one's headers, are behind the value.
    fit = at + size < begins[1:]
    if not (times_sound & offsets_sound & keys_sound & sizes_sound & fit).all():
        return None
    return time_delta, offset_delta, _cut(data, at, size)


def _varints(data: Bytes, places: Ints) -> tuple[Ints, Ints, Mask]:
    """Return the numbers at places, the places after them, and which are of up to eight bytes."""
    inside = np.clip(places, 0, len(data) - WORD)
    word = words_at(data, inside)
    # Up to the lowest byte whose highest bit, which says that more follow, is not set.
    bits = trailing_zeros(~word & _HIGHEST) + np.uint64(1)
    whole = bits <= 8 * WORD
    bits = np.minimum(bits, np.uint64(8 * WORD))
    word &= ~_HIGHEST & (_ALL >> (np.uint64(8 * WORD) - bits))
    for low, high, gap in _CLOSER:
        word = (word & low) | ((word & high) >> gap)
    value = (word >> np.uint64(1)).astype(np.int64) ^ -(word & np.uint64(1)).astype(np.int64)
    return value, inside + (bits // 8).astype(np.int64), whole & (inside == places)


_ALL: Final = np.uint64(0xFFFFFFFFFFFFFFFF)
_HIGHEST: Final = np.uint64(0x8080808080808080)
# Neighbours of 7, 14 and 28 bits are put together: which stay, which move, and how far.
_CLOSER: Final = tuple(
    (np.uint64(low), np.uint64(high), np.uint64(gap))
    for low, high, gap in (
        (0x007F007F007F007F, 0x7F007F007F007F00, 1),
        (0x00003FFF00003FFF, 0x3FFF00003FFF0000, 2),
        (0x000000000FFFFFFF, 0x0FFFFFFF00000000, 4),
    )
)


def _cut(data: bytes, place: Ints, size: Ints) -> pl.Series:
    """Return the bytes at places, which share the memory of all of them."""
    every = pl.Series([data], dtype=pl.Binary).new_from_index(0, len(place))
    frame = pl.DataFrame({"data": every, "at": place, "size": size})
    return frame.select(pl.col("data").bin.slice(pl.col("at"), pl.col("size"))).to_series()
