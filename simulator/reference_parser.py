"""Reference parser of log lines: whether a line, corrupted or not, is a valid event.

Shares no code with the product's parser, so that each can be tested against the other.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

from movierec.model.rating_scale import NATIVE, RatingScale

_MAX_ERROR_STATUS: Final = 599
_MIN_ERROR_STATUS: Final = 100
_OK: Final = "200"
# Where an id ends in a line, no id can hold these.
_NOT_IN_ID: Final = frozenset(" ,/=")
_DIGITS: Final = frozenset("0123456789")


@dataclass(frozen=True, slots=True)
class ReferenceParser:
    """The grammar of log lines, with the reader's ranges, and its catalog if one is loaded.

    `runtimes` is minutes by movie id; None: no catalog, any well-formed id and minute will do.
    """

    runtimes: Mapping[str, int] | None
    max_user_id: int = 1_000_000
    scale: RatingScale = NATIVE

    def reads_as_event(self, line: str) -> bool:
        """Return whether the line is a valid event. Blanks around it do not count."""
        time, comma, rest = line.strip(" ").partition(",")
        user_id, second_comma, request = rest.partition(",")
        return (
            bool(comma and second_comma)
            and _is_time(time)
            and _is_number(user_id)
            and 1 <= int(user_id) <= self.max_user_id
            and self._is_request(request)
        )

    def _is_request(self, request: str) -> bool:
        if request.startswith("GET /data/m/"):
            return self._is_watch(request.removeprefix("GET /data/m/"))
        if request.startswith("GET /rate/"):
            return self._is_rating(request.removeprefix("GET /rate/"))
        if request.startswith("recommendation request "):
            return self._is_recommendation(request.removeprefix("recommendation request "))
        return request == "GET /create_account"

    def _is_watch(self, rest: str) -> bool:
        movie_id, _, file = rest.rpartition("/")
        minute = file.removesuffix(".mpg")
        if minute == file or not _is_number(minute) or not self._is_movie(movie_id):
            return False
        if self.runtimes is None:
            return True
        # A runtime of 0 is unknown. The site counts one minute past the end.
        runtime = self.runtimes[movie_id]
        return runtime == 0 or int(minute) <= runtime + 1

    def _is_rating(self, rest: str) -> bool:
        movie_id, equals, rating = rest.partition("=")
        return (
            bool(equals)
            and self._is_movie(movie_id)
            and _is_number(rating)
            and int(rating) in self.scale
        )

    def _is_recommendation(self, rest: str) -> bool:
        server, first, rest = rest.partition(", status ")
        status, second, rest = rest.partition(", result: ")
        result, third, latency = rest.rpartition(", ")
        if not (first and second and third) or not server or " " in server or "," in server:
            return False
        number = latency.removesuffix(" ms")
        if number == latency or not _is_number(number) or not _is_status(status):
            return False
        return status != _OK or all(self._is_movie(name) for name in result.split(", "))

    def _is_movie(self, movie_id: str) -> bool:
        if not movie_id or not all("!" <= c <= "~" and c not in _NOT_IN_ID for c in movie_id):
            return False
        return self.runtimes is None or movie_id in self.runtimes


def _is_number(text: str) -> bool:
    """Return whether it is a decimal number without leading zeros."""
    return bool(text) and _DIGITS.issuperset(text) and (text == "0" or text[0] != "0")


def _is_status(text: str) -> bool:
    return _is_number(text) and (text == "0" or _MIN_ERROR_STATUS <= int(text) <= _MAX_ERROR_STATUS)


def _is_time(text: str) -> bool:
    """Return whether it is YYYY-MM-DDTHH:MM[:SS[.fff|.ffffff|.fffffffff]] of the calendar."""
    day, _, clock = text.partition("T")
    clock, dot, fraction = clock.partition(".")
    parts = clock.split(":")
    if not _is_date(day) or len(parts) not in (2, 3):
        return False
    if dot and (len(parts) == 2 or len(fraction) not in (3, 6, 9)):  # noqa: PLR2004  see above
        return False
    fields = zip(parts, (24, 60, 60), strict=False)
    return _DIGITS.issuperset(fraction) and all(_is_field(part, limit) for part, limit in fields)


def _is_field(text: str, limit: int) -> bool:
    return len(text) == 2 and _DIGITS.issuperset(text) and int(text) < limit  # noqa: PLR2004


def _is_date(text: str) -> bool:
    parts = text.split("-")
    if [len(part) for part in parts] != [4, 2, 2] or not _DIGITS.issuperset("".join(parts)):
        return False
    try:
        date(*map(int, parts))
    except ValueError:
        return False
    return True
