"""The site's log lines: grammar, reasons to reject a line, and an event as a line.

The grammar (`time` is ISO 8601 local time as Java's LocalDateTime prints it: seconds are left
out when they are zero, a fraction has 3, 6 or 9 digits):

    <time>,<user>,GET /data/m/<movie>/<minute>.mpg
    <time>,<user>,GET /rate/<movie>=<rating>
    <time>,<user>,GET /create_account
    <time>,<user>,recommendation request <server>, status 200, result: <movie>, ..., <ms> ms
    <time>,<user>,recommendation request <server>, status <0 or other>, result: <text>, <ms> ms

Blanks and tabs around a line, and a CR or CR LF at its end, do not count. `ingest_worker` parses
whole batches of lines by `LINE`; here a line that is no event is diagnosed.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any, Final

import numpy as np


class Reason(StrEnum):
    """Why a line is rejected: the first of its fields that is wrong."""

    EMPTY = "empty"
    LINE_BREAK = "line_break"
    BAD_TIME = "bad_time"
    BAD_USER = "bad_user"
    UNKNOWN_REQUEST = "unknown_request"
    BAD_MOVIE = "bad_movie"
    BAD_MINUTE = "bad_minute"
    BAD_RATING = "bad_rating"
    BAD_SERVER = "bad_server"
    BAD_STATUS = "bad_status"
    BAD_RESULT = "bad_result"
    BAD_LATENCY = "bad_latency"
    BAD_RECOMMENDATION = "bad_recommendation"
    """Of lines that older code quarantined: any of the four above."""
    DUPLICATE = "duplicate"
    TIME_OUT_OF_RANGE = "time_out_of_range"
    USER_OUT_OF_RANGE = "user_out_of_range"
    RATING_OUT_OF_RANGE = "rating_out_of_range"
    MINUTE_OUT_OF_RANGE = "minute_out_of_range"
    UNKNOWN_MOVIE = "unknown_movie"
    OFFSETS_EXPIRED = "offsets_expired"
    """Of no line: Kafka deleted some before they were read."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Ranges that a well-formed line must be within.

    `earliest` is compared with the site's local day. The latest is a day after the record.
    """

    max_user_id: int = 1_000_000
    min_rating: int = 1
    max_rating: int = 5
    earliest: date = date(2000, 1, 1)


@dataclass(frozen=True, slots=True)
class Catalog:
    """The movies that the site has: runtime in minutes by movie id.

    A runtime of 0 is unknown: any minute is then accepted.
    """

    runtime_minutes: Mapping[str, int]


MAX_ID_BYTES: Final = 1_000
"""Longer movie ids and server names are junk: the site's longest are a tenth of that."""

MAX_ERROR_BYTES: Final = 65_536
"""Longer error texts are junk: a Java exception with its causes is a tenth of that."""

# Any printable ASCII character but the delimiters of ids: blank , / =
_ID: Final = r"[!-+\-.0-<>-~]+"
_IDS: Final = rf"{_ID}(?:, {_ID})*"
_NATURAL: Final = r"(?:0|[1-9][0-9]{0,8})"
_DATE: Final = r"[1-9][0-9]{3}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
_SECONDS: Final = r":[0-5][0-9](?:\.[0-9]{3}(?:[0-9]{3}){0,2})?"
_TIME: Final = rf"{_DATE}T(?:[01][0-9]|2[0-3]):[0-5][0-9](?:{_SECONDS})?"
# 18 digits are below 2**63, so that a column of them always converts.
_USER: Final = r"[1-9][0-9]{0,17}"
_SERVER: Final = r"[!-+\--~]+"
_ERROR_STATUS: Final = r"(?:0|1[0-9][0-9]|20[1-9]|2[1-9][0-9]|[3-5][0-9][0-9])"

WATCH: Final = "GET /data/m/"
RATE: Final = "GET /rate/"
CREATE_ACCOUNT: Final = "GET /create_account"
RECOMMEND: Final = "recommendation request "

LINE: Final = (
    rf"^{_TIME},{_USER},"
    rf"(?:{WATCH}{_ID}/{_NATURAL}\.mpg|{RATE}{_ID}={_NATURAL}|{CREATE_ACCOUNT}"
    rf"|{RECOMMEND}{_SERVER}, status (?:200, result: {_IDS}|{_ERROR_STATUS}, result: [^\n]*)"
    rf", {_NATURAL} ms)$"
)
"""A regular expression, in the syntax of Python and Rust, that every event's text matches.

An event also has a date of the calendar, lengths within `MAX_ID_BYTES` and `MAX_ERROR_BYTES`, and
no result of status 200 within `BRACKETS`.
"""

