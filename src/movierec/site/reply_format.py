"""What one reply of the site's API means for the ids that were asked.

`GET /movie/<id>` and `GET /user/<id>` answer one JSON object; newer sites take several ids,
separated by commas. Neither the status nor the body of a bulk request with an unknown id is the
same everywhere, and errors are often plain text.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, Final, Literal

import numpy as np

from movierec.lake import catalog_fields
from movierec.lake.catalog import parse_movies, parse_users, says_not_found
from movierec.lake.schema import Columns, select

Kind = Literal["movie", "user"]

_PARSERS: Final = {"movie": parse_movies, "user": parse_users}
_KEYS: Final = {"movie": "movie_id", "user": "user_id"}

_BUSY: Final = (
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.TOO_EARLY,
    HTTPStatus.TOO_MANY_REQUESTS,
)
# No other id would be answered either.
_FORBIDDEN: Final = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)


Cause = Literal["", "refused", "timeout"]
"""Of a failure: nothing listens at the address, or no whole answer came in time."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP response, or why there was none."""

    status: int
    body: bytes = b""
    retry_after: str = ""
    date: str = ""
    failure: str = ""
    """Set where no whole response came."""

    cause: Cause = ""


@dataclass(frozen=True, slots=True)
class Objects:
    """What the site knows of the ids; it does not know those that no object names."""

    found: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """Several ids at once are not answered: one is unknown, or the site takes one at a time."""


@dataclass(frozen=True, slots=True)
class Busy:
    """The site asks to wait, for a time or without saying how long."""

    wait_s: float | None


@dataclass(frozen=True, slots=True)
class Fault:
    """The request failed for a reason that may pass."""

    reason: str
    cause: Cause = ""


@dataclass(frozen=True, slots=True)
class Forbidden:
    """The site refuses this client altogether."""

    reason: str


Meaning = Objects | Refused | Busy | Fault | Forbidden


def read(reply: Reply, *, asked: int, now: datetime) -> Meaning:
    """Return what a reply means to a request for `asked` ids. `now` is aware."""
    status = reply.status
    if status in _BUSY or (status == HTTPStatus.SERVICE_UNAVAILABLE and reply.retry_after):
        return Busy(_wait_s(reply, now))
    if status in _FORBIDDEN:
        return Forbidden(f"answered {status}")
    if reply.failure or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Fault(reply.failure or f"answered {status}", reply.cause)
    if status >= HTTPStatus.BAD_REQUEST:
        return Refused() if asked > 1 else Objects(())
    found = _objects(reply.body, asked)
    if found is not None:
        return Objects(found)
    return Refused() if asked > 1 else Fault("the answer is no JSON object with an id")


def _objects(body: bytes, asked: int) -> tuple[Mapping[str, Any], ...] | None:
    """Return the objects of a body, those that say "not found" left out.

    Several are a list, a list in an object, or an object with one for each id. None if there is
    anything else, such as an error in an object of its own: it says nothing of any id.
    """
    try:
        found = catalog_fields.decode(body)
    except ValueError:
        return None
    if isinstance(found, Mapping) and asked == 1 and not _is_nested(found):
        found = [found]
    if isinstance(found, Mapping):
        inside = list(found.values())
        found = inside[0] if len(inside) == 1 and isinstance(inside[0], list) else inside
    objects = [one for one in found if one is not None] if isinstance(found, list) else [found]
    if not all(isinstance(one, dict) for one in objects):
        return None
    known = [one for one in objects if not says_not_found(one)]
    return tuple(known) if all("id" in one or "user_id" in one for one in known) else None


def _is_nested(found: Mapping[str, Any]) -> bool:
    return bool(found) and all(isinstance(value, (dict, list)) for value in found.values())


def _wait_s(reply: Reply, now: datetime) -> float | None:
    """Return the seconds that Retry-After asks for; a date counts by the site's own clock."""
    text = reply.retry_after.strip()
    until = _date(text)
    if until is None:
        return catalog_fields.decimal(text)
    return max(0.0, (until - (_date(reply.date) or now)).total_seconds())


def _date(text: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(text)
    except ValueError:
        return None
    return found if found.tzinfo else None


@dataclass(frozen=True, slots=True)
class Answer:
    """What the site said of some ids: rows of table `movies` or `users`, and ids unknown to it.

    `failed` are ids of which it could not say anything, though it answers for others.
    """

    kind: Kind
    asked: tuple[str, ...]
    rows: Columns
    unknown: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()


def answer(
    kind: Kind, ids: tuple[str, ...], found: Sequence[Mapping[str, Any]], now: datetime
) -> Answer:
    """Return the rows of the ids that were asked, and the ids that have none."""
    columns = _PARSERS[kind](found, now).columns
    named = [str(one) for one in columns[_KEYS[kind]]]
    wanted = frozenset(ids)
    rows = select(columns, np.array([one in wanted for one in named], np.bool_))
    known = frozenset(named)
    return Answer(kind, ids, rows, unknown=tuple(one for one in ids if one not in known))


def failed(kind: Kind, ids: tuple[str, ...], now: datetime) -> Answer:
    """Return an answer that says nothing of these ids."""
    return Answer(kind, ids, _PARSERS[kind]((), now).columns, failed=ids)
