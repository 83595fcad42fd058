"""Corrupt log lines on purpose, and predict how a reader must handle each."""

import re
import string
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from movierec.model.rating_scale import RatingScale
from simulator.reference_parser import ReferenceParser


class Corruption(StrEnum):
    """How a line was corrupted."""

    INSERTED = "inserted_character"
    REPLACED_ID = "movie_id_replaced"
    BAD_RATING = "rating_invalid"
    DUPLICATE = "duplicate"


class Detectability(StrEnum):
    """Whether a reader detects the corruption; a `SILENT` line is a valid event."""

    DETECTABLE = "detectable"
    SILENT = "silent"
    DUPLICATE = "duplicate"


@dataclass(frozen=True, slots=True)
class CorruptionRates:
    """Share of the lines that get each corruption, of those that it applies to.

    The first two were measured on the course's stream.
    """

    inserted: float = 0.0007
    replaced_id: float = 0.0004
    bad_rating: float = 0.0005
    duplicate: float = 0.0002


@dataclass(frozen=True, slots=True)
class CorruptedLine:
    """A line's row in its batch and its new text; a duplicate's text is unchanged."""

    row: int
    text: str
    corruption: Corruption
    detectability: Detectability


_ALPHANUMERIC: Final = string.ascii_letters + string.digits
_INSERTED: Final = _ALPHANUMERIC + " "
_MAX_ID_LENGTH: Final = 55
_MOVIE: Final = re.compile(r"(?<=GET /data/m/).*(?=/\d+\.mpg$)|(?<=GET /rate/).*(?==)")
_RATING: Final = re.compile(r"(?<==)\d+$")


def insert_character(line: str, rng: np.random.Generator) -> str:
    """Put one random letter, digit or blank anywhere."""
    at = int(rng.integers(len(line) + 1))
    return line[:at] + _INSERTED[int(rng.integers(len(_INSERTED)))] + line[at:]


def replace_id(line: str, rng: np.random.Generator) -> str:
    """Put a random alphanumeric string in place of the movie id of a watch or rate line."""
    length = int(rng.integers(1, _MAX_ID_LENGTH + 1))
    strange = "".join(_ALPHANUMERIC[i] for i in rng.integers(len(_ALPHANUMERIC), size=length))
    return _MOVIE.sub(strange, line, count=1)


def invalidate_rating(line: str, scale: RatingScale, rng: np.random.Generator) -> str:
    """Put a letter, or a number out of range, in place of a rating."""
    if rng.random() < 0.5:  # noqa: PLR2004  either is as likely
        bad = string.ascii_uppercase[int(rng.integers(26))]
    else:
        above = scale.highest + 1 + int(rng.integers(scale.highest))
        bad = str(int(rng.choice([scale.lowest - 1, above])))
    return _RATING.sub(bad, line, count=1)


def corrupt(
    lines: Sequence[str], rates: CorruptionRates, parser: ReferenceParser, rng: np.random.Generator
) -> list[CorruptedLine]:
    """Return some of the lines corrupted, by row; at most one corruption to a line.

    None makes a line equal to another one of the batch: the reader would take the second for a
    duplicate, and nobody could say which of the two was meant.
    """
    marked = _marked(lines, rates, rng)
    found = [_corrupted(lines[row], row, what, parser, rng) for row, what in marked]
    silent = {d.text for d in found if d.detectability is Detectability.SILENT}
    clashing = silent.intersection(lines) if silent else silent
    return [
        d for d in found if d.detectability is not Detectability.SILENT or d.text not in clashing
    ]


def _marked(
    lines: Sequence[str], rates: CorruptionRates, rng: np.random.Generator
) -> list[tuple[int, Corruption]]:
    """Return which rows get which corruption, by row."""
    count = len(lines)
    bounds = np.cumsum([rates.inserted, rates.replaced_id, rates.bad_rating, rates.duplicate])
    which = np.searchsorted(bounds, rng.random(count), side="right")
    rows: npt.NDArray[Any] = np.flatnonzero(which < len(bounds))
    marked = [(row, _ORDER[which[row]]) for row in rows.tolist()]
    return [(row, what) for row, what in marked if _applies(what, lines[row])]


_ORDER: Final = (
    Corruption.INSERTED,
    Corruption.REPLACED_ID,
    Corruption.BAD_RATING,
    Corruption.DUPLICATE,
)


def _applies(what: Corruption, line: str) -> bool:
    if what is Corruption.REPLACED_ID:
        return _MOVIE.search(line) is not None
    return what is not Corruption.BAD_RATING or ",GET /rate/" in line


def _corrupted(
    line: str, row: int, what: Corruption, parser: ReferenceParser, rng: np.random.Generator
) -> CorruptedLine:
    if what is Corruption.DUPLICATE:
        return CorruptedLine(row, line, what, Detectability.DUPLICATE)
    if what is Corruption.INSERTED:
        text = insert_character(line, rng)
    elif what is Corruption.REPLACED_ID:
        text = replace_id(line, rng)
    else:
        text = invalidate_rating(line, parser.scale, rng)
    detectability = (
        Detectability.SILENT if parser.reads_as_event(text) else Detectability.DETECTABLE
    )
    return CorruptedLine(row, text, what, detectability)
