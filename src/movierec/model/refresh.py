"""Refresh lists between trainings: the next overlay from the one before and newer events.

Users with newer events get their lists anew, by exact fold-in with the model's movies; what they
have watched leaves their lists. What a user wrote about the own tastes is the fold-in's prior, and
alone makes the list of a user who likes nothing yet; the mean of the group is that of a user who
wrote nothing. Work grows with these users alone. Everybody else's list is the model's, or the one
of the overlay before.
"""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from movierec.errors import ArtifactError, ObjectNotFoundError
from movierec.model import artifact, overlay, ranking, recent, sealed_folder, segments
from movierec.model.artifact import TOP_K
from movierec.model.dataset import Dataset
from movierec.model.dataset_parameters import Parameters
from movierec.model.encoding import Array, dump_npy, load_npy
from movierec.model.fitted import Exclusions, Float32, top_of
from movierec.model.fold_in import FoldIn, Prior
from movierec.model.license_cost import Penalty
from movierec.model.neighbour_blend import NeighbourBlend
from movierec.model.new_places import NewMovies, Readers, placed
from movierec.model.overlay import REASONS, Overlay
from movierec.model.popularity import Popularity
from movierec.model.recent import Histories, Recent, histories
from movierec.model.segments import MINORS
from movierec.model.sparse_rows import SparseRows
from movierec.ports import ObjectStore

DESCRIPTION_WEIGHT: Final = 0.2
GROUP_WEIGHT: Final = 0.05
"""Weights of the priors. On the simulator's worlds the best of 0.02 to 1, or within 1% of it, after
1 to 20 events, with factors alone and in a blend."""

_FOLD_IN: Final = REASONS.index("fold_in")
_DESCRIPTION: Final = REASONS.index("description")
_GROUP: Final = REASONS.index("group")

_TEXTS_FILE: Final = "text_hashes.npy"

FILES: Final = (*overlay.FILES, *recent.FILES, _TEXTS_FILE)

_USERS_A_CHUNK: Final = 20_000

# Enough for a mean whose error is a twentieth of what users differ by.
_USERS_A_GROUP: Final = 400
# The weight of the mean of all in that of a group.
_USERS_OF_ALL: Final = 20


@dataclass(frozen=True, slots=True, eq=False)
class Base:
    """A model as a refresh needs it, and the data set that it was trained on."""

    dataset: Dataset
    parameters: Parameters
    """The data set's."""
    fold_in: FoldIn
    alpha: float
    popularity: npt.NDArray[np.float64]
    """(n_groups, n_movies), see `Popularity.by_group`."""
    blend: NeighbourBlend | None = None
    """Where the model's lists are a blend's."""
    group_means: Float32 | None = None
    """(n_groups, k), the mean factors of each group's users."""
    penalty: Penalty | None = None
    """Where the model's lists count license costs."""


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """An overlay, and what it was made from since the data set."""

    overlay: Overlay
    recent: Recent
    texts: npt.NDArray[np.uint64]
    """(n,), for each user of the overlay a hash of the description, 0: none; see `Changes`."""

    @classmethod
    def first(cls) -> "State":
        """Return the state beside a model that has no overlay yet."""
        return cls(Overlay.empty(), Recent.empty(), np.zeros(0, np.uint64))


@dataclass(frozen=True, slots=True, eq=False)
class Changes:
    """What came since the overlay before."""

    recent: Recent
    """Movies are indices into the data set's, then `movie_ids`."""
    users: Array
    """(n,) ids, ascending: those with newer events, new ones, and those of whom more is known."""
    groups: npt.NDArray[np.uint8]
    """(n,), index into segments.GROUPS."""
    movie_ids: Sequence[str]
    """All movies that came after the data set's; those of the overlay before come first."""
    runtimes_minutes: Array
    """(n_movies + len(movie_ids),); 0: unknown, estimated from the minutes of these users."""
    adult: npt.NDArray[np.bool_]
    """(n_movies + len(movie_ids),)."""
    withdrawn: frozenset[str]
    described: Float32 | None = None
    """(n, k), what each wrote as factors, zeros: nothing that says anything; None: nobody did."""
    texts: npt.NDArray[np.uint64] | None = None
    """(n,), a hash of what each wrote, by which a later refresh sees that it is another."""
    new: NewMovies | None = None
    """Movies that may enter these users' lists, among `movie_ids`."""


