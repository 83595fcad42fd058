"""Find whose lists change: users with newer events, and those of whom more is known.

A description counts as text that has been read: of users in the overlay, those whose text or group
is another by now; of all others, those who are hardly known by what they like. The first refreshes
of a model look through everybody who wrote something, by ascending id and some in each
(`described_to`); later ones ask for what the site has said since.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

import numpy as np
import numpy.typing as npt

from functions.refresh import movies, people
from functions.refresh.described import Reader
from functions.refresh.newer_events import Newer, Versions
from functions.refresh.overlay_store import Stored
from functions.refresh.people import People
from functions.refresh.served_model import ServedModel
from movierec.lake import text_queries
from movierec.lake.ports import LakeReader
from movierec.lake.schema import USERS
from movierec.model.encoding import Array
from movierec.model.fitted import Float32
from movierec.model.new_places import NewMovies
from movierec.model.recent import Recent
from movierec.model.refresh import Changes
from movierec.model.user_id import rows_of

MOST_DESCRIBED: Final = 100_000
"""Users without newer events whose lists one refresh makes from what they wrote."""

FEW_LIKES: Final = 10
"""Of a user who likes so many movies in the data set, a text says little more: after 10 events it
adds 1% to NDCG@20 on the simulator's worlds, after 5 events 4%."""

# Between a row's time and its commit, and between two clocks.
_COMMITTED_WITHIN: Final = timedelta(minutes=10)

_TEXTS_AT_ONCE: Final = 5_000

