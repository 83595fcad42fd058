"""Refresh lists between trainings: the next overlay from the one before and newer events.

Users with newer events get their lists anew, by exact fold-in with the model's movies; what they
have watched leaves their lists. Work grows with these users alone. Everybody else's list is the
model's, or the one of the overlay before.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from movierec.model import artifact, ranking
from movierec.model.artifact import TOP_K
from movierec.model.dataset import Dataset
from movierec.model.dataset_parameters import Parameters
from movierec.model.encoding import Array
from movierec.model.fitted import Exclusions, top_of
from movierec.model.fold_in import FoldIn
from movierec.model.neighbour_blend import NeighbourBlend
from movierec.model.overlay import REASONS, Overlay
from movierec.model.popularity import Popularity
from movierec.model.recent import Histories, Recent, histories
from movierec.model.segments import MINORS
from movierec.model.sparse_rows import SparseRows

_FOLD_IN: Final = REASONS.index("fold_in")
_GROUP: Final = REASONS.index("group")


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


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """An overlay, and the evidence since the data set that it was made from."""

    overlay: Overlay
    recent: Recent

    @classmethod
    def first(cls) -> "State":
        """Return the state beside a model that has no overlay yet."""
        return cls(Overlay.empty(), Recent.empty())


@dataclass(frozen=True, slots=True, eq=False)
class Changes:
    """What came since the overlay before."""

    recent: Recent
    """Movies are indices into the data set's, then `movie_ids`."""
    users: Array
    """(n,) ids, ascending: those with newer events, and new users without any."""
    groups: npt.NDArray[np.uint8]
    """(n,), index into segments.GROUPS."""
    movie_ids: Sequence[str]
    """All movies that came after the data set's; those of the overlay before come first."""
    runtimes_minutes: Array
    """(n_movies + len(movie_ids),); 0: unknown, estimated from the minutes of these users."""
    adult: npt.NDArray[np.bool_]
    """(n_movies + len(movie_ids),)."""
    withdrawn: frozenset[str]


def refreshed(base: Base, before: State, changes: Changes) -> State:
    """Return the next state: `before` with the changed users' lists in place of theirs."""
    recent = Recent.merged(before.recent, changes.recent)
    found = histories(
        changes.users, recent, base.dataset, base.parameters, changes.runtimes_minutes
    )
    lists, reasons = _lists(base, found, changes)
    dtype = artifact.index_type(len(base.dataset.movie_ids) + len(changes.movie_ids))
    changed = Overlay(
        user_ids=changes.users,
        topk=ranking.compact(lists, lists >= 0, k=TOP_K, dtype=dtype),
        groups=changes.groups,
        reasons=reasons,
    )
    overlay = _over(before.overlay, changed, dtype)
    newest = replace(overlay, movie_ids=tuple(changes.movie_ids), withdrawn=changes.withdrawn)
    return State(newest, recent)


def _lists(
    base: Base, found: Histories, changes: Changes
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.uint8]]:
    """Return each changed user's list, (n, TOP_K) with -1 for none, and its reason."""
    n_model, users = len(base.dataset.movie_ids), np.arange(len(changes.users))
    # A movie without factors cannot be ranked yet, and is in no list.
    within = found.seen.where(found.seen.columns < n_model)
    exclusions = Exclusions(
        seen=within,
        restricted=np.asarray(MINORS)[changes.groups],
        adult=np.flatnonzero(changes.adult[:n_model]).astype(np.int32),
    )
    liked, strength = _of_model(found, n_model)
    factors = base.fold_in.factors(liked, 1 + base.alpha * strength)
    likes = np.diff(liked.indptr) > 0
    lists = np.empty((len(users), TOP_K), np.int32)
    folded, others = users[likes], users[~likes]
    if base.blend:
        both = factors, base.fold_in.movies
        lists[folded] = base.blend.top(both, liked, strength, TOP_K, exclusions)[folded]
    else:
        lists[folded] = top_of(
            lambda rows: factors[rows] @ base.fold_in.movies.T, folded, TOP_K, exclusions
        )
    popularity = Popularity(base.popularity, changes.groups)
    lists[others] = popularity.top(others, TOP_K, exclusions)
    return lists, np.where(likes, _FOLD_IN, _GROUP).astype(np.uint8)


def _of_model(found: Histories, n_model: int) -> tuple[SparseRows, npt.NDArray[np.float32]]:
    liked, strength = found.liked()
    keep = liked.columns < n_model
    return liked.where(keep), strength[keep]


def _over(before: Overlay, changed: Overlay, dtype: np.dtype[np.uint16 | np.uint32]) -> Overlay:
    """Return the rows of both, those of `changed` where a user is in both."""
    stays = ~np.isin(before.user_ids, changed.user_ids)
    user_ids = np.concatenate((before.user_ids[stays], changed.user_ids))
    order = np.argsort(user_ids, kind="stable")
    topk = _as_type(before.topk[stays], dtype)
    return Overlay(
        user_ids[order],
        np.concatenate((topk, changed.topk))[order],
        np.concatenate((before.groups[stays], changed.groups))[order],
        np.concatenate((before.reasons[stays], changed.reasons))[order],
    )


def _as_type(topk: Array, dtype: np.dtype[np.uint16 | np.uint32]) -> Array:
    """Return lists in another type, whose largest value pads as well."""
    padding = topk == np.iinfo(topk.dtype).max
    found: Array = np.where(padding, np.iinfo(dtype).max, topk).astype(dtype)
    return found
