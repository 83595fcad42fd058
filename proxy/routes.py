"""Routing: parse a request line into a route, or an error response."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from movierec.api_contract import HEALTH_PATH, METRICS_PATH, RECOMMEND_PATH, VERSION_PATH
from movierec.model.user_id import LARGEST_USER_ID, parse_user_id

# The longest valid path has 30 bytes; the rest is room for a query string that monitoring adds.
MAX_TARGET_BYTES: Final = 2048


class Page(StrEnum):
    """Operational endpoints."""

    HEALTHZ = HEALTH_PATH
    VERSION = VERSION_PATH
    METRICS = METRICS_PATH


@dataclass(frozen=True, slots=True)
class Recommend:
    """GET /recommend/<user id>."""

    user_id: int


@dataclass(frozen=True, slots=True)
class ErrorResponse:
    """A response other than 200: its status and one line of explanation."""

    status: int
    line: str


NOT_FOUND: Final = ErrorResponse(
    404, "expected GET /recommend/<user id>, /healthz, /version or /metrics; see the path"
)
NOT_ALLOWED: Final = ErrorResponse(405, "expected GET: nothing here can be changed over HTTP")
BAD_USER_ID: Final = ErrorResponse(
    400,
    f"expected /recommend/<user id> with a whole number from 1 to {LARGEST_USER_ID}, without "
    "leading zeros",
)
TOO_LONG: Final = ErrorResponse(
    414, f"expected a path such as /recommend/42, of {MAX_TARGET_BYTES} bytes at most"
)


def route(method: str, target: str) -> Recommend | Page | ErrorResponse:
    """Return the route of a request line; total, and never echoes the input.

    `target` is the raw request target (RFC 9112, section 3.2), percent-encoding and query string
    included; the query string is ignored.
    """
    if len(target) > MAX_TARGET_BYTES:
        return TOO_LONG
    path = target.partition("?")[0]
    found = _by_path(path)
    if method != "GET" and found is not NOT_FOUND:
        return NOT_ALLOWED
    return found


def _by_path(path: str) -> Recommend | Page | ErrorResponse:
    if path.startswith(RECOMMEND_PATH):
        user_id = parse_user_id(path.removeprefix(RECOMMEND_PATH))
        return BAD_USER_ID if user_id is None else Recommend(user_id)
    if path == RECOMMEND_PATH.rstrip("/"):
        return BAD_USER_ID
    try:
        return Page(path)
    except ValueError:
        return NOT_FOUND
