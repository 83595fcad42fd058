"""Factors of movies that nobody has watched, by what the catalog says of them.

A movie's direction is the mean of all movies' and, for each phrase that the catalog has of it, a
vector that ridge regression has learned from the model's movies, weighted by how much is known of
them. Its length is in the middle that of a movie of middling popularity, less where the phrases
disagree.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from movierec.model.encoding import Array
from movierec.model.fitted import Float32
from movierec.model.texts import MovieText
from movierec.taste import fitting, phrase_book, words
from movierec.taste.fitting import Learned, Metric
from movierec.taste.phrase_book import MOST_MENTIONS, PhraseBook
from movierec.taste.readings import Readings

# Movies of so many likes teach half of what the best known do.
_HALF_KNOWN: Final = 20.0
_MOST_LEARNED: Final = 2_000


@dataclass(frozen=True, slots=True, eq=False)
class MovieMap:
    """What each phrase says of a movie's direction."""

    learned: Learned
    mean: Float32
    """(k,)."""
    length: float
    """Of a movie whose direction is certain."""
    facts: Mapping[str, Any]
    """For the manifest."""

    def factors(self, texts: Sequence[MovieText], book: PhraseBook) -> Float32:
        """Return the factors of movies by their texts, (m, k); zeros where nothing is known."""
        readings = _readings(book, texts)
        found = self.mean + readings.total(self.learned.of(readings.rows.columns))
        known = np.diff(readings.rows.indptr) > 0
        return np.asarray(found * self.length * known[:, None], np.float32)


def fit(book: PhraseBook, texts: Sequence[MovieText], factors: Float32, likes: Array) -> MovieMap:
    """Return the map of a model's movies, with factors (n_movies, k) and likes (n_movies,)."""
    lengths = np.linalg.norm(factors, axis=1)
    directions = factors / np.maximum(lengths, 1e-12)[:, None]
    weights = np.where(lengths > 0, likes / (likes + _HALF_KNOWN), 0)
    mean = (weights @ directions / max(weights.sum(), 1e-9)).astype(np.float32)
    flat = Metric(np.eye(len(mean)), np.eye(len(mean)))
    readings = _readings(book, texts)
    (learned,) = fitting.learn([readings], directions - mean, weights, flat, _MOST_LEARNED)
    facts = {"phrases_learned": len(learned.phrases), "penalty": learned.penalty}
    found = MovieMap(learned, mean, 1.0, facts)
    liked = likes > 0
    if not liked.any():
        return replace(found, length=0.0)
    predicted = np.linalg.norm(found.factors(texts, book)[liked], axis=1)
    length = np.median(lengths[liked]) / max(float(np.median(predicted)), 1e-12)
    return replace(found, length=float(length))


def _readings(book: PhraseBook, texts: Sequence[MovieText]) -> Readings:
    return Readings.of([_phrases(book, one) for one in texts])


def _phrases(book: PhraseBook, text: MovieText) -> list[int]:
    """Return the phrases of a movie: genres, keywords and people first, then its words."""
    named = [" ".join(words.stems(name)) for name in (*text.genres, *text.keywords, *text.people)]
    dated = phrase_book.year_keys(phrase_book.year_of(text))
    keys = (*named, *dated, *phrase_book.words_of(text))
    found = dict.fromkeys(book.places[key] for key in keys if key in book.places)
    return list(found)[:MOST_MENTIONS]
