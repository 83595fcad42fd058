"""Validate a recommender's HTTP response as the site does."""

from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Final

from movierec.api_contract import MODEL_VERSION, RECOMMENDATION_SOURCE
from simulator import request_errors
from simulator.log_line_format import id_list
from simulator.traffic_ledger import UNKNOWN

MAX_MOVIES: Final = 20


@dataclass(frozen=True, slots=True)
class Response:
    """A validated response: `movie_ids` of a good one, else `error`, the text for the log.

    `error_kind` names the kind of error for counting, without ids and addresses.
    """

    movie_ids: tuple[str, ...] = ()
    error: str | None = None
    error_kind: str | None = None
    model: str = UNKNOWN
    source: str = UNKNOWN

    @property
    def status(self) -> int:
        """Return the status that the log line says: 200, or 0 whatever went wrong."""
        return request_errors.OK if self.error is None else request_errors.FAILED

    @property
    def result(self) -> str:
        """Return the result that the log line says."""
        return id_list(self.movie_ids) if self.error is None else self.error


def failed(error_kind: str, text: str) -> Response:
    """Return the response of a request that failed."""
    return Response(error=text, error_kind=error_kind)


def validate(
    status: int, body: bytes, headers: Mapping[str, str], known: Container[str]
) -> Response:
    """Return the response, good when its status is 200 and its text 1 to 20 ids, all `known`."""
    if status != request_errors.OK:
        return failed(f"unexpected status {status}", request_errors.unexpected_status(status))
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        return failed("invalid format", "invalid recommendation format (no text)")
    movie_ids = tuple(name.strip() for name in text.split(","))
    if movie_ids == ("",):
        return failed("empty", "invalid recommendation format (empty)")
    if len(movie_ids) > MAX_MOVIES:
        problem = f"invalid recommendation format ({len(movie_ids)} movies)"
        return failed("too many movies", problem)
    for name in movie_ids:
        if name not in known:
            return failed("unknown movie", f"movie {_printable(name)} not found")
    return Response(
        movie_ids,
        model=headers.get(MODEL_VERSION, UNKNOWN),
        source=headers.get(RECOMMENDATION_SOURCE, UNKNOWN),
    )


# A response may be a whole HTML page; the log wants one short line.
_MAX_QUOTED: Final = 80


def _printable(name: str) -> str:
    return "".join(c if c.isprintable() else " " for c in name[:_MAX_QUOTED])
