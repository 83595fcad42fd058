"""Damage done to log lines on purpose, and what it must lead to."""

import re
import string
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from simulator.oracle import Rules


class Damage(StrEnum):
    """What was done to a line."""

    INSERTED = "inserted_character"
    REPLACED_ID = "movie_id_replaced"
    BAD_RATING = "rating_invalid"
    DUPLICATE = "duplicate"


class Fate(StrEnum):
    """What becomes of a damaged line: `SILENT` ones read as events and end in the lake."""

    DETECTABLE = "detectable"
    SILENT = "silent"
    DUPLICATE = "duplicate"


@dataclass(frozen=True, slots=True)
class Rates:
    """How often each damage is done, as shares of the lines that it can be done to.

    The first two were measured on the course's stream.
    """

    inserted: float = 0.0007
    replaced_id: float = 0.0004
    bad_rating: float = 0.0005
    duplicate: float = 0.0002


@dataclass(frozen=True, slots=True)
class Damaged:
    """A line's row in its batch, its new text, and what was done. A duplicate's text is the old."""

    row: int
    text: str
    damage: Damage
    fate: Fate


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


def spoil_rating(line: str, max_rating: int, rng: np.random.Generator) -> str:
    """Put a letter, or a number out of range, in place of a rating."""
    if rng.random() < 0.5:  # noqa: PLR2004  either is as likely
        bad = string.ascii_uppercase[int(rng.integers(26))]
    else:
        bad = str(int(rng.choice([0, max_rating + 1 + int(rng.integers(max_rating))])))
    return _RATING.sub(bad, line, count=1)


def damage(
    lines: Sequence[str], rates: Rates, rules: Rules, rng: np.random.Generator
) -> list[Damaged]:
    """Return the damage to be done to some of the lines, by row; at most one to a line.

    Damage that would make a line equal to another one of the batch is not done: the reader would
    take the second for a duplicate, and nobody could say which of the two was meant.
    """
    marked = _marked(lines, rates, rng)
    found = [_damaged(lines[row], row, what, rules, rng) for row, what in marked]
    silent = {d.text for d in found if d.fate is Fate.SILENT}
    clashing = silent.intersection(lines) if silent else silent
    return [d for d in found if d.fate is not Fate.SILENT or d.text not in clashing]


def _marked(
    lines: Sequence[str], rates: Rates, rng: np.random.Generator
) -> list[tuple[int, Damage]]:
    """Return which rows get which damage, by row."""
    count = len(lines)
    bounds = np.cumsum([rates.inserted, rates.replaced_id, rates.bad_rating, rates.duplicate])
    which = np.searchsorted(bounds, rng.random(count), side="right")
    rows: npt.NDArray[Any] = np.flatnonzero(which < len(bounds))
    marked = [(row, _ORDER[which[row]]) for row in rows.tolist()]
    return [(row, what) for row, what in marked if _applies(what, lines[row])]


_ORDER: Final = (Damage.INSERTED, Damage.REPLACED_ID, Damage.BAD_RATING, Damage.DUPLICATE)


def _applies(what: Damage, line: str) -> bool:
    if what is Damage.REPLACED_ID:
        return _MOVIE.search(line) is not None
    return what is not Damage.BAD_RATING or ",GET /rate/" in line


def _damaged(line: str, row: int, what: Damage, rules: Rules, rng: np.random.Generator) -> Damaged:
    if what is Damage.DUPLICATE:
        return Damaged(row, line, what, Fate.DUPLICATE)
    if what is Damage.INSERTED:
        text = insert_character(line, rng)
    elif what is Damage.REPLACED_ID:
        text = replace_id(line, rng)
    else:
        text = spoil_rating(line, rules.max_rating, rng)
    fate = Fate.SILENT if rules.reads_as_event(text) else Fate.DETECTABLE
    return Damaged(row, text, what, fate)
