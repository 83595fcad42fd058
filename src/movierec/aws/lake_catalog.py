"""The site's catalog of movies and users in the lake: read it, find gaps, append to it."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from movierec.aws.delta_lake import DeltaLake
from movierec.errors import TableNotFoundError
from movierec.lake.catalog import LONGEST_MOVIE_ID
from movierec.lake.log_lines import Catalog
from movierec.lake.schema import EVENTS, MOVIES, USERS, Columns

log = logging.getLogger(__name__)

# The newest row of a movie counts: loading the catalog again only appends.
_RUNTIMES: Final = """
select movie_id, last_value(runtime_minutes order by loaded_at) as runtime_minutes
from movies group by movie_id
"""

_TITLES: Final = """
select movie_id, last_value(title order by loaded_at) as title from movies group by movie_id
"""

_SEEN_MOVIES: Final = f"""
select distinct movie_id from events where length(movie_id) <= {LONGEST_MOVIE_ID}
"""  # noqa: S608  a number
_SEEN_USERS: Final = "select distinct user_id from events"


@dataclass(frozen=True, slots=True)
class Missing:
    """Ids in events that the catalog lacks, sorted."""

    movies: list[str]
    users: list[str]


class LakeCatalog:
    """The lake's present catalog; read again only when the table has a new version."""

    def __init__(self, lake: DeltaLake) -> None:
        self._lake = lake
        self._version: int | None = None
        self._catalog: Catalog | None = None

    def __call__(self) -> Catalog | None:
        """Return the catalog, None if it was never loaded."""
        try:
            version = self._lake.version(MOVIES.name)
        except TableNotFoundError:
            return None
        if version != self._version:
            self._catalog = self._read(version)
            self._version = version
            log.info(
                "catalog_read",
                extra={"version": version, "movies": len(self._catalog.runtime_minutes)},
            )
        return self._catalog

    def _read(self, version: int) -> Catalog:
        rows = self._lake.query(_RUNTIMES, {MOVIES.name: version})
        ids = rows.column("movie_id").to_pylist()
        runtimes = rows.column("runtime_minutes").to_pylist()
        return Catalog({i: runtime or 0 for i, runtime in zip(ids, runtimes, strict=True)})


def titles(lake: DeltaLake, movie_ids: Sequence[str]) -> dict[str, str]:
    """Return the titles of those of these movies that the catalog names."""
    try:
        rows = lake.query(_TITLES, {MOVIES.name: None})
    except TableNotFoundError:
        return {}
    wanted = set(movie_ids)
    pairs = zip(rows.column("movie_id").to_pylist(), rows.column("title").to_pylist(), strict=True)
    return {movie_id: title for movie_id, title in pairs if movie_id in wanted and title}


def missing(lake: DeltaLake) -> Missing:
    """Return the ids to request from the site. Raises TableNotFoundError without events."""
    events = {EVENTS.name: lake.version(EVENTS.name)}
    movies = set(lake.query(_SEEN_MOVIES, events).column("movie_id").to_pylist())
    users = set(lake.query(_SEEN_USERS, events).column("user_id").to_pylist())
    movies -= _ids(lake, MOVIES.name, "movie_id")
    users -= _ids(lake, USERS.name, "user_id")
    return Missing(sorted(movies), [str(user) for user in sorted(users)])


def _ids(lake: DeltaLake, table: str, column: str) -> set[Any]:
    try:
        rows = lake.query(f"select distinct {column} from {table}", {table: None})  # noqa: S608  our own names
    except TableNotFoundError:
        return set()
    return set(rows.column(column).to_pylist())


def store(lake: DeltaLake, movies: Sequence[Columns], users: Sequence[Columns]) -> None:
    """Append loaded rows; a table without any gets no commit."""
    for table, batches in ((MOVIES, movies), (USERS, users)):
        if batches:
            lake.append(table.name, batches, transactions={})
