"""Turn the site's answers about movies and users into rows of the lake's tables.

The site's APIs answer one JSON object a movie or user; its exports hold one a line. Parsing is
total: an object becomes a row, with what it has, or is rejected for a named reason. Only an
object without an id is; a field that is missing or of another type is unknown.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

import numpy as np

from movierec.lake import catalog_fields
from movierec.lake.catalog_fields import Fields
from movierec.lake.schema import (
    ADULT_UNKNOWN,
    AGE_UNKNOWN,
    MOVIES,
    RUNTIME_UNKNOWN,
    USERS,
    Columns,
    Table,
)
from movierec.model.segments import LARGEST_AGE
from movierec.model.user_id import LARGEST_USER_ID


class Reason(StrEnum):
    """Why an answer is rejected."""

    NOT_JSON = "not_json"
    NOT_AN_OBJECT = "not_an_object"
    NOT_FOUND = "not_found"
    BAD_ID = "bad_id"
    REPEATED = "repeated"


@dataclass(frozen=True, slots=True)
class Loaded:
    """Rows of one table, and the reason of every rejected line by its index."""

    columns: Columns
    rejected: Mapping[int, Reason]

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.columns["loaded_at"])


# Far above any film, and within the column's type.
_MAX_RUNTIME_MINUTES: Final = 100_000

LONGEST_MOVIE_ID: Final = 1000
"""In characters: the longest titles have 200, and an id must fit a request's first line."""

_COUNT: Final = catalog_fields.whole(0, 2**63 - 1)
_RUNTIME: Final = catalog_fields.whole(0, _MAX_RUNTIME_MINUTES)
_USER_ID: Final = catalog_fields.whole(1, LARGEST_USER_ID)
_AGE: Final = catalog_fields.whole(0, LARGEST_AGE)

Line = bytes | str | Mapping[str, Any]
"""JSON text, or its object."""

_Row = tuple[Any, ...]


class _RejectedError(Exception):
    """Carries a reason out of the checks of one object."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason = reason


def parse_movies(lines: Iterable[Line], loaded_at: datetime) -> Loaded:
    """Return the rows of table `movies` in JSON lines.

    `loaded_at` is aware; it marks the load that rows belong to.
    """
    return _parse(MOVIES, lines, _movie, loaded_at)


def parse_users(lines: Iterable[Line], loaded_at: datetime) -> Loaded:
    """Return the rows of table `users` in JSON lines. `loaded_at` is aware."""
    return _parse(USERS, lines, _user, loaded_at)


def _parse(
    table: Table,
    lines: Iterable[Line],
    read: Callable[[Mapping[str, Any]], _Row],
    loaded_at: datetime,
) -> Loaded:
    """Return a row for each good line, first field the id; an id's second row is rejected."""
    rows: list[_Row] = []
    rejected: dict[int, Reason] = {}
    seen = set()
    for i, line in enumerate(lines):
        try:
            row = read(_object(line))
        except _RejectedError as exc:
            rejected[i] = exc.reason
            continue
        if row[0] in seen:
            rejected[i] = Reason.REPEATED
            continue
        seen.add(row[0])
        rows.append(row)
    return Loaded(_columns(table, rows, loaded_at), rejected)


def _columns(table: Table, rows: Sequence[_Row], loaded_at: datetime) -> Columns:
    names = [name for name in table.columns if name != "loaded_at"]
    columns: dict[str, Any] = {name: [row[i] for row in rows] for i, name in enumerate(names)}
    micros = int(loaded_at.timestamp() * 1_000_000)
    columns["loaded_at"] = np.full(len(rows), micros, np.int64).astype("datetime64[us]")
    return {name: columns[name] for name in table.columns}


def _object(line: Line) -> Mapping[str, Any]:
    try:
        found = line if isinstance(line, Mapping) else catalog_fields.decode(line)
    except ValueError as exc:
        raise _RejectedError(Reason.NOT_JSON) from exc
    if not isinstance(found, Mapping):
        raise _RejectedError(Reason.NOT_AN_OBJECT)
    if says_not_found(found):
        raise _RejectedError(Reason.NOT_FOUND)
    return found


def says_not_found(found: Mapping[str, Any]) -> bool:
    """Return whether an object is the site's answer for an id that it does not know."""
    said = (str(found.get(name, "")) for name in ("message", "error", "detail"))
    return any(text.lower().rstrip(". ").endswith("not found") for text in said)


def _movie(found: Mapping[str, Any]) -> _Row:
    fields = Fields(found)
    adult = fields.take("adult", catalog_fields.adult)
    return (
        _known(fields.take("id", _movie_id)),
        fields.take("title", catalog_fields.text),
        fields.take("runtime", _RUNTIME) or RUNTIME_UNKNOWN,
        ADULT_UNKNOWN if adult is None else adult,
        fields.take("genres", catalog_fields.names) or [],
        fields.take("release_date", catalog_fields.release_date),
        fields.take_cost(),
        fields.take("imdb_id", catalog_fields.text),
        fields.take("tmdb_id", _COUNT),
        fields.take("vote_average", catalog_fields.decimal),
        fields.take("vote_count", _COUNT),
        fields.take("popularity", catalog_fields.decimal),
        fields.take("original_language", catalog_fields.text),
        fields.take("spoken_languages", catalog_fields.languages) or [],
        fields.take("keywords", catalog_fields.names) or [],
        fields.take("overview", catalog_fields.text),
        fields.rest(),
    )


def _user(found: Mapping[str, Any]) -> _Row:
    fields = Fields(found)
    age = fields.take("age", _AGE)
    return (
        _known(fields.take("user_id", _USER_ID)),
        AGE_UNKNOWN if age is None else age,
        fields.take("gender", catalog_fields.gender) or "",
        fields.take("occupation", catalog_fields.text),
        fields.take("self_description_likes", catalog_fields.text),
        fields.take("self_description_dislikes", catalog_fields.text),
        fields.rest(),
    )


def _known[T](found: T | None) -> T:
    if found is None:
        raise _RejectedError(Reason.BAD_ID)
    return found


def _movie_id(value: Any) -> str | None:  # noqa: ANN401  any JSON value
    """Return an id that fits a log line: printable ASCII without blank , / =."""
    if not isinstance(value, str) or not 0 < len(value) <= LONGEST_MOVIE_ID:
        return None
    fits = all("!" <= c <= "~" for c in value) and set(",/=").isdisjoint(value)
    return value if fits else None
