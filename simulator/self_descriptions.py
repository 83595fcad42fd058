"""What users write about themselves at sign-up: free text that follows their hidden preferences.

As people's own texts are, some are short, vague or off the subject; genres go by other names,
titles are shortened or misspelt, and what stands first is not always what is liked best.
"""

import string
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

import numpy as np

from simulator import description_words as words
from simulator.description_words import GENRE_WORDS
from simulator.film_catalog import GENRES
from simulator.preferences import F32, Array
from simulator.synthetic_world import World

# Many say what they like, fewer what they do not.
_WITH_DISLIKES: Final = 0.6
_VAGUE: Final = 0.07
_SHORT: Final = 0.2
_WITH_FILM: Final = 0.5
_WITH_ASIDE: Final = 0.2
_WITHOUT: Final = 0.05
_DISLIKES_FILM: Final = 0.15

_USUAL_NAME: Final = 0.5
_CARELESS: Final = 0.25
"""Those who write all in lower case and do not look at what they typed."""
_TYPOS: Final = 0.01
"""Share of a careless writer's letters that are wrong."""
_MISSPELT_TITLES: Final = 0.15
_SHORTENED_TITLES: Final = 0.2

# Noise of what comes to mind, in standard deviations of all genres' and films' affinities.
_GENRE_NOISE: Final = 0.3
# Those who are half a niche nearer count e times as much for what genres come to mind.
_CHOOSY: Final = 0.15
_FILM_NOISE: Final = 0.3
_BEST_KNOWN: Final = 300
_ARTICLES: Final = ("The ", "A ", "An ")


@dataclass(frozen=True, slots=True)
class SelfDescription:
    """What a user wrote in the two fields of the sign-up form; None or empty: nothing."""

    likes: str | None
    dislikes: str | None


class Describer:
    """Writes self-descriptions, by the films of the world that the site opened with."""

    def __init__(self, base: World) -> None:
        self._base = base
        popularity = np.where(base.films.adult, 0, base.preferences.popularity)
        self._best_known = np.argsort(-popularity, kind="stable")[:_BEST_KNOWN]
        masks = base.films.genres[self._best_known]
        belongs = (masks[:, None] >> np.arange(len(GENRES)) & 1).astype(np.float64)
        present = belongs.any(axis=0)
        self._genres = [name for (name, _), there in zip(GENRES, present, strict=True) if there]
        # How much more of each genre than of another a film has: a common one says less.
        self._belongs = belongs[:, present] / np.sqrt(belongs[:, present].mean(axis=0))
        factors = base.preferences.film_factors[self._best_known]
        centres = belongs.T[present] @ factors / belongs.T[present].sum(axis=1, keepdims=True)
        self._centres = centres - factors.mean(axis=0)

    def describe(self, factors: F32) -> SelfDescription:
        """Return what a user of these factors, (k,), writes into the form."""
        rng = _rng(factors)
        wish = self._base.preferences.film_factors[self._best_known] @ factors
        films = self._films(wish, rng)
        likes = self._genres_in_mind(self._belonging(wish), rng)
        dislikes = self._genres_in_mind(-self._centres @ factors, rng)
        careless = rng.random() < _CARELESS
        liked = _typed(_likes(likes, dislikes, films, rng), rng, careless=careless)
        if rng.random() >= _WITH_DISLIKES:
            return SelfDescription(liked, _blank(rng))
        disliked = _typed(_dislikes(dislikes, films, rng), rng, careless=careless)
        return SelfDescription(liked, disliked)

    def silence(self, factors: F32) -> SelfDescription:
        """Return the fields of a user who leaves the form empty."""
        rng = _rng(factors)
        return SelfDescription(_blank(rng), _blank(rng))

    def _belonging(self, wish: Array) -> Array:
        """Return how much the best liked films are of each genre."""
        chance = np.exp((wish - wish.max()) / _CHOOSY)
        found: Array = chance @ self._belongs / chance.sum()
        return found

    def _genres_in_mind(self, wish: Array, rng: Random) -> list[str]:
        return [self._genres[i] for i in _in_mind(wish, _GENRE_NOISE, rng)]

    def _films(self, wish: Array, rng: Random) -> Sequence[str]:
        """Return the titles of well-known films, the best liked first."""
        found = self._best_known[_in_mind(wish, _FILM_NOISE, rng)]
        return [self._base.films.titles[i].text for i in found[[0, 1, -1]].tolist()]


