"""What the site makes of a recommender's answer."""

from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Final

from simulator import faults
from simulator.ledger import UNKNOWN
from simulator.lines import id_list

MAX_MOVIES: Final = 20

MODEL_HEADER: Final = "X-Model-Version"
SOURCE_HEADER: Final = "X-Recommendation-Source"


@dataclass(frozen=True, slots=True)
class Answer:
    """A judged answer: `movie_ids` of a good one, else `error`, the text for the log.

    `what` names the kind of error for counting, without ids and addresses.
    """

    movie_ids: tuple[str, ...] = ()
    error: str | None = None
    what: str | None = None
    model: str = UNKNOWN
    source: str = UNKNOWN

    @property
    def status(self) -> int:
        """Return the status that the log line says: 200, or 0 whatever went wrong."""
        return faults.OK if self.error is None else faults.FAILED

    @property
    def result(self) -> str:
        """Return the result that the log line says."""
        return id_list(self.movie_ids) if self.error is None else self.error


def failed(what: str, text: str) -> Answer:
    """Return the answer that never came."""
    return Answer(error=text, what=what)


def judge(status: int, body: bytes, headers: Mapping[str, str], known: Container[str]) -> Answer:
    """Check an answer as the site does: status 200, text, 1 to 20 ids that are all `known`."""
    if status != faults.OK:
        return failed(f"unexpected status {status}", faults.unexpected_status(status))
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
    return Answer(
        movie_ids,
        model=headers.get(MODEL_HEADER, UNKNOWN),
        source=headers.get(SOURCE_HEADER, UNKNOWN),
    )


# An answer may be a whole HTML page; the log wants one short line.
_MAX_QUOTED: Final = 80


def _printable(name: str) -> str:
    return "".join(c if c.isprintable() else " " for c in name[:_MAX_QUOTED])