def group_means(dataset: Dataset, fold_in: FoldIn, alpha: float) -> Float32:
    """Return the mean factors of each group's users, (n_groups, k), from some of each.

    A small group's is near that of all.
    """
    groups = segments.groups_of(dataset.user_ids, dataset.user_groups)
    rng = np.random.default_rng(0)
    some = np.concatenate(
        [
            rng.permutation(np.flatnonzero(groups == group))[:_USERS_A_GROUP]
            for group in range(len(segments.GROUPS))
        ]
    )
    likes = SparseRows(dataset.indptr, dataset.movies).entries(some)
    likes = likes.where(dataset.strength[likes.columns] > 0)
    rows = SparseRows(likes.indptr, dataset.movies[likes.columns])
    factors = fold_in.factors(rows, 1 + alpha * dataset.strength[likes.columns])
    everybody, counts = factors.mean(axis=0), np.bincount(groups[some], minlength=len(MINORS))
    sums = np.zeros((len(MINORS), factors.shape[1]))
    np.add.at(sums, groups[some], factors)
    found = (sums + _USERS_OF_ALL * everybody) / (counts + _USERS_OF_ALL)[:, None]
    return np.asarray(found, np.float32)


def refreshed(base: Base, before: State, changes: Changes) -> State:
    """Return the next state: `before` with the changed users' lists in place of theirs."""
    evidence = Recent.merged(before.recent, changes.recent)
    dtype = artifact.index_type(len(base.dataset.movie_ids) + len(changes.movie_ids))
    topk = np.empty((len(changes.users), TOP_K), dtype)
    reasons = np.empty(len(changes.users), np.uint8)
    for start in range(0, len(changes.users), _USERS_A_CHUNK):
        rows = slice(start, start + _USERS_A_CHUNK)
        lists, reasons[rows] = _lists(base, evidence, changes, rows)
        topk[rows] = ranking.compact(lists, lists >= 0, k=TOP_K, dtype=dtype)
    texts = np.zeros(len(changes.users), np.uint64) if changes.texts is None else changes.texts
    changed = State(Overlay(changes.users, topk, changes.groups, reasons), evidence, texts)
    state = _over(before, changed, dtype)
    movie_ids, withdrawn = tuple(changes.movie_ids), changes.withdrawn
    return replace(state, overlay=replace(state.overlay, movie_ids=movie_ids, withdrawn=withdrawn))


def _lists(
    base: Base, evidence: Recent, changes: Changes, rows: slice
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.uint8]]:
    """Return the lists of some changed users, (n, TOP_K) with -1 for none, and their reasons."""
    ids, groups, n_model = changes.users[rows], changes.groups[rows], len(base.dataset.movie_ids)
    found = histories(ids, evidence, base.dataset, base.parameters, changes.runtimes_minutes)
    # A movie that came since is ranked among new ones alone.
    exclusions = Exclusions(
        seen=found.seen.where(found.seen.columns < n_model),
        restricted=np.asarray(MINORS)[groups],
        adult=np.flatnonzero(changes.adult[:n_model]).astype(np.int32),
    )
    liked, strength = _of_model(found, n_model)
    wrote, prior = _prior(base, groups, changes.described, rows)
    factors = base.fold_in.factors(liked, 1 + base.alpha * strength, prior)
    likes = np.diff(liked.indptr) > 0
    lists, users = np.empty((len(ids), TOP_K), np.int32), np.arange(len(ids))
    own, others = users[likes | wrote], users[~(likes | wrote)]
    if base.blend:
        both = factors, base.fold_in.movies
        ranked = base.blend.top(both, liked, strength, TOP_K, exclusions, penalty=base.penalty)
        lists[own] = ranked[own]
    else:
        lists[own] = top_of(
            lambda rows: factors[rows] @ base.fold_in.movies.T,
            own,
            TOP_K,
            exclusions,
            base.penalty,
        )
    if changes.new:
        readers = Readers(ids[own], factors[own], exclusions.restricted[own], found.seen.take(own))
        lists[own] = placed(lists[own], changes.new, readers)
    lists[others] = Popularity(base.popularity, groups).top(others, TOP_K, exclusions)
    reasons = np.where(likes, _FOLD_IN, np.where(wrote, _DESCRIPTION, _GROUP))
    return lists, reasons.astype(np.uint8)


