"""Read the catalog from the lake: runtimes and adult movies, and what is said of new movies."""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from functions.refresh.newer_events import Versions
from functions.refresh.served_model import ServedModel
from movierec.lake import text_queries
from movierec.lake.ports import LakeReader
from movierec.lake.queries import NEWEST_MOVIES, columns
from movierec.lake.schema import MOVIES
from movierec.model.fitted import Float32

_MOST_NEW: Final = 2_000
"""New movies that are considered, those first that the site has named last."""

# A tenth of so many is known to a hundredth of itself.
_COMPARED: Final = 2_000


@dataclass(frozen=True, slots=True)
class Catalog:
    """Newest facts of each movie by id; without a table of movies nothing is `loaded`."""

    runtimes_minutes: Mapping[str, int]
    adult: frozenset[str]
    loaded: bool

    def is_adult(self, movie_id: str) -> bool:
        """Return whether minors are not shown a movie; one that the catalog lacks is not."""
        return self.loaded and (movie_id in self.adult or movie_id not in self.runtimes_minutes)


def read(lake: LakeReader, versions: Versions) -> Catalog:
    """Return the catalog as it is now."""
    if MOVIES.name not in versions:
        return Catalog({}, frozenset(), loaded=False)
    found = columns(lake, NEWEST_MOVIES, {MOVIES.name: versions[MOVIES.name]})
    ids = found["movie_id"].tolist()
    adult = np.flatnonzero(found["adult"]).tolist()
    return Catalog(
        dict(zip(ids, found["runtime_minutes"].tolist(), strict=True)),
        frozenset(ids[i] for i in adult),
        loaded=True,
    )


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """New movies with predicted factors, see `movierec.model.new_places.NewMovies`."""

    movie_ids: Sequence[str]
    factors: Float32
    known: Float32
    places: int


def predictor(lake: LakeReader, places: int) -> Callable[[ServedModel, Versions], Candidates]:
    """Return what finds the new movies of a model; it keeps them while the catalog is the same."""

    @functools.lru_cache(maxsize=2)
    def found(model: ServedModel, version: int | None) -> Candidates:
        none = np.zeros((0, model.base.fold_in.movies.shape[1]), np.float32)
        if model.tastes is None or version is None or not places:
            return Candidates((), none, none, 0)
        versions = {MOVIES.name: version}
        known = model.base.dataset.movie_ids
        new = _newest(lake, versions, frozenset(known))
        compared = known[:: 1 + len(known) // _COMPARED]
        said = text_queries.read_movies(lake, versions, [*new, *compared]).texts
        predicted = model.tastes.movies(said)
        predicted, others = predicted[: len(new)], predicted[len(new) :]
        # What nothing is known of is nobody's.
        useful = np.flatnonzero(predicted.any(axis=1))
        ids = tuple(new[i] for i in useful.tolist())
        return Candidates(ids, predicted[useful], others, places)

    return lambda model, versions: found(model, versions.get(MOVIES.name))


def _newest(lake: LakeReader, versions: Versions, known: frozenset[str]) -> list[str]:
    """Return the movies that a model lacks, those first that the site has named last."""
    found = columns(lake, _NEWEST, versions)["movie_id"].tolist()
    return [one for one in found if one not in known][:_MOST_NEW]


_NEWEST: Final = """
select movie_id from movies where movie_id is not null group by movie_id
order by min(loaded_at) desc, max(coalesce(release_date, '')) desc, movie_id
"""
