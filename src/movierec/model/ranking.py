"""Recommend movies from a model artifact, and rank the lists that go into one.

`Recommender` reads memory-mapped files: opening one takes milliseconds whatever the number of
users, an answer a few microseconds. `top_k`, `compact` and `popular_lists` are steps of building
an artifact.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, Self

import numpy as np
import numpy.typing as npt

from movierec.errors import ArtifactError
from movierec.model import artifact, encoding, sealed_folder
from movierec.model.artifact import Popular
from movierec.model.encoding import Array
from movierec.model.overlay import REASONS, Overlay, Reason
from movierec.model.user_id import row_of

Source = Literal["model", "popular"]

LIST_LENGTH: Final = 20
"""Movies in an answer, as the site shows them; an artifact holds TOP_K a user."""

KIDS: Final = "kids"

_NO_OVERLAY: Final = Overlay.empty()


@dataclass(frozen=True, slots=True)
class Ranked:
    """Distinct movie ids, best first, and where they come from.

    `known_user`: the model was trained with this user. `popular_group`: the group whose popular
    list it is, KIDS for the list without adult movies. `reason`: what an overlay made the list
    from. `new`: the places, from 0, of movies that came after the model. None of them makes two
    lists differ.
    """

    movie_ids: tuple[str, ...]
    source: Source
    known_user: bool = field(default=False, compare=False)
    popular_group: str | None = field(default=None, compare=False)
    reason: Reason | None = field(default=None, compare=False)
    new: tuple[int, ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True, eq=False)
class Recommender:
    """Answers from one model artifact. Made by `open` or `of`; safe to share between threads."""

    manifest: Mapping[str, Any]
    movie_ids: Sequence[str]
    groups: Sequence[str]
    popular_by_group: Sequence[tuple[str, ...]]
    kids: tuple[str, ...]
    user_ids: npt.NDArray[np.int64]
    user_groups: npt.NDArray[np.uint8]
    topk: npt.NDArray[Any]
    costs_usd: Mapping[str, float] = field(default_factory=dict)
    """Of a play, by movie id; empty for a model without costs."""
    median_usd: float = 0.0

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Map the files of `artifact.SERVING_FILES` in `folder`, without verifying checksums.

        Raises ArtifactError when a file is missing or they do not fit together.
        """
        there = (name for name in artifact.OPTIONAL_SERVING_FILES if (folder / name).is_file())
        names = (*artifact.SERVING_FILES, *there)
        return cls.of(
            {name: _read(folder / name) for name in names if not name.endswith(".npy")},
            {name: _map(folder / name) for name in names if name.endswith(".npy")},
        )

    @classmethod
    def of(cls, documents: Mapping[str, bytes], arrays: Mapping[str, npt.NDArray[Any]]) -> Self:
        """Build a recommender from the JSON files and arrays of `artifact.SERVING_FILES`, by name.

        Those of `artifact.OPTIONAL_SERVING_FILES` may be among them.
        Raises ArtifactError when they do not fit together.
        """
        manifest = sealed_folder.open_manifest(documents[sealed_folder.MANIFEST_FILE])
        popular = artifact.load_popular(documents[artifact.POPULAR_FILE])
        groups = _groups(manifest)
        user_ids, topk = arrays[artifact.USER_IDS_FILE], arrays[artifact.TOPK_FILE]
        if len(topk) != len(user_ids):
            raise ArtifactError(
                f"{artifact.TOPK_FILE} has {len(topk)} rows for the {len(user_ids)} users of"
                f" {artifact.USER_IDS_FILE}: they are of different versions, fetch them again"
            )
        movie_ids = _movie_ids(documents[artifact.MOVIE_IDS_FILE])
        costs = arrays.get(artifact.COSTS_FILE)
        return cls(
            manifest=manifest,
            movie_ids=movie_ids,
            groups=groups,
            popular_by_group=[popular.groups.get(group, ()) for group in groups],
            kids=popular.kids,
            user_ids=user_ids,
            user_groups=arrays[artifact.USER_GROUPS_FILE],
            topk=topk,
            **({} if costs is None else _costs(movie_ids, costs)),
        )

    def cost_of(self, movie_ids: Sequence[str]) -> float | None:
        """Return the mean cost of some movies, USD a play, the median for one that came later.

        None for a model without costs, and without movies.
        """
        if not self.costs_usd or not movie_ids:
            return None
        found = [self.costs_usd.get(one, self.median_usd) for one in movie_ids]
        return sum(found) / len(found)

    def recommend(
        self, user_id: int, count: int = LIST_LENGTH, overlay: Overlay = _NO_OVERLAY
    ) -> Ranked:
        """Return up to `count` movies for a user, `source` "model" if they are the user's own.

        A list in the overlay takes the place of the model's, and withdrawn titles are left out.

        Any integer is a user id: an unknown one gets the popular list of the user's group, and
        the list without adult movies if no age is known.

        A known user's list is shorter than `count` (TOP_K at most) when fewer movies are left,
        and is not filled up: any other movie that may be shown has been watched. When no movie is
        left, the user gets the group's popular list, although it is watched: a poor
        recommendation over none.
        """
        row, newer = row_of(self.user_ids, user_id), overlay.row_of(user_id)
        known, withdrawn = row is not None, overlay.withdrawn
        if newer is not None:
            reason = REASONS[overlay.reasons[newer]]
            movie_ids = self._names(overlay.topk[newer], count, overlay)
        else:
            reason = None
            movie_ids = () if row is None else self._names(self.topk[row], count, overlay)
        if movie_ids:
            source: Source = "popular" if reason == "group" else "model"
            new = () if newer is None else self._places(movie_ids, overlay.topk[newer], overlay)
            return Ranked(movie_ids, source, known, reason=reason, new=new)
        group = self._group_of(user_id) if newer is None else int(overlay.groups[newer])
        name, popular = self._popular_for(group)
        return Ranked(_without(popular, withdrawn, count), "popular", known, name, reason)

    def popular(self, count: int = LIST_LENGTH, overlay: Overlay = _NO_OVERLAY) -> Ranked:
        """Return popular movies without adult ones, fit for minors, nor withdrawn ones."""
        movie_ids = _without(self.kids, overlay.withdrawn, count)
        return Ranked(movie_ids, "popular", popular_group=KIDS)

    def _names(self, indices: Array, count: int, overlay: Overlay) -> tuple[str, ...]:
        # Padding is the type's largest value, never a movie's index: rows end where it starts.
        n_model, newer, withdrawn = len(self.movie_ids), overlay.movie_ids, overlay.withdrawn
        found = indices[: None if withdrawn else count].tolist()
        if newer:
            padding = n_model + len(newer)
            names = [
                self.movie_ids[i] if i < n_model else newer[i - n_model]
                for i in found
                if i < padding
            ]
        else:
            names = [self.movie_ids[i] for i in found if i < n_model]
        return _without(names, withdrawn, count)

    def _places(
        self, movie_ids: Sequence[str], indices: Array, overlay: Overlay
    ) -> tuple[int, ...]:
        """Return the places in a user's list of movies that came after the model."""
        newer = indices.astype(np.int64) - len(self.movie_ids)
        newer = newer[(newer >= 0) & (newer < len(overlay.movie_ids))]
        if not len(newer):
            return ()
        new = {overlay.movie_ids[i] for i in newer.tolist()}
        return tuple(at for at, one in enumerate(movie_ids) if one in new)

    def _group_of(self, user_id: int) -> int:
        return int(self.user_groups[user_id]) if 0 <= user_id < len(self.user_groups) else 0

    def _popular_for(self, group: int) -> tuple[str, tuple[str, ...]]:
        """Return a group's name and list; without a list the one for minors, as it may be."""
        found = self.popular_by_group[group] if group < len(self.popular_by_group) else ()
        return (self.groups[group], found) if found else (KIDS, self.kids)


