"""What the catalog can be spoken of by: titles, people, genres, keywords, words, pairs of genres.

A phrase is found in a text by its words (`movierec.taste.words`), the longest first; what a phrase
has taken is no part of another. A title of one word that is common in the catalog's texts ("It",
"Up"), or is a genre or keyword ("Drama"), is found in quotation marks alone.
"""

import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from movierec.model.encoding import Array
from movierec.model.texts import MovieText
from movierec.taste import synonyms, words
from movierec.taste.words import COMMON

TITLE: Final = 0
PERSON: Final = 1
GENRE: Final = 2
KEYWORD: Final = 3
WORD: Final = 4
PAIR: Final = 5
KINDS: Final = ("title", "person", "genre", "keyword", "word", "pair of genres")

MOST_MENTIONS: Final = 32
"""Phrases of one text that count, the first: nobody's taste takes more to say."""

# Of the genres that a text names, the first.
_PAIRED: Final = 4

_QUOTED: Final = '"'
_ARTICLES: Final = frozenset(("the", "a", "an"))
_YEAR: Final = re.compile(r"\s*\((?P<year>\d{4})\)\s*$")
_DECADE: Final = re.compile(r"^\d{3}0s$")
_ARTICLE_LAST: Final = re.compile(r"^(?P<rest>.*), (?P<article>The|A|An)$", re.IGNORECASE)
_SUBTITLE: Final = re.compile(r":\s| - ")

# Longer titles are found by their first words; nobody's name is longer.
_LONGEST: Final = 10
# A word of a larger share of movies tells them little apart; one of fewer movies is a chance.
_LARGEST_SHARE: Final = 0.2
_FEWEST_MOVIES: Final = 3
# A title of one word is taken for it where the word is in fewer movies' texts.
_RARE_SHARE: Final = 0.002


class Mention(NamedTuple):
    """A phrase that was found, by its place in the book, and as the text has it."""

    phrase: int
    text: str


@dataclass(frozen=True, slots=True, eq=False)
class PhraseBook:
    """n phrases: `places` by what they are found by, several of which may be the same phrase."""

    places: Mapping[str, int]
    kinds: npt.NDArray[np.uint8]
    """(n,), index into KINDS."""
    longest: Mapping[str, int]
    """By first word, the number of words of the longest phrase that starts with it."""

    @classmethod
    def of(cls, places: Mapping[str, int], kinds: npt.NDArray[np.uint8]) -> Self:
        """Return the book of these phrases."""
        longest: dict[str, int] = {}
        for key in places:
            first, *rest = key.removeprefix(_QUOTED).split(" ")
            longest[first] = max(longest.get(first, 0), 1 + len(rest))
        return cls(places, kinds, longest)

    def read(self, text: str) -> list[Mention]:
        """Return the distinct phrases of a text in their order, MOST_MENTIONS at most."""
        found: dict[int, str] = {}
        flat = words.normalised(text)
        for phrase, surface in self._mentions(flat):
            found.setdefault(phrase, surface)
            if len(found) == MOST_MENTIONS:
                break
        mentions = [Mention(phrase, surface) for phrase, surface in found.items()]
        return mentions + self._pairs(mentions)

    def _pairs(self, mentions: Sequence[Mention]) -> list[Mention]:
        """Return the pairs of genres that are named together: a war comedy is a kind of its own."""
        genres = [one for one in mentions if self.kinds[one.phrase] == GENRE][:_PAIRED]
        return [
            Mention(self.places[key], f"{one.text}, {other.text}")
            for one, other in itertools.combinations(genres, 2)
            if (key := pair_key(one.phrase, other.phrase)) in self.places
        ]

    def _mentions(self, flat: str) -> Iterator[tuple[int, str]]:
        among, at = list(words.words(flat)), 0
        while at < len(among):
            phrase, taken = self._longest_at(among, at)
            if phrase is not None:
                yield phrase, flat[among[at].begin : among[at + taken - 1].end]
            at += taken

    def _longest_at(self, among: Sequence[words.Word], at: int) -> tuple[int | None, int]:
        first = among[at]
        most = min(self.longest.get(first.stem, 0), len(among) - at)
        for taken in range(most, 0, -1):
            key = " ".join([word.stem for word in among[at : at + taken]])
            marked = self.places.get(_QUOTED + key) if first.quoted else None
            phrase = self.places.get(key) if marked is None else marked
            if phrase is not None:
                return phrase, taken
        return None, 1