def _prior(
    base: Base, groups: Array, described: Float32 | None, rows: slice
) -> tuple[npt.NDArray[np.bool_], Prior]:
    """Return who wrote something, (n,), and that as the prior's means; of others the group's."""
    means = np.zeros((len(groups), base.fold_in.movies.shape[1]), np.float32)
    if base.group_means is not None:
        means = base.group_means[groups]
    if described is None:
        return np.zeros(len(groups), np.bool_), Prior(means, np.full(len(groups), GROUP_WEIGHT))
    wrote = described[rows].any(axis=1)
    means = np.where(wrote[:, None], described[rows], means)
    return wrote, Prior(means, np.where(wrote, DESCRIPTION_WEIGHT, GROUP_WEIGHT))


def _of_model(found: Histories, n_model: int) -> tuple[SparseRows, npt.NDArray[np.float32]]:
    liked, strength = found.liked()
    keep = liked.columns < n_model
    return liked.where(keep), strength[keep]


def _over(before: State, changed: State, dtype: np.dtype[np.uint16 | np.uint32]) -> State:
    """Return the rows of both, those of `changed` where a user is in both."""
    older, newer = before.overlay, changed.overlay
    stays = ~np.isin(older.user_ids, newer.user_ids)
    order = np.argsort(np.concatenate((older.user_ids[stays], newer.user_ids)), kind="stable")

    def joined(first: Array, second: Array) -> Array:
        found: Array = np.concatenate((first[stays], second))[order]
        return found

    lists = Overlay(
        joined(older.user_ids, newer.user_ids),
        joined(_as_type(older.topk, dtype), newer.topk),
        joined(older.groups, newer.groups),
        joined(older.reasons, newer.reasons),
    )
    return State(lists, changed.recent, joined(before.texts, changed.texts))


def _as_type(topk: Array, dtype: np.dtype[np.uint16 | np.uint32]) -> Array:
    """Return lists in another type, whose largest value pads as well."""
    padding = topk == np.iinfo(topk.dtype).max
    found: Array = np.where(padding, np.iinfo(dtype).max, topk).astype(dtype)
    return found


def pack(state: State) -> dict[str, bytes]:
    """Return the files of an overlay that the next refresh begins with."""
    texts = {_TEXTS_FILE: dump_npy(state.texts)}
    return {**overlay.pack(state.overlay), **recent.pack(state.recent), **texts}


def unpack(files: Mapping[str, bytes], n_model_movies: int) -> State:
    """Return what `pack` wrote, for a model with so many movies. Raises ArtifactError."""
    found = overlay.unpack(files, n_model_movies)
    # Overlays of before have none.
    texts = np.zeros(len(found.user_ids), np.uint64)
    if _TEXTS_FILE in files:
        texts = load_npy(_TEXTS_FILE, files[_TEXTS_FILE])
    if texts.shape != found.user_ids.shape:
        raise ArtifactError(f"{_TEXTS_FILE} has another number of users: refresh again")
    return State(found, recent.unpack(files), texts)


def load(
    store: ObjectStore, model_version: str, n_model_movies: int
) -> tuple[int, State, Mapping[str, Any]] | None:
    """Return a model's newest overlay: its number, state and manifest; None before the first.

    Raises ArtifactError.
    """
    try:
        number = overlay.load_newest(store.get(overlay.newest_key(model_version)))
    except ObjectNotFoundError:
        return None
    key = functools.partial(overlay.key, model_version, number)
    manifest = sealed_folder.manifest(store, key)
    names = [name for name in manifest["files"] if name in FILES]
    files = sealed_folder.load(store, key, names, manifest)
    return number, unpack(files, n_model_movies), manifest
