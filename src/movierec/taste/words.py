"""Words of a text, from any script: the same for what users write and what catalogs say."""

import re
import unicodedata
from collections.abc import Iterator
from typing import Final, NamedTuple

# A sign-up form's field; what is longer adds nothing that a list could follow.
MOST_CHARACTERS: Final = 4_000

# Chinese and Japanese are written without blanks: there each character is a word.
_UNSPACED: Final = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_WORD: Final = re.compile(rf"[{_UNSPACED}]|[^\W_{_UNSPACED}]+")
_APOSTROPHES: Final = re.compile(r"(?<=\w)['\u2018\u2019`\u00b4](?=\w)")
_QUOTES: Final = frozenset("\"'\u201c\u201d\u201e\u00ab\u00bb\u2018\u2019*_")


class Word(NamedTuple):
    """A word as it is compared, where it stands in the text, and whether a quotation starts it."""

    stem: str
    begin: int
    end: int
    quoted: bool


def normalised(text: str) -> str:
    """Return a text without what its writers vary: case, accents, forms, apostrophes in words."""
    flat = unicodedata.normalize("NFKD", text[:MOST_CHARACTERS]).casefold()
    bare = "".join(c for c in flat if not unicodedata.combining(c))
    return _APOSTROPHES.sub("", bare)


def words(flat: str) -> Iterator[Word]:
    """Yield the words of a normalised text."""
    for found in _WORD.finditer(flat):
        begin, end = found.span()
        yield Word(stem(found[0]), begin, end, begin > 0 and flat[begin - 1] in _QUOTES)


def stems(text: str) -> list[str]:
    """Return the words of a text as they are compared."""
    return [stem(word) for word in _WORD.findall(normalised(text))]


def stem(word: str) -> str:
    """Return a word without the plural's s: Harman 1991, "How Effective Is Suffixing?"."""
    if len(word) <= 3 or word[-2].isdigit():  # noqa: PLR2004  gas, bus, as; 1980s
        return word
    if word.endswith("ies") and not word.endswith(("eies", "aies")):
        return word[:-3] + "y"
    if word.endswith("ie"):  # a movie, as of movies
        return word[:-2] + "y"
    if word.endswith("es") and not word.endswith(("aes", "ees", "oes")):
        return word[:-1]
    return word if not word.endswith("s") or word.endswith(("us", "ss", "is")) else word[:-1]


# Words without a taste of their own: of English, and of people who describe themselves.
COMMON: Final = frozenset(
    stem(word)
    for word in """
    a about above after again all also always am an and any anything are as at away be because
    been before below best better big both but by can cannot cant could day did do does dont
    down each either else enjoy even ever every everything fan favorite favourite feel few film
    find finish for from get give go good great had has hate have he her here hi hello him his
    how i id if im in interested into is isnt it its ive just kind know least less like list
    little ll lot love made make many me more most mostly movie much my myself never new no nor
    not nothing now of off often on once one only or other our out over own people please prefer
    rarely really recommend s same say see seen she should show so some someone something
    sometime still such t than that the their them then there these they thing think this those
    though through time to too two under until up us use user usually ve very via want was watch
    we well were what when where which while who whole why will with without wont would yes you
    your
    """.split()  # noqa: SIM905  a hundred words, one to a line, are no easier to read
)
"""Stems."""