BRACKETS: Final = ("[]", "()", "{}")
"""What a list begins and ends with as a program prints it, `['a', 'b']`: no list of ids."""


def trimmed(line: bytes) -> bytes:
    """Return a line without what does not count at its ends."""
    return line.removesuffix(b"\r\n").removesuffix(b"\r").strip(b" \t")


def diagnose(line: bytes) -> Reason:
    """Return the first reason to reject a line that is no event."""
    bare = trimmed(line)
    if not bare:
        return Reason.EMPTY
    if b"\n" in bare:
        return Reason.LINE_BREAK
    # Bytes that are no UTF-8 become lone surrogates.
    text = bare.decode("utf-8", "surrogateescape")
    time, _, rest = text.partition(",")
    user, _, request = rest.partition(",")
    if not _is_time(time):
        return Reason.BAD_TIME
    if not _matches(_USER, user):
        return Reason.BAD_USER
    return _diagnose_request(request)


def _matches(pattern: str, text: str) -> bool:
    return re.fullmatch(pattern, text) is not None


def _is_time(text: str) -> bool:
    if not _matches(_TIME, text):
        return False
    try:
        date.fromisoformat(text.partition("T")[0])
    except ValueError:
        return False
    return True


def _is_name(pattern: str, text: str) -> bool:
    return len(text) <= MAX_ID_BYTES and _matches(pattern, text)


def _diagnose_request(request: str) -> Reason:
    for verb, end, field in (
        (WATCH, "/", Reason.BAD_MINUTE),
        (RATE, "=", Reason.BAD_RATING),
    ):
        if request.startswith(verb):
            movie = request.removeprefix(verb).partition(end)[0]
            return field if _is_name(_ID, movie) else Reason.BAD_MOVIE
    if request.startswith(RECOMMEND):
        return _diagnose_recommendation(request.removeprefix(RECOMMEND))
    return Reason.UNKNOWN_REQUEST


def _diagnose_recommendation(rest: str) -> Reason:
    server, _, rest = rest.partition(",")
    if not _is_name(_SERVER, server):
        return Reason.BAD_SERVER
    label, _, rest = rest.partition(",")
    status = label.removeprefix(" status ")
    if status == label or not _matches(rf"200|{_ERROR_STATUS}", status):
        return Reason.BAD_STATUS
    result, comma, latency = rest.rpartition(", ")
    if not comma:
        result = latency
    text = result.removeprefix(" result: ")
    if text == result or not _is_result(text, status):
        return Reason.BAD_RESULT
    return Reason.BAD_LATENCY


def _is_result(text: str, status: str) -> bool:
    if status != str(_OK):
        return _is_error(text)
    return (
        _matches(_IDS, text)
        and text[:1] + text[-1:] not in BRACKETS
        and all(len(movie) <= MAX_ID_BYTES for movie in text.split(", "))
    )


def _is_error(text: str) -> bool:
    try:
        return len(text.encode()) <= MAX_ERROR_BYTES
    except UnicodeEncodeError:
        return False


def dump(event: Mapping[str, Any]) -> str:
    """Return one row of the events table as the site's line, the inverse of parsing.

    The time is the site's own text where the row has it; else it is printed with the digits that
    Java prints of microseconds.
    """
    head = f"{event.get('site_time') or _java_time(event['event_time'])},{event['user_id']},"
    if event["kind"] == "create_account":
        return f"{head}{CREATE_ACCOUNT}"
    if event["kind"] == "watch":
        return f"{head}{WATCH}{event['movie_id']}/{event['minute']}.mpg"
    if event["kind"] == "rate":
        return f"{head}{RATE}{event['movie_id']}={event['rating']}"
    result = ", ".join(event["movie_ids"]) if event["status"] == _OK else event["error"]
    return (
        f"{head}{RECOMMEND}{event['server']}, status {event['status']}, "
        f"result: {result}, {event['latency_ms']} ms"
    )


_OK: Final = 200


def _java_time(time: Any) -> str:  # noqa: ANN401  datetime or datetime64
    """Print a time as Java's LocalDateTime.toString does: without trailing zero parts."""
    text = str(np.datetime64(time, "us"))
    text = text.removesuffix("000") if text.endswith("000") else text
    return text.removesuffix(".000").removesuffix(":00") if text.endswith(".000") else text
