"""Learn what phrases mean in a model's factor space; see `movierec.taste.taste_map`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from movierec.model.encoding import Array
from movierec.model.fitted import Float32
from movierec.taste.phrase_book import KINDS, PAIR, WORD, Catalog
from movierec.taste.readings import Features, Readings, side_by_side
from movierec.taste.ridge import Sums

# A phrase that fewer texts have is no evidence of its own.
FEWEST_TEXTS: Final = 3
# The normal equations of both sides are then 64 MB.
MOST_LEARNED: Final = 1_400
PENALTIES: Final = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1_000.0)

# How far a text of one phrase moves a user of whom nothing else is known, in units of how far
# users are from their mean; what people like says more than what they do not.
_LIKED: Final = 0.5
_DISLIKED: Final = -0.25
_WORDS: Final = 0.3
# Users' worth of evidence for those.
PRIOR_USERS: Final = 50.0
# Standard errors.
_SURE: Final = 2.0
_TEXTS_AT_ONCE: Final = 8_192
# One in five users chooses the penalty.
_FOLDS: Final = 5


@dataclass(frozen=True, slots=True, eq=False)
class Learned:
    """What was learned of one kind of text, (p, k) for the phrases (p,), and how."""

    phrases: npt.NDArray[np.int64]
    vectors: npt.NDArray[np.float16]
    penalty: float | None
    """None: nothing was learned that holds for other users."""

    @classmethod
    def nothing(cls, width: int) -> Self:
        """Return what no text teaches."""
        return cls(np.zeros(0, np.int64), np.zeros((0, width), np.float16), None)

    def of(self, phrases: Array) -> Float32:
        """Return the vectors of some phrases, (n, k), zeros where nothing was learned."""
        found = np.zeros((len(phrases), self.vectors.shape[1]), np.float32)
        if len(self.phrases):
            at = np.minimum(np.searchsorted(self.phrases, phrases), len(self.phrases) - 1)
            known = self.phrases[at] == phrases
            found[known] = self.vectors[at[known]]
        return found


@dataclass(frozen=True, slots=True, eq=False)
class Metric:
    """Distance of users by how they score all movies: |x| is the root of x'(Y'Y + lambda I)x."""

    gram: Array
    """(k, k)."""
    root: Array
    """(k, k) L with LL' the gram: |L'x| is Euclid's."""

    @classmethod
    def of(cls, movies: Float32, regularization: float) -> Self:
        """Return the metric of movies' factors (n_movies, k)."""
        wide = movies.astype(np.float64)
        gram = wide.T @ wide
        gram[np.diag_indices_from(gram)] += max(regularization, 1e-6)
        return cls(gram, np.linalg.cholesky(gram))

    def flat(self, vectors: Array) -> Array:
        """Return vectors (n, k) where their distances are Euclid's."""
        return np.asarray(vectors @ self.root, np.float32)

    def back(self, flat: Array) -> Array:
        """Return the vectors that `flat` was made of, (n, k)."""
        return np.linalg.solve(self.root.T, flat.T.astype(np.float64)).T

    def spread(self, vectors: Array, weights: Array) -> float:
        """Return the root of the mean square of vectors (n, k)."""
        squares = (self.flat(vectors) ** 2).sum(axis=1, dtype=np.float64)
        return float(np.sqrt(weights @ squares / max(weights.sum(), 1e-9)))


def priors(catalog: Catalog, factors: Float32, likes: Array, metric: Metric) -> Float32:
    """Return each phrase's prior m, (n_phrases, k), of the length 1 in the mean of its kind.

    `factors` are the movies' (n_movies, k), `likes` (n_movies,) how many users like each.
    """
    weights = np.sqrt(likes.astype(np.float64))
    centred = factors - weights @ factors / max(weights.sum(), 1e-9)
    counts = np.array([len(those) for those in catalog.movies], np.int64)
    members = np.fromiter((i for those in catalog.movies for i in those), np.int64, counts.sum())
    phrase = np.repeat(np.arange(len(counts)), counts)
    total = np.bincount(phrase, weights[members], len(counts))
    sums = np.zeros((len(counts), factors.shape[1]))
    for column, values in enumerate(centred.T):
        sums[:, column] = np.bincount(phrase, weights[members] * values[members], len(counts))
    found = np.linalg.solve(metric.gram, (sums / (total + weights.mean() + 1e-9)[:, None]).T).T
    lengths = np.linalg.norm(metric.flat(found), axis=1)
    for kind in range(len(KINDS)):
        those = (catalog.book.kinds == kind) & (lengths > 0)
        found[those] /= np.sqrt((lengths[those] ** 2).mean()) if those.any() else 1
    return found.astype(np.float32)