def _in_mind(wish: Array, noise: float, rng: Random) -> Array:
    """Return indices in the order in which they come to mind, the best liked mostly first."""
    spread = noise * float(wish.std()) if len(wish) else 0.0
    heard = wish + [rng.gauss(0, spread) for _ in range(len(wish))]
    return np.argsort(-heard, kind="stable")


def _likes(
    genres: Sequence[str], disliked: Sequence[str], films: Sequence[str], rng: Random
) -> str:
    chance = rng.random()
    if chance < _VAGUE:
        return rng.choice(words.VAGUE)
    if chance < _VAGUE + _SHORT:
        return _filled(rng.choice(words.LIKES_SHORT), genres, films, rng)
    kinds = [rng.choice(words.LIKES)]
    if rng.random() < _WITH_FILM:
        kinds.insert(rng.randrange(2), rng.choice(words.LIKES_FILM))
    sentences = [_filled(one, genres, films, rng) for one in kinds]
    if rng.random() < _WITH_ASIDE:
        sentences.insert(rng.randrange(len(sentences) + 1), rng.choice(words.ASIDE))
    if rng.random() < _WITHOUT:
        sentences.append(_filled(rng.choice(words.LIKES_WITHOUT), disliked, films, rng))
    return " ".join(sentences)


def _dislikes(genres: Sequence[str], films: Sequence[str], rng: Random) -> str:
    chance = rng.random()
    if chance < _VAGUE:
        return rng.choice(words.DISLIKES_VAGUE)
    kinds = words.DISLIKES_FILM if chance < _VAGUE + _DISLIKES_FILM else words.DISLIKES
    return _filled(rng.choice(kinds), genres, films[::-1], rng)


def _filled(sentence: str, genres: Sequence[str], films: Sequence[str], rng: Random) -> str:
    """Return the sentence with the first genres and films in its gaps."""
    named = [_called(genres[i % len(genres)], rng) if genres else "movies" for i in range(3)]
    titles = [_recalled(title, rng) for title in films]
    return sentence.format(*named, film=titles[0], other=titles[1])


def _called(genre: str, rng: Random) -> str:
    usual, *others = GENRE_WORDS[genre]
    return usual if rng.random() < _USUAL_NAME else rng.choice(others)


def _recalled(title: str, rng: Random) -> str:
    """Return a title as people remember it."""
    chance = rng.random()
    if chance < _MISSPELT_TITLES:
        return _misspelt(title, rng.randrange(len(title)), rng)
    if chance < _MISSPELT_TITLES + _SHORTENED_TITLES:
        return title.removeprefix(next(filter(title.startswith, _ARTICLES), "")).split(":")[0]
    return title


def _typed(text: str, rng: Random, *, careless: bool) -> str:
    if not careless:
        return text
    text = text.lower()
    for place in range(len(text) - 1, -1, -1):
        if text[place].isalpha() and rng.random() < _TYPOS:
            text = _misspelt(text, place, rng)
    return text


def _misspelt(text: str, place: int, rng: Random) -> str:
    """Return the text with a letter left out, doubled, swapped with the next, or another."""
    before, letter, after = text[:place], text[place], text[place + 1 :]
    other = rng.choice(string.ascii_lowercase)
    swapped = after[:1] + letter + after[1:]
    return before + rng.choice((after, letter + letter + after, swapped, other + after))


def _blank(rng: Random) -> str | None:
    """Return an empty field as the site has it: null or an empty text."""
    return rng.choice((None, ""))


def _rng(factors: F32) -> Random:
    """Return a generator of the user's own, the same in every process."""
    return Random(f"description {float(factors[0])!r}")