def pair_key(one: int, other: int) -> str:
    """Return what a pair of genres, by their places, is found by; no word has this character."""
    return f"{min(one, other)}&{max(one, other)}"


@dataclass(frozen=True, slots=True, eq=False)
class Catalog:
    """The phrases that a catalog has, and whose they are."""

    book: PhraseBook
    movies: Sequence[Sequence[int]]
    """(n,): the movies of each phrase, ascending."""

    @classmethod
    def of(cls, movies: Sequence[MovieText], *, beside: Iterable[str] = ()) -> Self:
        """Return the phrases of a catalog; `beside`: further words, which no movie may have."""
        index = _Index(movies)
        index.add_words(beside)
        kinds = np.array([kind for kind, _ in index.phrases], np.uint8)
        return cls(
            PhraseBook.of(index.places, kinds), [sorted(found) for _, found in index.phrases]
        )

    def strongest(self, likes: Array, most: int) -> "Catalog":
        """Return the catalog with `most` phrases: those of the movies with the most likes.

        `likes` is (n_movies,). Genres, which come first, and words without movies are kept.
        """
        if len(self.movies) <= most:
            return self
        liked = np.array([likes[list(those)].sum() for those in self.movies], np.float64)
        kept_first = np.isin(self.book.kinds, (GENRE, PAIR)) | np.array(
            [not m for m in self.movies]
        )
        kept = np.sort(np.argsort(-np.where(kept_first, np.inf, liked), kind="stable")[:most])
        place = dict(zip(kept.tolist(), range(most), strict=True))
        places = {key: place[at] for key, at in self.book.places.items() if at in place}
        movies = [self.movies[at] for at in kept.tolist()]
        return Catalog(PhraseBook.of(places, self.book.kinds[kept]), movies)


