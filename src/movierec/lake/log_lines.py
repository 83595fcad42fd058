"""Parse batches of the site's log lines into columns of events, and dump an event as a line.

The grammar (`time` is ISO 8601 local time as Java's LocalDateTime prints it: seconds are left
out when they are zero, a fraction has 3, 6 or 9 digits):

    <time>,<user>,GET /data/m/<movie>/<minute>.mpg
    <time>,<user>,GET /rate/<movie>=<rating>
    <time>,<user>,recommendation request <server>, status 200, result: <movie>, ..., <ms> ms
    <time>,<user>,recommendation request <server>, status <0 or other>, result: <text>, <ms> ms

Parsing is total: every line becomes an event or is rejected for a named reason. It works on a
whole batch at once: one regular expression runs over all lines in C, and its groups become
columns; only rejected lines are examined one by one, to name the reason.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from movierec.lake.schema import Columns, dates, select

Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


class Reason(StrEnum):
    """Why a line is rejected."""

    EMPTY = "empty"
    LINE_BREAK = "line_break"
    BAD_TIME = "bad_time"
    BAD_USER = "bad_user"
    UNKNOWN_REQUEST = "unknown_request"
    BAD_MOVIE = "bad_movie"
    BAD_MINUTE = "bad_minute"
    BAD_RATING = "bad_rating"
    BAD_RECOMMENDATION = "bad_recommendation"
    DUPLICATE = "duplicate"
    USER_OUT_OF_RANGE = "user_out_of_range"
    RATING_OUT_OF_RANGE = "rating_out_of_range"
    MINUTE_OUT_OF_RANGE = "minute_out_of_range"
    UNKNOWN_MOVIE = "unknown_movie"


@dataclass(frozen=True, slots=True)
class Limits:
    """Ranges that a well-formed line must be within."""

    max_user_id: int = 1_000_000
    min_rating: int = 1
    max_rating: int = 5


@dataclass(frozen=True, slots=True)
class Catalog:
    """The movies that the site has: runtime in minutes by movie id.

    A runtime of 0 is unknown: any minute is then accepted.
    """

    runtime_minutes: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Events:
    """The events of one kind in a batch: n rows.

    `lines` (n,) holds the index in the batch of each row's line.
    """

    lines: Ints
    columns: Columns

    def where(self, keep: Mask) -> "Events":
        """Return the rows marked in `keep`, shape (n,)."""
        return Events(self.lines[keep], select(self.columns, keep))


@dataclass(frozen=True, slots=True)
class Parsed:
    """A parsed batch: events by kind, and the reason of every rejected line by its index."""

    events: tuple[Events, ...]
    rejected: Mapping[int, Reason]


# Any printable ASCII character but the delimiters of ids: blank , / =
_ID = r"[!-+\-.0-<>-~]+"
_NATURAL = r"0|[1-9]\d{0,8}"
_DATE = r"[1-9]\d{3}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])"
_TIME = rf"{_DATE}T(?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d{{3}}(?:\d{{3}}){{0,2}})?)?"
# 18 digits are below 2**63, so that a column of them always converts.
_USER = r"[1-9]\d{0,17}"
# Bytes that are no UTF-8 arrive as lone surrogates; Arrow text cannot hold them.
_TEXT = r"[^\ud800-\udfff\n]*"
_SERVER = r"[!-+\--~]+"

_LINE: Final = re.compile(
    rf"^(?:({_TIME}),({_USER}),"
    rf"(?:GET /data/m/({_ID})/({_NATURAL})\.mpg"
    rf"|GET /rate/({_ID})=({_NATURAL})"
    rf"|recommendation request ({_SERVER}), status"
    rf" (?:200, result: ({_ID}(?:, {_ID})*)|(?!200,)(0|[1-5]\d\d), result: ({_TEXT})),"
    rf" ({_NATURAL}) ms)|.*)$",
    # ASCII: without it \d matches digits of every script.
    re.MULTILINE | re.ASCII,
)
_GROUPS: Final = (
    "time", "user", "movie", "minute", "rated", "rating", "server", "ids", "status", "text", "ms",
)  # fmt: skip

_TIME_WIDTH: Final = len("2026-01-31T23:59:59.999999999")


def parse(lines: Sequence[bytes]) -> Parsed:
    """Parse a batch of raw lines into columns of events and rejected lines. Never raises."""
    found = _LINE.findall(_joined(lines)) if lines else []
    groups = dict(zip(_GROUPS, zip(*found, strict=True), strict=False))
    times, valid = _times(groups.get("time", ()))
    events = tuple(
        _of_kind(groups, times, valid, marker, build) for marker, build in _KINDS.items()
    )
    accepted = np.zeros(len(lines), np.bool_)
    for rows in events:
        accepted[rows.lines] = True
    rejected = {i: diagnose(lines[i]) for i in np.flatnonzero(~accepted).tolist()}
    return Parsed(events, rejected)


def validate(parsed: Parsed, limits: Limits, catalog: Catalog | None) -> Parsed:
    """Reject the events that break a range, or name a movie that the catalog does not have."""
    rejected = dict(parsed.rejected)
    events = []
    for rows in parsed.events:
        keep = np.ones(len(rows.lines), np.bool_)
        for reason, broken in _broken_rules(rows.columns, limits, catalog):
            rejected |= dict.fromkeys(rows.lines[broken & keep].tolist(), reason)
            keep &= ~broken
        events.append(rows.where(keep))
    return Parsed(tuple(events), rejected)


def reject(parsed: Parsed, lines: Mask, reason: Reason) -> Parsed:
    """Reject every event whose line is marked in `lines`, shape (number of lines,)."""
    rejected = dict.fromkeys(np.flatnonzero(lines).tolist(), reason) | dict(parsed.rejected)
    return Parsed(tuple(rows.where(~lines[rows.lines]) for rows in parsed.events), rejected)


def _joined(lines: Sequence[bytes]) -> str:
    """Return the batch as one text, a line a line."""
    joined = b"\n".join(lines)
    if joined.count(b"\n") != max(len(lines) - 1, 0):
        # A line break inside a line would shift all that follow: blank it, which rejects it.
        joined = b"\n".join(b"" if b"\n" in line else line for line in lines)
    return joined.decode("utf-8", "surrogateescape")


def _times(texts: Sequence[str]) -> tuple[npt.NDArray[np.datetime64], Mask]:
    """Return times in microseconds, shape (n,), and which of them are dates of the calendar.

    Digits are read in place: each text is a fixed-width row of bytes, absent ones are zero.
    Nanoseconds are truncated.
    """
    fixed = np.array(texts, dtype=f"S{_TIME_WIDTH}")
    byte = fixed.view(np.uint8).reshape(len(texts), _TIME_WIDTH)
    digit = np.where(byte >= ord("0"), byte - ord("0"), 0).astype(np.int64)

    def number(start: int, stop: int) -> Ints:
        value: Ints = digit[:, start:stop] @ (10 ** np.arange(stop - start - 1, -1, -1))
        return value

    has_seconds = byte[:, 16] == ord(":")
    seconds = np.where(has_seconds, number(17, 19) * 1_000_000 + number(20, 26), 0)
    months = ((number(0, 4) - 1970) * 12 + number(5, 7) - 1).astype("datetime64[M]")
    days = months.astype("datetime64[D]") + (number(8, 10) - 1)
    # 30 February comes out in March.
    valid: Mask = (byte[:, 0] > 0) & (days.astype("datetime64[M]") == months)
    micros = (number(11, 13) * 60 + number(14, 16)) * 60_000_000 + seconds
    return days.astype("datetime64[us]") + micros.astype("timedelta64[us]"), valid


_Take = Callable[[str], list[str]]


def _of_kind(
    groups: Mapping[str, Sequence[str]],
    times: npt.NDArray[np.datetime64],
    valid: Mask,
    marker: str,
    build: Callable[[_Take], dict[str, Any]],
) -> Events:
    """Return the events of one kind: the valid lines in which group `marker` matched."""
    here = np.fromiter(map(bool, groups.get(marker, ())), np.bool_, len(valid)) & valid
    chosen = np.flatnonzero(here)
    picked = chosen.tolist()

    def take(group: str) -> list[str]:
        values = groups.get(group, ())
        return [values[i] for i in picked]

    columns = {
        "event_date": dates(times[chosen]),
        "event_time": times[chosen],
        "user_id": _integers(take("user")),
        **build(take),
    }
    return Events(chosen, columns)


def _integers(texts: Sequence[str]) -> Ints:
    return np.array(texts, dtype="S18").astype(np.int64)


def _watches(take: Callable[[str], list[str]]) -> dict[str, Any]:
    movies = take("movie")
    return {
        "kind": ["watch"] * len(movies),
        "movie_id": movies,
        "minute": _integers(take("minute")),
    }


def _rates(take: Callable[[str], list[str]]) -> dict[str, Any]:
    movies = take("rated")
    return {
        "kind": ["rate"] * len(movies),
        "movie_id": movies,
        "rating": _integers(take("rating")),
    }


def _recommends(take: Callable[[str], list[str]]) -> dict[str, Any]:
    ids = take("ids")
    return {
        "kind": ["recommend"] * len(ids),
        "status": np.array([int(status or 200) for status in take("status")], np.int64),
        "movie_ids": [listed.split(", ") if listed else [] for listed in ids],
        "error": [None if listed else text for listed, text in zip(ids, take("text"), strict=True)],
        "latency_ms": _integers(take("ms")),
        "server": take("server"),
    }


# The group that only this kind of line fills, and the builder of the kind's own columns.
_KINDS: Final[Mapping[str, Callable[[_Take], dict[str, Any]]]] = {
    "minute": _watches,
    "rating": _rates,
    "ms": _recommends,
}


def _broken_rules(
    columns: Columns, limits: Limits, catalog: Catalog | None
) -> list[tuple[Reason, Mask]]:
    """Return which rows, shape (n,), break which rule; the first reason that applies counts."""
    found = [(Reason.USER_OUT_OF_RANGE, np.asarray(columns["user_id"]) > limits.max_user_id)]
    if "rating" in columns:
        rating = np.asarray(columns["rating"])
        outside = (rating < limits.min_rating) | (rating > limits.max_rating)
        found.append((Reason.RATING_OUT_OF_RANGE, outside))
    if catalog is not None:
        found += _broken_by_catalog(columns, catalog)
    return found


def _broken_by_catalog(columns: Columns, catalog: Catalog) -> list[tuple[Reason, Mask]]:
    runtimes = catalog.runtime_minutes
    if "movie_ids" in columns:
        known = runtimes.keys()
        strange = np.array([not known >= set(ids) for ids in columns["movie_ids"]], np.bool_)
        return [(Reason.UNKNOWN_MOVIE, strange)]
    ids = columns["movie_id"]
    runtime = np.array([runtimes.get(movie_id, -1) for movie_id in ids], np.int64)
    found = [(Reason.UNKNOWN_MOVIE, runtime < 0)]
    if "minute" in columns:
        # The site counts one minute past the end.
        late = (runtime > 0) & (np.asarray(columns["minute"]) > runtime + 1)
        found.append((Reason.MINUTE_OUT_OF_RANGE, late))
    return found


_BEFORE_REQUEST: Final = re.compile(rf"({_TIME})?([^,\n]*),({_USER})?([^,\n]*),", re.ASCII)
_WATCH: Final = re.compile(rf"GET /data/m/({_ID}(?=/))?.*?/(?:({_NATURAL})\.mpg$)?", re.ASCII)
_RATE: Final = re.compile(rf"GET /rate/({_ID}(?==))?", re.ASCII)


def diagnose(line: bytes) -> Reason:
    """Return the first reason to reject a line that did not match."""
    if not line:
        return Reason.EMPTY
    if b"\n" in line:
        return Reason.LINE_BREAK
    text = line.decode("utf-8", "surrogateescape")
    head = _BEFORE_REQUEST.match(text)
    if head is None or not head[1] or head[2] or not _is_date(head[1]):
        return Reason.BAD_TIME
    if not head[3] or head[4]:
        return Reason.BAD_USER
    return _diagnose_request(text[head.end() :])


def _is_date(time: str) -> bool:
    try:
        date.fromisoformat(time.partition("T")[0])
    except ValueError:
        return False
    return True


def _diagnose_request(request: str) -> Reason:
    if request.startswith("recommendation request "):
        return Reason.BAD_RECOMMENDATION
    if watch := _WATCH.match(request):
        return Reason.BAD_MINUTE if watch[1] else Reason.BAD_MOVIE
    if rate := _RATE.match(request):
        return Reason.BAD_RATING if rate[1] else Reason.BAD_MOVIE
    return Reason.UNKNOWN_REQUEST


def dump(event: Mapping[str, Any]) -> str:
    """Return one row of the events table as the site's line, the inverse of `parse`.

    The fraction has microseconds, with the digits that Java prints.
    """
    head = f"{_java_time(event['event_time'])},{event['user_id']},"
    if event["kind"] == "watch":
        return f"{head}GET /data/m/{event['movie_id']}/{event['minute']}.mpg"
    if event["kind"] == "rate":
        return f"{head}GET /rate/{event['movie_id']}={event['rating']}"
    result = ", ".join(event["movie_ids"]) if event["status"] == _OK else event["error"]
    return (
        f"{head}recommendation request {event['server']}, status {event['status']}, "
        f"result: {result}, {event['latency_ms']} ms"
    )


_OK: Final = 200


def _java_time(time: Any) -> str:  # noqa: ANN401  datetime or datetime64
    """Print a time as Java's LocalDateTime.toString does: without trailing zero parts."""
    text = str(np.datetime64(time, "us"))
    text = text.removesuffix("000") if text.endswith("000") else text
    return text.removesuffix(".000").removesuffix(":00") if text.endswith(".000") else text
