"""Parse the site's answers about movies and users into rows of the lake's tables.

The site's APIs answer one JSON object a movie or user; its exports hold one a line. Parsing is
total: an object becomes a row or is rejected for a named reason; it never guesses or raises.
The site writes a missing value as the text "null"; `adult` is the text "True" or "False".
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any, Final

import numpy as np

from movierec.lake.schema import ADULT_UNKNOWN, Columns
from movierec.model.segments import LARGEST_AGE
from movierec.model.user_id import LARGEST_USER_ID


class Reason(StrEnum):
    """Why an answer is rejected."""

    NOT_JSON = "not_json"
    NOT_AN_OBJECT = "not_an_object"
    NOT_FOUND = "not_found"
    BAD_ID = "bad_id"
    BAD_TITLE = "bad_title"
    BAD_RUNTIME = "bad_runtime"
    BAD_ADULT = "bad_adult"
    BAD_GENRES = "bad_genres"
    BAD_RELEASE_DATE = "bad_release_date"
    BAD_AGE = "bad_age"
    BAD_OCCUPATION = "bad_occupation"
    REPEATED = "repeated"


@dataclass(frozen=True, slots=True)
class Loaded:
    """Rows of one table, and the reason of every rejected line by its index."""

    columns: Columns
    rejected: Mapping[int, Reason]

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.columns["loaded_at"])


MISSING: Final = "null"

# Far above any film, and within the column's type.
_MAX_RUNTIME_MINUTES: Final = 100_000

# int() of a text of thousands of digits is slow, and an error.
_FEW_DIGITS: Final = re.compile(r"[0-9]{1,19}")

_ADULT: Final = {"True": 1, "False": 0, MISSING: ADULT_UNKNOWN, True: 1, False: 0}


class _RejectedError(Exception):
    """Carries a reason out of the checks of one object."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason = reason


_Object = Mapping[str, Any]
_Row = tuple[Any, ...]


def parse_movies(lines: Iterable[bytes | str], loaded_at: datetime) -> Loaded:
    """Return the rows of table `movies` in JSON lines.

    `loaded_at` is aware; it marks the load that rows belong to.
    """
    rows, rejected = _parse(lines, _movie)
    ids, titles, runtimes, adults, genres, dates = _columns(rows, 6)
    return Loaded(
        {
            "movie_id": ids,
            "title": titles,
            "runtime_minutes": np.array(runtimes, np.int32),
            "adult": np.array(adults, np.int16),
            "genres": genres,
            "release_date": dates,
            "loaded_at": _times(loaded_at, len(rows)),
        },
        rejected,
    )


def parse_users(lines: Iterable[bytes | str], loaded_at: datetime) -> Loaded:
    """Return the rows of table `users` in JSON lines. `loaded_at` is aware."""
    rows, rejected = _parse(lines, _user)
    ids, ages, genders, occupations = _columns(rows, 4)
    return Loaded(
        {
            "user_id": np.array(ids, np.int64),
            "age": np.array(ages, np.int16),
            "gender": genders,
            "occupation": occupations,
            "loaded_at": _times(loaded_at, len(rows)),
        },
        rejected,
    )


def _parse(
    lines: Iterable[bytes | str], read: Callable[[_Object], _Row]
) -> tuple[list[_Row], dict[int, Reason]]:
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
    return rows, rejected


def _columns(rows: Sequence[_Row], width: int) -> tuple[list[Any], ...]:
    return tuple([row[i] for row in rows] for i in range(width))


def _times(at: datetime, count: int) -> Any:  # noqa: ANN401  datetime64[us] (count,)
    micros = int(at.timestamp() * 1_000_000)
    return np.full(count, micros, np.int64).astype("datetime64[us]")


def _object(line: bytes | str) -> _Object:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError) as exc:
        raise _RejectedError(Reason.NOT_JSON) from exc
    if not isinstance(found, dict):
        raise _RejectedError(Reason.NOT_AN_OBJECT)
    if str(found.get("message", "")).endswith(" not found"):
        raise _RejectedError(Reason.NOT_FOUND)
    return found


def _movie(found: _Object) -> _Row:
    return (
        _movie_id(found.get("id")),
        _text(found.get("title"), Reason.BAD_TITLE),
        _whole(found.get("runtime"), 0, _MAX_RUNTIME_MINUTES, Reason.BAD_RUNTIME),
        _adult(found.get("adult", MISSING)),
        _genres(found.get("genres", [])),
        _release_date(found.get("release_date", MISSING)),
    )


def _user(found: _Object) -> _Row:
    return (
        _whole(found.get("user_id"), 1, LARGEST_USER_ID, Reason.BAD_ID),
        _whole(found.get("age"), 0, LARGEST_AGE, Reason.BAD_AGE),
        _gender(found.get("gender")),
        _text(found.get("occupation"), Reason.BAD_OCCUPATION),
    )


def _movie_id(value: Any) -> str:  # noqa: ANN401  any JSON value
    """Return an id that fits a log line: printable ASCII without blank , / =."""
    text = _text(value, Reason.BAD_ID)
    if not all("!" <= c <= "~" for c in text) or not set(",/=").isdisjoint(text):
        raise _RejectedError(Reason.BAD_ID)
    return text


def _text(value: Any, reason: Reason) -> str:  # noqa: ANN401  any JSON value
    """Return a text that is not empty and that Arrow can hold."""
    if not isinstance(value, str) or not value or _has_surrogates(value):
        raise _RejectedError(reason)
    return value


def _has_surrogates(text: str) -> bool:
    return any("\ud800" <= c <= "\udfff" for c in text)


def _whole(value: Any, least: int, most: int, reason: Reason) -> int:  # noqa: ANN401  any JSON
    """Return a whole number in a range; some dumps write one as text or with a fraction of 0."""
    if isinstance(value, str) and _FEW_DIGITS.fullmatch(value):
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise _RejectedError(reason)
    return value


def _gender(value: Any) -> str:  # noqa: ANN401  any JSON value
    """Return the site's text, empty where it is missing or cannot be stored.

    Never a reason to reject: the user's age would be lost too, and an adult treated as a minor.
    """
    if not isinstance(value, str) or value == MISSING or _has_surrogates(value):
        return ""
    return value


def _adult(value: Any) -> int:  # noqa: ANN401  any JSON value
    if value is None:
        return ADULT_UNKNOWN
    if not isinstance(value, (str, bool)) or value not in _ADULT:
        raise _RejectedError(Reason.BAD_ADULT)
    return _ADULT[value]


def _genres(value: Any) -> list[str]:  # noqa: ANN401  any JSON value
    if value == MISSING:
        return []
    if not isinstance(value, list):
        raise _RejectedError(Reason.BAD_GENRES)
    names = [genre.get("name") if isinstance(genre, dict) else None for genre in value]
    return [_text(name, Reason.BAD_GENRES) for name in names]


def _release_date(value: Any) -> str | None:  # noqa: ANN401  any JSON value
    """Return a day as YYYY-MM-DD, None where the site has none."""
    if value in (MISSING, "", None):
        return None
    try:
        if isinstance(value, str) and date.fromisoformat(value).isoformat() == value:
            return value
    except ValueError:
        pass
    raise _RejectedError(Reason.BAD_RELEASE_DATE)
