"""What users write about themselves at sign-up: free text that follows their hidden preferences."""

from dataclasses import dataclass
from random import Random
from typing import Final

import numpy as np

from simulator.film_catalog import GENRES
from simulator.preferences import F32
from simulator.synthetic_world import World

GENRE_WORDS: Final = {
    "Action": "action movies", "Adventure": "adventures", "Animation": "animated films",
    "Comedy": "comedies", "Crime": "crime stories", "Documentary": "documentaries",
    "Drama": "dramas", "Family": "family movies", "Fantasy": "fantasy films",
    "Foreign": "foreign films", "History": "historical films", "Horror": "horror",
    "Music": "musicals", "Mystery": "mysteries", "Romance": "love stories",
    "Science Fiction": "sci-fi movies", "Thriller": "thrillers", "War": "war movies",
    "Western": "westerns",
}  # fmt: skip
"""How people call each genre."""

_LIKES: Final = (
    "I love {0} and {1}.",
    "Big fan of {0}, especially anything like {film}.",
    "mostly {0}, sometimes {1}",
    "Give me {0} any day! {film} is one of my favorites. Also into {1} and {2}.",
    "{0}, {1}, {2}",
    "I could watch {film} again and again.",
    "After a long day I like {0}. On weekends {1} with friends.",
    "Anything with a good story, {0} above all, and {film} of course",
)
_DISLIKES: Final = (
    "Not into {0} or {1}.",
    "{0} bore me",
    "I can't stand {0}!",
    "please no {0}, and I rarely finish {1}",
    "{0}. {1} too, most of the time.",
)
# Many say what they like, fewer what they do not.
_WITH_DISLIKES: Final = 0.6
_BEST_KNOWN: Final = 300
_FAVOURITES: Final = 3


@dataclass(frozen=True, slots=True)
class SelfDescription:
    """What a user wrote in the two fields of the sign-up form; None or empty: nothing."""

    likes: str | None
    dislikes: str | None


class Describer:
    """Writes self-descriptions, by the films of the world that the site opened with."""

    def __init__(self, base: World) -> None:
        factors, genres = base.preferences.film_factors, base.films.genres
        centres = {}
        for place, (name, _) in enumerate(GENRES):
            members = factors[(genres >> place & 1).astype(np.bool_)]
            if len(members):
                centres[name] = members.mean(axis=0) - factors.mean(axis=0)
        self._genres = list(centres)
        self._centres = np.array(list(centres.values()))
        self._base = base
        popularity = np.where(base.films.adult, 0, base.preferences.popularity)
        self._best_known = np.argsort(-popularity, kind="stable")[:_BEST_KNOWN]

    def describe(self, factors: F32) -> SelfDescription:
        """Return what a user of these factors, (k,), writes into the form."""
        rng = _rng(factors)
        words = [GENRE_WORDS[name] for name in self.ranked_genres(factors)]
        likes = rng.choice(_LIKES).format(*_three(words), film=self._favourite(factors, rng))
        if rng.random() >= _WITH_DISLIKES:
            return SelfDescription(likes, _blank(rng))
        dislikes = rng.choice(_DISLIKES).format(*_three(words[::-1]))
        return SelfDescription(likes, dislikes)

    def silence(self, factors: F32) -> SelfDescription:
        """Return the fields of a user who leaves the form empty."""
        rng = _rng(factors)
        return SelfDescription(_blank(rng), _blank(rng))

    def ranked_genres(self, factors: F32) -> list[str]:
        """Return the catalog's genres by how well the user likes their films, best first."""
        order = np.argsort(-(self._centres @ factors), kind="stable")
        return [self._genres[i] for i in order.tolist()]

    def _favourite(self, factors: F32, rng: Random) -> str:
        """Return the title of a well-known film that the user likes."""
        wish = self._base.preferences.film_factors[self._best_known] @ factors
        best = np.argsort(-wish, kind="stable")[:_FAVOURITES]
        return self._base.films.titles[int(self._best_known[rng.choice(best.tolist())])].text


def _three(words: list[str]) -> list[str]:
    """Return three words to choose from, however few genres the catalog has."""
    return [words[i % len(words)] for i in range(3)] if words else ["movies"] * 3


def _blank(rng: Random) -> str | None:
    """Return an empty field as the site has it: null or an empty text."""
    return rng.choice((None, ""))


def _rng(factors: F32) -> Random:
    """Return a generator of the user's own, the same in every process."""
    return Random(f"description {float(factors[0])!r}")
