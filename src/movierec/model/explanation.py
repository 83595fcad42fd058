"""Which of the titles that a user liked pulled each movie of a model's list, and by how much.

By factors the decomposition is exact (Hu, Koren & Volinsky 2008, section 5): the score is a sum
over what the user likes. By item-to-item weights a score is that sum by its nature; an artifact
keeps each movie's strongest (`item_neighbours`). A blend pulls by the weighted sum of both, each in
standard deviations of the user's scores, as in `functions.train_als.blend`.
"""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np

from movierec.errors import ArtifactError, ObjectNotFoundError, UsageError
from movierec.model import artifact, item_neighbours, sealed_folder
from movierec.model import dataset as datasets
from movierec.model.encoding import Array, load_json, load_npy
from movierec.model.fitted import Float32
from movierec.model.fold_in import FoldIn
from movierec.model.item_neighbours import ItemNeighbours
from movierec.model.ranking import LIST_LENGTH
from movierec.model.user_id import row_of
from movierec.ports import ObjectStore

BLEND: Final = "blend"
POPULAR: Final = "popular"

_MODEL_FILES: Final = (
    artifact.TOPK_FILE,
    artifact.USER_IDS_FILE,
    artifact.MOVIE_IDS_FILE,
    artifact.ITEM_FACTORS_FILE,
)
_HISTORY_FILES: Final = ("indptr.npy", "movies.npy", "strength.npy", "user_ids.npy")


@dataclass(frozen=True, slots=True)
class Pull:
    """A title that the user liked, and its part of a movie's score."""

    movie_id: str
    value: float
    share: float
    """Of all that speaks for the movie, 0 to 1."""


@dataclass(frozen=True, slots=True)
class Word:
    """A word or phrase that the user wrote, and its part of a movie's score."""

    text: str
    value: float
    share: float
    """Of all that speaks for the movie, 0 to 1; less than 0 where it speaks against it."""


