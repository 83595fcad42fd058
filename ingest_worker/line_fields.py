"""Read numbers and times in place, out of the bytes of many lines at once.

`joined` is the bytes of all lines, one after the other; places are indices into it. Nothing is
checked here: the lines match the grammar, so that each has at least 32 bytes, a time at its start,
and 8 bytes on either side of a number.

Eight characters are one 64-bit word, the first in its lowest byte, and are read with a few
operations on words (Lemire, "Quickly parsing eight digits", 2018).
"""

import functools
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Bytes = npt.NDArray[np.uint8]
Words = npt.NDArray[np.uint64]

_DAY_US: Final = 86_400_000_000
_MINUTE_US: Final = 60_000_000
_SECOND_US: Final = 1_000_000


def numbers_from(joined: Bytes, start: Ints) -> tuple[Ints, Ints]:
    """Return the numbers that begin at places, and the places after them."""
    value, end = np.zeros(len(start), np.int64), start.copy()
    reading: Any = slice(None)
    while len(end[reading]):
        word = words_at(joined, end[reading])
        digits = trailing_zeros(_no_digits(word)) // 8
        more = _decimal(word << (64 - 8 * digits))
        value[reading] = value[reading] * _POWERS[digits] + more
        end[reading] += digits.astype(np.int64)
        reading = np.arange(len(start))[reading][digits == WORD]
    return value, end


def numbers_before(joined: Bytes, end: Ints) -> tuple[Ints, Ints]:
    """Return the numbers of up to 16 digits that end before places, and where they begin."""
    value, start = np.zeros(len(end), np.int64), end.copy()
    reading: Any = slice(None)
    power = 1
    while len(start[reading]):
        word = words_at(joined, start[reading] - WORD)
        digits = trailing_zeros(_no_digits(word).byteswap()) // 8
        others = 64 - 8 * digits
        value[reading] += _decimal(word >> others << others) * power
        start[reading] -= digits.astype(np.int64)
        reading = np.arange(len(end))[reading][digits == WORD]
        power *= 10**WORD
    return value, start


WORD: Final = 8
_POWERS: Final = 10 ** np.arange(WORD + 1)


def _bytes(value: int) -> np.uint64:
    return np.uint64(int.from_bytes([value] * WORD))


def words_at(joined: Bytes, places: Ints, count: int = 1) -> Words:
    """Return the words at places, shape (n,) or (n, count)."""
    size = count * WORD
    every = np.ndarray((max(len(joined) - size + 1, 0),), f"V{size}", joined, strides=(1,))
    words = every[places].view("<u8")
    return words if count == 1 else words.reshape(len(places), count)


def _no_digits(word: Words) -> Words:
    """Return words whose bytes have their highest bit set where there is no digit."""
    byte = word ^ _bytes(ord("0"))
    return (((byte & _bytes(0x7F)) + _bytes(0x80 - 10)) | byte) & _bytes(0x80)


def trailing_zeros(word: Words) -> Words:
    """Return how many of each word's lowest bits are 0."""
    return np.bitwise_count(~word & (word - np.uint64(1))).astype(np.uint64)


def _decimal(word: Words) -> Ints:
    """Return the number of eight digits each; a byte of zero is a leading zero."""
    pairs = (word & _bytes(0x0F)) * np.uint64(2561) >> np.uint64(8)
    fours = (pairs & np.uint64(0x00FF00FF00FF00FF)) * np.uint64(6553601) >> np.uint64(16)
    both = (fours & np.uint64(0x0000FFFF0000FFFF)) * np.uint64(42949672960001) >> np.uint64(32)
    return both.astype(np.int64)


def times_at(joined: Bytes, start: Ints) -> tuple[Ints, Ints, Mask]:
    """Return the times at the start of lines, microseconds since 1970 without a zone.

    Also the places after them, and which of them are dates of the calendar. Nanoseconds are
    truncated.
    """
    date, clock, rest = np.ascontiguousarray(words_at(joined, start, 3).T)
    days, on_calendar = _days(_pairs(date), _pairs(clock))
    local = days * _DAY_US
    local += _two(_pairs(clock), 3) * (60 * _MINUTE_US) + _two(_pairs(clock), 6) * _MINUTE_US
    # From here on a time may end: "" ":13" ":13.202" ":13.202015" ":13.202015123".
    seconds = _at(rest, 0) == ord(":")
    local += np.where(seconds, _two(_pairs(rest), 1) * _SECOND_US, 0)
    width = 16 + 3 * seconds.astype(np.int64)
    fraction = np.flatnonzero(seconds & (_at(rest, 3) == ord(".")))
    value, end = numbers_from(joined, start[fraction] + 20)
    digits = end - start[fraction] - 20
    local[fraction] += value * 10**6 // 10**digits
    width[fraction] += 1 + digits
    return local, start + width, on_calendar


def _at(words: Words, place: int) -> Bytes:
    return words.view(np.uint8)[place::WORD]


def _pairs(words: Words) -> Words:
    """Return words whose bytes hold the number of two digits, at the place of the first."""
    digits = words & _bytes(0x0F)
    return digits * np.uint64(10) + (digits >> np.uint64(8))


def _two(pairs: Words, place: int) -> Ints:
    return _at(pairs, place).astype(np.int64)


def _days(date: Words, clock: Words) -> tuple[Ints, Mask]:
    """Return days since 1970, and which are days of the calendar: 30 February is not."""
    first_days = _first_days()
    year = _two(date, 0) * 100 + _two(date, 2)
    month = (year - _FIRST_YEAR) * 12 + _two(date, 5) - 1
    day = first_days[month] + _two(clock, 0) - 1
    return day, day < first_days[month + 1]


_FIRST_YEAR: Final = 1000


@functools.cache
def _first_days() -> Ints:
    """Return the day since 1970 on which each month from 1000 to 9999 begins."""
    months = np.arange("1000-01", "10000-02", dtype="datetime64[M]")
    return months.astype("datetime64[D]").astype(np.int64)
