"""Text in a model's factor space: what users write, and movies that nobody has watched yet.

A text's vector is linear in the phrases that it names (`phrase_book`):

    x = mean + sum over what is liked of v (a_kind m + d) + the same of what is disliked

m is the phrase's prior: the mean direction of its movies less that of all, through the fold-in's
(Y'Y + lambda I)^-1, as if the user had liked them. a is a number for each kind of phrase, and d a
vector of each frequent phrase; both are learned from users who have text and history, a by a few
users, d by ridge regression towards zero, so that without such users a text pulls to what it names,
and away from it where it dislikes. v is less for what is named later, only the first phrases count,
and no text moves x further than `bound`: one user's text can do little to anybody's.

Files, optional in a model's artifact:

    taste.json         phrases, kinds, numbers
    taste_priors.npy   (n_phrases, k) float16: m
    taste_learned.npy  (n_learned, k) float16: d of likes, then of dislikes, then of `movies`
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from movierec.errors import ArtifactError
from movierec.model import encoding, segments
from movierec.model.encoding import Array
from movierec.model.fitted import Factors, Float32
from movierec.model.texts import Description, MovieText, Texts
from movierec.taste import fitting, movie_map, words
from movierec.taste.fitting import Learned
from movierec.taste.movie_map import MovieMap
from movierec.taste.phrase_book import Catalog, PhraseBook
from movierec.taste.readings import Readings, frequent_words, value_at
from movierec.taste.words import COMMON

TASTE_FILE: Final = "taste.json"
PRIORS_FILE: Final = "taste_priors.npy"
LEARNED_FILE: Final = "taste_learned.npy"
FILES: Final = (TASTE_FILE, PRIORS_FILE, LEARNED_FILE)

# Users of text at once: 40 MB of a vector for each of ten phrases.
_TEXTS_AT_ONCE: Final = 16_384
# Of all phrases' priors.
_MOST_BYTES: Final = 14_000_000
_OWN_WORDS: Final = 3_000
# Users who like so many movies teach half of what the best known do.
_HALF_KNOWN: Final = 5.0
# Least squares moves a user less the less it is sure; lists are best when all are moved further, by
# 1.25 to 2 on three simulated worlds.
_SHARPER: Final = 1.5
# Users' worth of the overall mean in a group's.
_GROUP_PRIOR: Final = 20.0
# No text moves a user so many times further than 99 of 100 texts that the map was learned from.
_BOUND: Final = 1.5


@dataclass(frozen=True, slots=True, eq=False)
class TasteMap:
    """The map of the module's docstring, for k factors."""

    book: PhraseBook
    mean: Float32
    """(k,): users with history in the mean."""
    groups: Float32
    """(n_groups, k): how the users of each group differ from the mean."""
    priors: npt.NDArray[np.float16]
    """(n_phrases, k): m."""
    numbers: Float32
    """(2, n_kinds): a, of what is liked and disliked."""
    learned: tuple[Learned, Learned]
    """d of what is liked and disliked."""
    of_movies: MovieMap
    bound: float
    """No text moves a user further."""
    facts: Mapping[str, Any]
    """For the manifest."""

    @classmethod
    def fit(
        cls,
        texts: Texts,
        factors: Factors,
        likes: Array,
        *,
        history: Array | None = None,
        groups: Array | None = None,
        regularization: float = 1.0,
    ) -> Self:
        """Return the map of a model's factors.

        `likes` (n_movies,) is how many users like each movie, `history` (n_users,) how many movies
        each user likes, `groups` (n_users,) the index of each user's group, `regularization` the
        model's lambda. Users without history teach nothing.
        """
        known = _known(factors.users, history)
        mean, by_group = _centres(factors.users, known, groups)
        targets, weights = factors.users[texts.rows] - mean, known[texts.rows]
        if groups is not None:
            targets -= by_group[groups[texts.rows]]
        catalog = Catalog.of(texts.movies, beside=_own_words(texts.descriptions))
        catalog = catalog.strongest(likes, _MOST_BYTES // (2 * len(mean)))
        book = catalog.book
        metric = fitting.Metric.of(factors.movies, regularization)
        scale = metric.spread(factors.users - mean, known)
        priors = scale * fitting.priors(catalog, factors.movies, likes, metric)
        sides = _readings(book, texts.descriptions)
        priors = priors.astype(np.float16)
        numbers = fitting.numbers(
            sides, priors, book.kinds, targets, weights=weights, metric=metric
        )
        learned = (Learned.nothing(len(mean)), Learned.nothing(len(mean)))
        of_movies = movie_map.fit(book, texts.movies, factors.movies, likes)
        found = cls(book, mean, by_group, priors, numbers, learned, of_movies, math.inf, {})
        rest = targets - found.moved(sides)
        likes_learned, dislikes_learned = fitting.learn(sides, rest, weights, metric)
        learned = (likes_learned, dislikes_learned)
        found = replace(found, learned=learned)
        if weights.sum() > fitting.PRIOR_USERS:
            found = found.sharpened()
        lengths = np.linalg.norm(found.moved(sides), axis=1)[weights > 0]
        bound = _BOUND * float(np.quantile(lengths, 0.99)) if len(lengths) else math.inf
        facts = {
            "texts": len(texts.rows),
            "learned_from": int((weights > 0).sum()),
            "phrases": len(book.kinds),
            "phrases_learned": [len(side.phrases) for side in learned],
            "penalty": learned[0].penalty,
            "numbers": found.numbers.round(4).tolist(),
            "movies": of_movies.facts,
        }
        return replace(found, bound=bound, facts=facts)

    def sharpened(self) -> Self:
        """Return the map with all that texts move multiplied by _SHARPER."""
        parts = (replace(one, vectors=one.vectors * np.float16(_SHARPER)) for one in self.learned)
        likes, dislikes = parts
        return replace(self, numbers=self.numbers * np.float32(_SHARPER), learned=(likes, dislikes))

    def users(self, descriptions: Sequence[Description], groups: Array | None = None) -> Float32:
        """Return users' factors by what they wrote, (n, k); zeros where nothing is understood.

        `groups` (n,) are the users' own, where they are known.
        """
        sides = _readings(self.book, descriptions)
        moved = self.moved(sides)
        found = self.mean + moved * self._within(moved)
        if groups is not None:
            found += self.groups[groups]
        return np.where(moved.any(axis=1, keepdims=True), found, 0).astype(np.float32)

    def movies(self, texts: Sequence[MovieText]) -> Float32:
        """Return factors of movies that nobody has watched, by their texts, (m, k)."""
        return self.of_movies.factors(texts, self.book)

    def pulls(self, description: Description, movies: Float32) -> list[list[tuple[str, float]]]:
        """Return what each phrase of a text adds to the scores of movies, by their factors (m, k).

        For each movie the phrases as they are written, the strongest first.
        """
        written: list[str] = []
        vectors = [np.zeros((0, len(self.mean)), np.float32)]
        for side, text in enumerate((description.likes, description.dislikes)):
            mentions = self.book.read(text)
            phrases = np.array([mention.phrase for mention in mentions], np.int64)
            written += [mention.text for mention in mentions]
            values = value_at(np.arange(len(phrases)))
            vectors.append(self._vectors(side, phrases) * values[:, None])
        together = np.concatenate(vectors)
        scores = movies @ (together * self._within(together.sum(axis=0, keepdims=True))).T
        return [
            [(written[i], float(row[i])) for i in np.argsort(-np.abs(row), kind="stable") if row[i]]
            for row in scores
        ]

    def moved(self, sides: Sequence[Readings]) -> Float32:
        """Return how far texts move their users from the mean, (n, k)."""
        found = np.zeros((len(sides[0]), len(self.mean)), np.float32)
        for start in range(0, len(found), _TEXTS_AT_ONCE):
            rows = np.arange(start, min(start + _TEXTS_AT_ONCE, len(found)))
            for side, readings in enumerate(sides):
                part = readings.take(rows)
                found[rows] += part.total(self._vectors(side, part.rows.columns))
        return found

    def _within(self, moved: Float32) -> Float32:
        """Return what keeps each of these within `bound`, (n, 1) of (n, k)."""
        lengths = np.linalg.norm(moved, axis=1, keepdims=True)
        return np.minimum(1, self.bound / np.maximum(lengths, 1e-12)).astype(np.float32)

    def _vectors(self, side: int, phrases: Array) -> Float32:
        """Return the vectors of phrases (n,) on one side, (n, k)."""
        scale = self.numbers[side][self.book.kinds[phrases]]
        found: Float32 = self.priors[phrases] * scale[:, None]
        return found + self.learned[side].of(phrases)

    def pack(self) -> dict[str, bytes]:
        """Return the files."""
        document = {
            "places": dict(self.book.places),
            "kinds": self.book.kinds.tolist(),
            "mean": self.mean.tolist(),
            "groups": self.groups.tolist(),
            "numbers": self.numbers.tolist(),
            "learned": [part.phrases.tolist() for part in self._parts],
            "penalties": [part.penalty for part in self._parts],
            "movie_mean": self.of_movies.mean.tolist(),
            "movie_length": self.of_movies.length,
            "bound": self.bound if math.isfinite(self.bound) else None,
            "facts": self.facts,
        }
        return {
            TASTE_FILE: encoding.dump_json(document),
            PRIORS_FILE: encoding.dump_npy(self.priors),
            LEARNED_FILE: encoding.dump_npy(np.concatenate([p.vectors for p in self._parts])),
        }

    @property
    def _parts(self) -> tuple[Learned, Learned, Learned]:
        return (*self.learned, self.of_movies.learned)

    @classmethod
    def unpack(cls, files: Mapping[str, bytes]) -> Self:
        """Return what `pack` wrote. Raises ArtifactError."""
        document = encoding.load_json(TASTE_FILE, files[TASTE_FILE])
        priors, vectors = (encoding.load_npy(n, files[n]) for n in (PRIORS_FILE, LEARNED_FILE))
        try:
            likes, dislikes, movies = _unpacked(document, vectors)
            mean = np.array(document["movie_mean"], np.float32)
            found = cls(
                book=PhraseBook.of(document["places"], np.array(document["kinds"], np.uint8)),
                mean=np.array(document["mean"], np.float32),
                groups=np.array(document["groups"], np.float32),
                priors=priors,
                numbers=np.array(document["numbers"], np.float32),
                learned=(likes, dislikes),
                of_movies=MovieMap(movies, mean, document["movie_length"], {}),
                bound=math.inf if document["bound"] is None else document["bound"],
                facts=document["facts"],
            )
        except (KeyError, TypeError, ValueError) as exc:
            raise ArtifactError(f"{TASTE_FILE} is not as it was written: {exc!r}") from exc
        if not found.priors.shape == (len(found.book.kinds), len(found.mean)):
            raise ArtifactError(
                f"{PRIORS_FILE} has shape {priors.shape} for {len(found.book.kinds)} phrases of"
                f" {TASTE_FILE}: fetch the model again, or train anew"
            )
        return found


def _unpacked(document: Mapping[str, Any], vectors: Array) -> list[Learned]:
    phrases = [np.array(those, np.int64) for those in document["learned"]]
    edges = np.cumsum([len(those) for those in phrases])
    if edges[-1] != len(vectors):
        raise ValueError(f"{len(vectors)} vectors of {edges[-1]} phrases")
    parts = np.split(vectors, edges[:-1])
    return [Learned(*one) for one in zip(phrases, parts, document["penalties"], strict=True)]


def _known(users: Float32, history: Array | None) -> Array:
    """Return how much each user's factors are worth, (n_users,) in 0..1."""
    if history is None:
        return np.asarray((users != 0).any(axis=1), np.float64)
    return np.asarray(history / (history + _HALF_KNOWN))


def _centres(users: Float32, known: Array, groups: Array | None) -> tuple[Float32, Float32]:
    """Return the mean user, (k,), and how each group differs from it, (n_groups, k)."""
    mean = known @ users / max(known.sum(), 1e-9)
    n_groups = len(segments.GROUPS)
    if groups is None:
        return mean.astype(np.float32), np.zeros((n_groups, len(mean)), np.float32)
    total = np.bincount(groups, known, n_groups)
    sums = np.zeros((n_groups, len(mean)))
    for group in range(n_groups):
        sums[group] = known[groups == group] @ (users[groups == group] - mean)
    return mean.astype(np.float32), (sums / (total + _GROUP_PRIOR)[:, None]).astype(np.float32)


def _own_words(descriptions: Sequence[Description]) -> list[str]:
    """Return the words that users write, beside those of the catalog."""

    def read(text: str) -> list[str]:
        return [word for word in words.stems(text) if word not in COMMON]

    texts = [f"{one.likes} {one.dislikes}" for one in descriptions]
    return frequent_words(texts, read, fitting.FEWEST_TEXTS, _OWN_WORDS)


def _readings(book: PhraseBook, descriptions: Sequence[Description]) -> tuple[Readings, Readings]:
    """Return the likes and the dislikes."""

    def read(texts: Iterable[str]) -> Readings:
        return Readings.of([[mention.phrase for mention in book.read(text)] for text in texts])

    return read(one.likes for one in descriptions), read(one.dislikes for one in descriptions)