@dataclass(frozen=True, slots=True)
class Explained:
    """A movie of the list, and what pulled it, strongest first."""

    movie_id: str
    pulls: tuple[Pull, ...]
    words: tuple[Word, ...] = ()
    new: bool = False
    """Whether it came after the model."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """A user's list, best first."""

    model_version: str
    user_id: int
    lists_from: str
    """`als`, `blend`, or `popular` where the user liked nothing that a model could learn from."""
    liked: int
    movies: tuple[Explained, ...]
    made_from: str = "model"
    """`model`, or what an overlay's list was made from, see `overlay.REASONS`; `fallback` for a
    user of whom neither knows anything."""
    refresh: int = 0
    """The newest overlay's number, 0 without one."""
    popular_group: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class History:
    """What one user likes, and how often each movie is liked by all."""

    liked: Array
    strengths: Float32
    likes: Array

    @classmethod
    def load(cls, store: ObjectStore, dataset_id: str, user_id: int, n_movies: int) -> Self:
        """Return them by a data set. Raises ArtifactError if it is gone."""
        folder = functools.partial(datasets.key, dataset_id)
        try:
            files = sealed_folder.load(
                store, folder, _HISTORY_FILES, sealed_folder.manifest(store, folder)
            )
        except ObjectNotFoundError as exc:
            raise ArtifactError(
                f"data set {dataset_id}, which holds the user's history, is gone: train anew with"
                " `movierec retrain`"
            ) from exc
        indptr, movies, strength, users = (load_npy(name, files[name]) for name in _HISTORY_FILES)
        row = int(np.searchsorted(users, user_id))
        own = slice(int(indptr[row]), int(indptr[row + 1]))
        positive = strength[own] > 0
        return cls(
            movies[own][positive],
            strength[own][positive],
            np.bincount(movies[strength > 0], minlength=n_movies),
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Source:
    """One model's scores of a user, and what each liked movie adds to those of the list."""

    scores: Float32
    """(n_movies,)."""
    parts: Float32
    """(list, liked)."""

    def standardised(self, listed: Array, others: Array, discount: Array) -> Float32:
        """Return the parts in standard deviations of the scores of `others`, (n_movies,) bool."""
        deviation = float((self.scores * discount)[others].std()) or 1.0
        return np.asarray(self.parts * (discount[listed] / deviation)[:, None], np.float32)


def explain(
    store: ObjectStore, version: str, user_id: int, *, movies: int = LIST_LENGTH, pulls: int = 3
) -> Explanation:
    """Explain the first `movies` of a user's list by up to `pulls` titles each.

    Raises UsageError for an unknown model or user, or a model that is too old; ArtifactError.
    """
    manifest = manifest_of(store, version)
    folder = functools.partial(artifact.key, version)
    files = sealed_folder.load(store, folder, _MODEL_FILES, manifest)
    names = load_json(artifact.MOVIE_IDS_FILE, files[artifact.MOVIE_IDS_FILE])
    user_ids = load_npy(artifact.USER_IDS_FILE, files[artifact.USER_IDS_FILE])
    row = row_of(user_ids, user_id)
    if row is None:
        raise UsageError(
            f"model {version} does not know user {user_id}, who gets the popular list: ask for one"
            " who watched or rated before it was trained, or train anew with `movierec retrain`"
        )
    topk = load_npy(artifact.TOPK_FILE, files[artifact.TOPK_FILE])[row][:movies]
    listed = topk[topk < len(names)].astype(np.int64)
    history = History.load(store, manifest["dataset_id"], user_id, len(names))
    factors = load_npy(artifact.ITEM_FACTORS_FILE, files[artifact.ITEM_FACTORS_FILE])
    if len(history.liked):
        fitted = FoldIn(factors, manifest["als_regularization"])
        every = factors @ fitted.parts(history.liked, _confidence(manifest, history))
        parts = parts_of(store, manifest, every, history, listed)
    else:
        parts = np.zeros((len(listed), 0), np.float32)
    return Explanation(
        version,
        user_id,
        manifest["lists_from"] if len(history.liked) else POPULAR,
        len(history.liked),
        tuple(
            Explained(names[movie], strongest(part, history.liked, names, pulls))
            for movie, part in zip(listed.tolist(), parts, strict=True)
        ),
    )


def manifest_of(store: ObjectStore, version: str) -> dict[str, Any]:
    """Return a model's manifest. Raises UsageError without it, or for one that is too old."""
    try:
        manifest = sealed_folder.manifest(store, functools.partial(artifact.key, version))
    except ObjectNotFoundError as exc:
        raise UsageError(
            f"there is no model {version}: the newest is {artifact.newest(store)}"
        ) from exc
    if "lists_from" not in manifest:
        raise UsageError(
            f"model {version} is from before explanations: train anew with `movierec retrain`"
        )
    return manifest


def parts_of(
    store: ObjectStore,
    manifest: Mapping[str, Any],
    every: Float32,
    history: History,
    listed: Array,
    *,
    items_share: float | None = None,
) -> Float32:
    """Return what each liked movie adds to the score of each listed one, (list, liked).

    `every` is what each adds to all movies by factors, (n_movies, liked), perhaps with a prior's
    part as the last column, which the result then has too. `items_share` is that of item-to-item
    weights in a blend, by default the model's.
    """
    by_factors = _Source(every.sum(axis=1), every[listed])
    if manifest["lists_from"] != BLEND:
        return by_factors.parts
    share = 1 - manifest["blend"]["als_share"] if items_share is None else items_share
    discount = np.maximum(history.likes, 1) ** -manifest["blend"]["popularity_exponent"]
    neighbours = _neighbours(store, manifest)
    others = neighbours.weights[:, 0] > 0
    others[history.liked] = False
    found = (1 - share) * by_factors.standardised(listed, others, discount)
    second = _by_items(neighbours, manifest, history, listed).standardised(listed, others, discount)
    found[:, : len(history.liked)] += share * second
    return np.asarray(found, np.float32)


def _confidence(manifest: Mapping[str, Any], history: History) -> Array:
    return np.asarray(1 + manifest["parameters"]["alpha"] * history.strengths)


def _neighbours(store: ObjectStore, manifest: Mapping[str, Any]) -> ItemNeighbours:
    folder = functools.partial(artifact.key, manifest["model_version"])
    return ItemNeighbours.unpack(sealed_folder.load(store, folder, item_neighbours.FILES, manifest))


def _by_items(
    neighbours: ItemNeighbours, manifest: Mapping[str, Any], history: History, listed: Array
) -> _Source:
    share = manifest["item_to_item"]["strength_share"]
    strengths = 1 - share + share * history.strengths
    return _Source(
        neighbours.scores(history.liked, strengths),
        neighbours.contributions(history.liked, strengths, listed),
    )


def strongest(
    part: Float32, liked: Array, names: Sequence[str], pulls: int, total: float = 0.0
) -> tuple[Pull, ...]:
    """Return the titles that add most to a movie's score, of their own total if none is given."""
    positive = np.maximum(part, 0)
    total = total or float(positive.sum()) or 1.0
    order = np.argsort(-positive, kind="stable")[:pulls]
    return tuple(
        Pull(names[liked[i]], float(part[i]), float(part[i]) / total)
        for i in order.tolist()
        if part[i] > 0
    )
