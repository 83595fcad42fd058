"""Film titles: generate or parse them, and derive the site's movie ids."""

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from simulator.title_words import ADJECTIVES, NAMES, NON_ASCII, NOUNS, PLACES

UNKNOWN_YEAR: Final = 0


@dataclass(frozen=True, slots=True)
class Title:
    """A film's title as people write it, and its year; 0: unknown."""

    text: str
    year: int


_POSSESSIVE: Final = re.compile(r"(?<=[a-z])'")
# What the site's ids keep besides letters and digits; a comma has become "_" by then.
_LOST: Final = re.compile(r"[^a-z0-9 .\-*'_]")


def movie_id(title: Title) -> str:
    """Return a film's id: lower case, "+" for a blank, then the year.

    A comma is "_"; "&", other punctuation and letters beyond ASCII are lost, and so is the
    apostrophe after a letter; without a year the id ends in "+".
    """
    text = _POSSESSIVE.sub("", title.text.lower().replace(",", "_"))
    kept = _LOST.sub("", text).replace(" ", "+")
    return f"{kept}+{title.year or ''}"


def unique_ids(titles: Sequence[Title]) -> list[str]:
    """Return an id for each title; films that would share one are numbered by their order."""
    seen: dict[str, int] = {}
    ids = []
    for title in titles:
        name = movie_id(title)
        while name in seen:
            seen[name] += 1
            name = movie_id(Title(f"{title.text} {seen[name]}", title.year))
        seen[name] = 1
        ids.append(name)
    return ids


_ARTICLES: Final = ("The", "A", "An")
_MOVIELENS: Final = re.compile(r"^(?P<name>.*?)\s*(?:\((?P<year>\d{4})\))?\s*$")
_OTHER_NAMES: Final = re.compile(r"\s*\([^)]*\)")


def from_movielens(text: str) -> Title:
    """Return the title of `Name, The (Other name) (1995)`: The Name, 1995."""
    found = _MOVIELENS.match(text)
    name, year = (found["name"], found["year"]) if found else (text, None)
    name = _OTHER_NAMES.sub("", name) or name
    head, comma, article = name.rpartition(", ")
    if comma and article in _ARTICLES:
        name = f"{article} {head}"
    return Title(unicodedata.normalize("NFC", name), int(year or UNKNOWN_YEAR))


class _Words:
    """Draws words; fast, because all random numbers are drawn at once."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._numbers: list[float] = []

    def below(self, limit: int) -> int:
        if not self._numbers:
            self._numbers = self._rng.random(4096).tolist()
        return int(self._numbers.pop() * limit)

    def __call__(self, words: Sequence[str]) -> str:
        return words[self.below(len(words))].title()

    def adjective(self) -> str:
        return self(ADJECTIVES)

    def noun(self) -> str:
        return self(NOUNS)

    def name(self) -> str:
        return self(NAMES)

    def place(self) -> str:
        return self(PLACES)


# (share in thousandths, how); the rare ones at the end make the ids' odd characters.
_PATTERNS: Final[tuple[tuple[int, Callable[[_Words], str]], ...]] = (
    (210, lambda w: f"The {w.adjective()} {w.noun()}"),
    (150, lambda w: f"{w.adjective()} {w.noun()}"),
    (130, lambda w: f"The {w.noun()} of {w.place()}"),
    (120, lambda w: f"The {w.noun()} and the {w.noun()}"),
    (110, lambda w: f"{w.name()} and the {w.adjective()} {w.noun()}"),
    (80, lambda w: f"{w.name()}'s {w.noun()}"),
    (60, lambda w: f"A {w.noun()} in {w.place()}"),
    (40, lambda w: f"{w.place()}: The {w.adjective()} {w.noun()}"),
    (40, lambda w: f"{w.noun()} {2 + w.below(8)}"),
    (12, lambda w: f"{w.name()} & {w.name()}: {w.noun()}"),
    (12, lambda w: f"{w.name()}, {w.name()} and the {w.noun()}"),
    (10, lambda w: f"Dr. {w.name()} and the {w.noun()}"),
    (10, lambda w: f"{w.noun()}-{w.noun()} {w.place()}"),
    (8, lambda w: f"{w.name()} in {w.place()} - {w.noun()}"),
    (4, lambda w: f"'{40 + w.below(60)} {w.noun()}"),
    (2, lambda w: f"{2 + w.below(98)}* {w.noun()}"),
    (2, lambda w: f"{w(NON_ASCII)} {w.noun()}"),
)
_TOTAL: Final = sum(share for share, _ in _PATTERNS)
_PICKS: Final = tuple(make for share, make in _PATTERNS for _ in range(share))


def generate(years: Iterable[int], rng: np.random.Generator) -> list[Title]:
    """Return one title a year given; no two make the same id."""
    words = _Words(rng)
    seen: set[str] = set()
    titles = []
    for year in years:
        title = Title(_PICKS[words.below(_TOTAL)](words), year)
        while movie_id(title) in seen:
            title = Title(_PICKS[words.below(_TOTAL)](words), year)
        seen.add(movie_id(title))
        titles.append(title)
    return titles