def _without(movie_ids: Sequence[str], withdrawn: frozenset[str], count: int) -> tuple[str, ...]:
    kept = [one for one in movie_ids if one not in withdrawn] if withdrawn else movie_ids
    return tuple(kept[:count])


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as exc:
        raise ArtifactError(
            f"{path} cannot be read ({exc.strerror}): fetch the model again"
        ) from exc


def _movie_ids(body: bytes) -> list[str]:
    found = encoding.load_json(artifact.MOVIE_IDS_FILE, body)
    if not isinstance(found, list):
        raise ArtifactError(f"{artifact.MOVIE_IDS_FILE} holds no list: fetch the model again")
    return found


def _costs(movie_ids: Sequence[str], costs: Array) -> dict[str, Any]:
    """Return `costs_usd` and `median_usd`. Raises ArtifactError."""
    if len(costs) != len(movie_ids):
        raise ArtifactError(
            f"{artifact.COSTS_FILE} has {len(costs)} costs for the {len(movie_ids)} movies of"
            f" {artifact.MOVIE_IDS_FILE}: they are of different versions, fetch them again"
        )
    by_id = dict(zip(movie_ids, costs.tolist(), strict=True))
    return {"costs_usd": by_id, "median_usd": float(np.median(costs)) if len(costs) else 0.0}