def numbers(
    sides: Sequence[Readings],
    priors: Array,
    kinds: Array,
    targets: Float32,
    *,
    weights: Array,
    metric: Metric,
) -> Float32:
    """Return a, (2, n_kinds), of likes and dislikes; `targets` (n, k) are deviations from mean."""
    before = default_numbers()
    flat, aims = metric.flat(priors), metric.flat(targets)
    gram, cross = np.zeros((before.size, before.size)), np.zeros(before.size)
    for start in range(0, len(targets), _TEXTS_AT_ONCE):
        rows = np.arange(start, min(start + _TEXTS_AT_ONCE, len(targets)))
        parts = [side.take(rows) for side in sides]
        blocks = np.array([block for part in parts for block in _by_kind(part, flat, kinds)])
        weighted = blocks * weights[rows][:, None]
        gram += np.einsum("ank,bnk->ab", weighted, blocks, optimize=True)
        cross += np.einsum("ank,nk->a", weighted, aims[rows], optimize=True)
    square = float((flat**2).sum(axis=1, dtype=np.float64).mean()) if len(flat) else 1.0
    penalty = PRIOR_USERS * max(square, 1e-12) * np.eye(before.size)
    found = np.linalg.solve(gram + penalty, cross + penalty @ before.ravel())
    return found.reshape(before.shape).astype(np.float32)


def _by_kind(readings: Readings, priors: Array, kinds: Array) -> list[Float32]:
    """Return each text's sum of priors for each kind of phrase, (n, k) each."""
    found = []
    for kind in range(len(KINDS)):
        kept = kinds[readings.rows.columns] == kind
        rows = readings.rows.where(kept)
        part = Readings(rows, readings.values[kept])
        found.append(part.total(priors[rows.columns].astype(np.float32)))
    return found


def default_numbers() -> Array:
    """Return a as it is without a user to learn from."""
    found = np.full((2, len(KINDS)), _LIKED)
    found[1] = _DISLIKED
    found[:, WORD] *= _WORDS
    # Two genres say no more than both of them, before anybody has shown it.
    found[:, PAIR] = 0
    return found


def learn(
    sides: Sequence[Readings],
    targets: Float32,
    weights: Array,
    metric: Metric,
    most: int = MOST_LEARNED,
) -> tuple[Learned, ...]:
    """Return d of each side's frequent phrases, by ridge regression of targets (n, k).

    The penalty is the one that serves best one in five of the users, who were not learned from.
    Nothing is learned that does not serve them beyond doubt.
    """
    phrases = [side.frequent(FEWEST_TEXTS, most) for side in sides]
    features = side_by_side(list(zip(sides, phrases, strict=True)))
    width, aims = targets.shape[1], metric.flat(targets)
    chooses = np.arange(len(targets)) % _FOLDS == _FOLDS - 1
    taught, choosing = (np.flatnonzero(chosen) for chosen in (~chooses, chooses))
    if not features.columns or not len(choosing):
        return tuple(Learned.nothing(width) for _ in sides)
    sums = Sums.of(features.take(taught), weights[taught], aims[taught])
    others = features.take(choosing)
    penalty = _best(sums, others, weights[choosing], aims[choosing])
    if penalty is None:
        return tuple(Learned.nothing(width) for _ in sides)
    sums += Sums.of(others, weights[choosing], aims[choosing])
    solution = metric.back(sums.solved(penalty)).astype(np.float16)
    parts = np.split(solution, np.cumsum([len(those) for those in phrases])[:-1])
    return tuple(Learned(p, v, penalty) for p, v in zip(phrases, parts, strict=True))


def _best(sums: Sums, others: Features, weights: Array, aims: Float32) -> float | None:
    """Return the penalty whose solution is nearest to others' aims; None if none is for sure."""
    before = (aims**2).sum(axis=1)
    gains = {}
    for penalty in PENALTIES:
        left = ((aims - others.times(sums.solved(penalty))) ** 2).sum(axis=1)
        gains[penalty] = weights * (before - left)
    best = max(gains, key=lambda penalty: float(gains[penalty].mean()))
    gain = gains[best]
    margin = _SURE * float(gain.std()) / np.sqrt(len(gain))
    return best if gain.mean() > margin else None