_NOBODY: Final = np.zeros(0, np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """The changes, and how far those who wrote something have been looked through."""

    changes: Changes
    described_to: int | None
    """The last user's id; None: all have been."""
    waiting: npt.NDArray[np.int64]
    """Users whose text no language model has read yet, ascending."""


def is_nothing_new(
    model: ServedModel,
    before: Stored,
    newer: Newer,
    versions: Versions,
    *,
    withdrawn: frozenset[str],
    reader: Reader | None,
) -> bool:
    """Return whether no list can have changed, without reading users or catalog."""
    is_told = before.number and versions.get(USERS.name) != before.versions.get(USERS.name)
    sweeps = model.tastes is not None and before.described_to is not None
    gone = withdrawn != before.state.overlay.withdrawn
    waits = reader is not None and len(before.waiting) > 0
    return not (len(newer.users()) or is_told or sweeps or gone or waits)


def find(
    lake: LakeReader,
    versions: Versions,
    model: ServedModel,
    before: Stored,
    newer: Newer,
    *,
    withdrawn: frozenset[str],
    new_movies: Callable[[ServedModel, Versions], movies.Candidates],
    reader: Reader | None,
) -> Found:
    """Return what has changed since the overlay before."""
    known, touched = before.state.overlay, newer.users()
    told, described_to = _told(lake, versions, model, before)
    waited = reader.some_of(before.waiting) if reader else _NOBODY
    candidates = np.union1d(np.union1d(touched, told), waited)
    said, waiting = _understood(reader, model, candidates, people.read(lake, versions, candidates))
    hashes = said.hashes() if model.tastes else np.zeros(len(candidates), np.uint64)
    rows, is_known = rows_of(known.user_ids, candidates)
    differs = hashes != 0
    differs[is_known] = (said.groups[is_known] != known.groups[rows[is_known]]) | (
        hashes[is_known] != before.state.texts[rows[is_known]]
    )
    changed = np.flatnonzero(np.isin(candidates, touched) | differs)
    described = vectors(model, said, changed)
    # Of those who wrote what says nothing, the list is that of the group without an overlay.
    useful = described.any(axis=1) | is_known[changed] | np.isin(candidates[changed], touched)
    changed = changed[useful]
    catalog = movies.read(lake, versions)
    codes = {movie_id: code for code, movie_id in enumerate(model.base.dataset.movie_ids)}
    codes |= {movie_id: len(codes) + n for n, movie_id in enumerate(known.movie_ids)}
    recent = _recent(newer, codes, model)
    new = _new(new_movies(model, versions), catalog, codes, withdrawn) if model.tastes else None
    n_model = len(model.base.dataset.movie_ids)
    adult = np.array([catalog.is_adult(one) for one in codes], np.bool_)
    adult[:n_model] |= model.base.dataset.adult
    changes = Changes(
        recent=recent,
        users=candidates[changed],
        groups=said.groups[changed],
        movie_ids=tuple(codes)[n_model:],
        runtimes_minutes=np.array([catalog.runtimes_minutes.get(one, 0) for one in codes]),
        adult=adult,
        withdrawn=withdrawn,
        described=described[useful],
        texts=hashes[changed],
        new=new,
    )
    others = np.setdiff1d(before.waiting, candidates, assume_unique=True) if reader else _NOBODY
    return Found(changes, described_to, np.union1d(others, waiting))


def _understood(
    reader: Reader | None, model: ServedModel, users: Array, said: People
) -> tuple[People, Array]:
    """Return what users wrote as a language model has read it, and the users who wait for that.

    The texts of those who are known well are left as they are: they say little more.
    """
    if reader is None or model.tastes is None:
        return said, _NOBODY
    written = dict(zip(users.tolist(), said.descriptions, strict=True))
    few = users[model.likes_of(users) < FEW_LIKES].tolist()
    found = reader.understood({user: written[user] for user in few})
    read = (written | dict(found.descriptions)).values()
    return replace(said, descriptions=tuple(read)), np.array(sorted(found.waiting), np.int64)


def _told(
    lake: LakeReader, versions: Versions, model: ServedModel, before: Stored
) -> tuple[Array, int | None]:
    """Return users of whom more may be known by now, and how far those who wrote are swept."""
    known, described_to = before.state.overlay.user_ids, before.described_to
    told = _NOBODY
    if before.created_at and versions.get(USERS.name) != before.versions.get(USERS.name):
        told = people.told_since(lake, versions, before.created_at - _COMMITTED_WITHIN)
    if model.tastes is None:
        return np.intersect1d(told, known), described_to
    others = np.setdiff1d(told, known, assume_unique=True)
    others = others[model.likes_of(others) < FEW_LIKES]
    if len(others) > MOST_DESCRIBED:
        others, described_to = _NOBODY, -1
    told = np.union1d(np.intersect1d(told, known), others)
    if described_to is None:
        return told, None
    wrote = text_queries.read_described_users(lake, versions)
    wrote = np.setdiff1d(wrote[wrote > described_to], known, assume_unique=True)
    wrote = wrote[model.likes_of(wrote) < FEW_LIKES]
    described_to = int(wrote[MOST_DESCRIBED - 1]) if len(wrote) > MOST_DESCRIBED else None
    return np.union1d(told, wrote[:MOST_DESCRIBED]), described_to


def vectors(model: ServedModel, said: People, rows: Array) -> Float32:
    """Return what some users wrote as factors, (len(rows), k), zeros: nothing is understood."""
    found = np.zeros((len(rows), model.base.fold_in.movies.shape[1]), np.float32)
    if model.tastes is None:
        return found
    wrote = np.array([bool(said.descriptions[row]) for row in rows.tolist()], np.bool_)
    places = np.flatnonzero(wrote)
    for start in range(0, len(places), _TEXTS_AT_ONCE):
        part = places[start : start + _TEXTS_AT_ONCE]
        said_there = [said.descriptions[row] for row in rows[part].tolist()]
        found[part] = model.tastes.users(said_there, said.groups[rows[part]])
    return found


def _new(
    candidates: movies.Candidates,
    catalog: movies.Catalog,
    codes: dict[str, int],
    withdrawn: frozenset[str],
) -> NewMovies | None:
    """Return the new movies that may be shown; each is added to `codes`."""
    keep = [i for i, one in enumerate(candidates.movie_ids) if one not in withdrawn]
    if not keep or not candidates.places:
        return None
    ids = [candidates.movie_ids[i] for i in keep]
    return NewMovies(
        movies=_codes(ids, codes),
        factors=candidates.factors[keep],
        known=candidates.known,
        adult=np.array([catalog.is_adult(one) for one in ids], np.bool_),
        places=candidates.places,
    )


def _recent(newer: Newer, codes: dict[str, int], model: ServedModel) -> Recent:
    """Return the events as evidence; movies that came since get the next codes."""
    watched, rated = newer.watched, newer.rated
    scale = model.base.parameters.scale
    return Recent.merged(
        Recent(
            watched.users,
            _codes(watched.movie_ids.tolist(), codes),
            watched.minutes,
            np.zeros(len(watched.users)),
            watched.last_at,
        ),
        Recent(
            rated.users,
            _codes(rated.movie_ids.tolist(), codes),
            np.full(len(rated.users), -1),
            np.minimum(scale.native(rated.ratings), np.iinfo(np.int8).max),
            rated.last_at,
        ),
    )


def _codes(movie_ids: Sequence[str], codes: dict[str, int]) -> Array:
    """Return each movie's code; a new one is added to `codes`."""
    return np.array([codes.setdefault(one, len(codes)) for one in movie_ids], np.int32)