class _Index:
    """Collects phrases; what comes first has a phrase that several things are called by."""

    def __init__(self, movies: Sequence[MovieText]) -> None:
        self.places: dict[str, int] = {}
        self.phrases: list[tuple[int, set[int]]] = []
        self._titles: dict[frozenset[int], int] = {}
        texts = [set(words_of(one)) for one in movies]
        counts = Counter(word for found in texts for word in found)
        self._rare = max(_FEWEST_MOVIES, _RARE_SHARE * len(movies))
        self._counts = counts
        self._add_genres(movies)
        self._add_pairs()
        self._add_titles(movies)
        self._add_named(PERSON, (one.people for one in movies))
        self._add_named(KEYWORD, (one.keywords for one in movies))
        self._add_years(movies)
        most = max(_FEWEST_MOVIES, _LARGEST_SHARE * len(movies))
        kept = {word for word, count in counts.items() if _FEWEST_MOVIES <= count <= most}
        self._add(
            WORD, ((word, i) for i, found in enumerate(texts) for word in sorted(found & kept))
        )

    def add_words(self, beside: Iterable[str]) -> None:
        """Add words without movies."""
        for word in beside:
            if word not in self.places:
                self.places[word] = len(self.phrases)
                self.phrases.append((WORD, set()))

    def _add_genres(self, movies: Sequence[MovieText]) -> None:
        self._add_named(GENRE, (one.genres for one in movies))
        for name, others in synonyms.GENRES.items():
            known = [key for key in (name, *_aliased(name)) if key in self.places]
            if known:
                for other in others:
                    self.places.setdefault(other, self.places[known[0]])

    def _add_pairs(self) -> None:
        """Add the pairs of genres that enough movies have."""
        for one, other in itertools.combinations(range(len(self.phrases)), 2):
            both = self.phrases[one][1] & self.phrases[other][1]
            if len(both) >= _FEWEST_MOVIES:
                self.places[pair_key(one, other)] = len(self.phrases)
                self.phrases.append((PAIR, both))

    def _add_years(self, movies: Sequence[MovieText]) -> None:
        """Add years, and decades as people write them: 1980s, 80s."""
        dated = [(year_of(one), i) for i, one in enumerate(movies)]
        self._add(KEYWORD, ((key, i) for year, i in dated for key in year_keys(year)))
        for key in [key for key in self.places if _DECADE.match(key)]:
            self.places.setdefault(key[2:], self.places[key])

    def _add_titles(self, movies: Sequence[MovieText]) -> None:
        """Add full titles, then what several may be called by."""
        named = [_title_keys(one.title, year_of(one)) for one in movies]
        for keys in zip(*named, strict=True) if named else ():
            found = ((key, i) for i, key in enumerate(keys) if key)
            self._add(TITLE, ((self._title_key(key), i) for key, i in found))

    def _title_key(self, key: str) -> str:
        """Return a title's key: with a quotation mark if the bare word says something else."""
        taken = key in self.places and self.phrases[self.places[key]][0] != TITLE
        if " " not in key and (taken or key in COMMON or self._counts[key] > self._rare):
            return _QUOTED + key
        return _QUOTED + key if taken else key

    def _add_named(self, kind: int, names: Iterable[Iterable[str]]) -> None:
        def found() -> Iterator[tuple[str, int]]:
            for i, those in enumerate(names):
                for name in those:
                    key = words.stems(name)[:_LONGEST]
                    if key and not COMMON.issuperset(key):
                        yield " ".join(key), i

        self._add(kind, found())

    def _add(self, kind: int, found: Iterable[tuple[str, int]]) -> None:
        members: dict[str, set[int]] = defaultdict(set)
        for key, movie in found:
            members[key].add(movie)
        for key, those in members.items():
            if key not in self.places:
                self.places[key] = self._phrase(kind, those)

    def _phrase(self, kind: int, those: set[int]) -> int:
        """Return the place of a phrase; movies' titles and their short forms have one."""
        new = len(self.phrases)
        place = self._titles.setdefault(frozenset(those), new) if kind == TITLE else new
        if place == new:
            self.phrases.append((kind, those))
        return place


def year_of(movie: MovieText) -> str:
    """Return the year of a movie, or that its title ends in; empty if it has none."""
    found = _YEAR.search(movie.title)
    return movie.year or (found["year"] if found else "")


def year_keys(year: str) -> tuple[str, ...]:
    """Return what a year is found by, and its decade."""
    return (year, f"{year[:3]}0s") if year else ()


def words_of(movie: MovieText) -> list[str]:
    """Return the words of a movie's title, overview and keywords."""
    found = words.stems(_YEAR.sub("", movie.title)) + words.stems(movie.overview)
    for keyword in movie.keywords:
        found += words.stems(keyword)
    return [word for word in found if word not in COMMON]


def _aliased(name: str) -> list[str]:
    return [alias for alias, genre in synonyms.ALIASES.items() if genre == name]


def _title_keys(title: str, year: str) -> tuple[str, ...]:
    """Return what a movie is found by, best first: with year, whole, less article, less subtitle.

    Empty where it would say nothing.
    """
    bare = _YEAR.sub("", title)
    if turned := _ARTICLE_LAST.match(bare):
        bare = f"{turned['article']} {turned['rest']}"
    whole = words.stems(bare)[:_LONGEST]
    rest = whole[1:] if len(whole) > 1 and whole[0] in _ARTICLES else whole
    main = words.stems(_SUBTITLE.split(bare)[0])
    main = main[1:] if len(main) > 1 and main[0] in _ARTICLES else main
    dated = [[*key, year] if year and key else [] for key in (whole, rest)]
    keys = [*dated, whole, rest, main]
    return tuple(" ".join(key) if _says_something(key) else "" for key in keys)


def _says_something(key: Sequence[str]) -> bool:
    """Return whether a title is more than common words; a long one is its own phrase."""
    return len(key) == 1 or len(key) > 3 or not COMMON.issuperset(key)  # noqa: PLR2004  As Good as It Gets
