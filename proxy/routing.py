"""What a request line asks for: a route, or a refusal that says what is expected."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from movierec.model.user_id import LARGEST_USER_ID, parse_user_id

# The longest path that means anything here has 30 bytes; the rest is room for a query string
# that some monitoring adds. Longer ones are not worth parsing.
MAX_TARGET_BYTES: Final = 2048

_RECOMMEND: Final = "/recommend/"


class Page(StrEnum):
    """The proxy's own pages."""

    HEALTHZ = "/healthz"
    VERSION = "/version"
    METRICS = "/metrics"


@dataclass(frozen=True, slots=True)
class Recommend:
    """A recommendation for one user is asked for."""

    user_id: int


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer other than 200: its status, and one line for whoever reads it."""

    status: int
    line: str


NOT_FOUND: Final = Refusal(
    404, "expected GET /recommend/<user id>, /healthz, /version or /metrics; see the path"
)
NOT_ALLOWED: Final = Refusal(405, "expected GET: nothing here can be changed over HTTP")
BAD_USER_ID: Final = Refusal(
    400,
    f"expected /recommend/<user id> with a whole number from 1 to {LARGEST_USER_ID}, without "
    "leading zeros",
)
TOO_LONG: Final = Refusal(
    414, f"expected a path such as /recommend/42, of {MAX_TARGET_BYTES} bytes at most"
)


def route(method: str, target: str) -> Recommend | Page | Refusal:
    """Return what a request line asks for; total, and without echoing what was sent.

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


def _by_path(path: str) -> Recommend | Page | Refusal:
    if path.startswith(_RECOMMEND):
        user_id = parse_user_id(path.removeprefix(_RECOMMEND))
        return BAD_USER_ID if user_id is None else Recommend(user_id)
    if path == _RECOMMEND.rstrip("/"):
        return BAD_USER_ID
    try:
        return Page(path)
    except ValueError:
        return NOT_FOUND