def _map(path: Path) -> npt.NDArray[Any]:
    try:
        # Indexing a memmap is slow (it wraps every result); indexing a plain view is not.
        return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
    except (OSError, ValueError) as exc:
        raise ArtifactError(f"{path} cannot be mapped ({exc}): fetch the model again") from exc


def _groups(manifest: Mapping[str, Any]) -> Sequence[str]:
    groups = manifest.get("groups")
    if not isinstance(groups, list):
        raise ArtifactError(f"{sealed_folder.MANIFEST_FILE} lists no groups: train anew")
    return groups


# Making an artifact ---------------------------------------------------------------------------

# Weight of the overall distribution in a group's counts (a Dirichlet prior): enough to order the
# list of a group of three people, too little to show in one of thousands.
PRIOR_INTERACTIONS = 100.0


def top_k(scores: npt.NDArray[Any], k: int) -> npt.NDArray[np.int64]:
    """Return the indices of the `k` largest scores, best first; of equals, the lower index first.

    `scores` is (n,); the result is (min(k, n),). It sorts all n, which are a catalog's movies.
    """
    return np.argsort(-scores, kind="stable")[:k]


def compact(
    indices: npt.NDArray[Any], keep: npt.NDArray[np.bool_], *, k: int, dtype: np.dtype[Any]
) -> npt.NDArray[Any]:
    """Return the first `k` of each row's kept indices, in their order, padded with the largest.

    `indices` and `keep` are (n, m); the result is (n, k) of `dtype`.
    """
    order = np.argsort(~keep, axis=1, kind="stable")[:, :k]
    kept = np.take_along_axis(keep, order, axis=1)
    rows = np.full((len(indices), k), np.iinfo(dtype).max, dtype)
    rows[:, : order.shape[1]][kept] = np.take_along_axis(indices, order, axis=1)[kept]
    return rows


def mixed(counts: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Return each group's counts plus PRIOR_INTERACTIONS of the overall ones, (n_groups, m)."""
    total = counts.sum(axis=0, dtype=np.float64)
    return np.asarray(counts + PRIOR_INTERACTIONS * total / max(total.sum(), 1.0))


@dataclass(frozen=True, slots=True, eq=False)
class PopularIndices:
    """`Popular` as indices: overall, without adult movies, and a list a group."""

    overall: npt.NDArray[np.int64]
    kids: npt.NDArray[np.int64]
    groups: Sequence[npt.NDArray[np.int64]]


def popular_lists(
    counts: npt.NDArray[Any], *, adult: npt.NDArray[np.bool_], minors: npt.NDArray[np.bool_]
) -> PopularIndices:
    """Return the most popular movies of all and of each group, best first, TOP_K at most.

    `counts` is (n_groups, n_movies), positive interactions; `adult` is (n_movies,); `minors` is
    (n_groups,), true where a list must hold no adult movie. Groups are ranked by `mixed` counts.
    """
    total = counts.sum(axis=0, dtype=np.float64)
    for_all, for_kids = np.arange(len(total)), np.flatnonzero(~adult)

    def ranked(scores: npt.NDArray[Any], among: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        return among[top_k(scores[among], artifact.TOP_K)]

    return PopularIndices(
        overall=ranked(total, for_all),
        kids=ranked(total, for_kids),
        groups=[
            ranked(scores, for_kids if minor else for_all)
            for scores, minor in zip(mixed(counts), minors, strict=True)
        ],
    )


def name_lists(
    lists: PopularIndices, *, movie_ids: Sequence[str], groups: Sequence[str]
) -> Popular:
    """Return the lists with movie ids in place of indices and groups by name."""

    def names(indices: npt.NDArray[np.int64]) -> tuple[str, ...]:
        return tuple(movie_ids[i] for i in indices.tolist())

    by_name = {g: names(found) for g, found in zip(groups, lists.groups, strict=True)}
    return Popular(names(lists.overall), names(lists.kids), by_name)
