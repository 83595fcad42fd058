"""Format log lines, character by character as the site's Java program prints them."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
import numpy.typing as npt

NANOS: Final = 1_000_000_000


def fraction(nanos: int) -> str:
    """Return the fraction of a second: nothing, or 3, 6 or 9 digits, as few as hold it."""
    if nanos == 0:
        return ""
    digits = f"{nanos:09d}"
    if digits.endswith("000000"):
        return f".{digits[:3]}"
    return f".{digits[:6]}" if digits.endswith("000") else f".{digits}"


def time_text(time_ns: int) -> str:
    """Return a local time, in nanoseconds since 1970, as Java's LocalDateTime.toString does."""
    seconds, nanos = divmod(time_ns, NANOS)
    minute = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M")
    return minute + second_text(seconds % 60, nanos)


def second_text(second: int, nanos: int) -> str:
    """Return `:SS` and the fraction; nothing at all at the full minute."""
    return f":{second:02d}{fraction(nanos)}" if second or nanos else ""


def minute_texts(seconds: npt.NDArray[np.int64]) -> list[str]:
    """Return `YYYY-MM-DDTHH:MM` of each local time in seconds since 1970."""
    if not len(seconds):
        return []
    minutes = seconds // 60
    first = int(minutes.min())
    # A month has 43,200 minutes, a history a million lines: each minute is printed once.
    every = np.arange(first, int(minutes.max()) + 1).astype("datetime64[m]")
    table = np.datetime_as_string(every).tolist()
    return [table[i] for i in (minutes - first).tolist()]


def whole_second_texts(seconds: npt.NDArray[np.int64]) -> list[str]:
    """Return each local time, in seconds since 1970, as Java's LocalDateTime.toString does."""
    endings = [second_text(second, 0) for second in range(60)]
    rest: Any = (seconds % 60).tolist()
    return [f"{m}{endings[s]}" for m, s in zip(minute_texts(seconds), rest, strict=True)]


def watch_line(time: str, user_id: int, movie_id: str, minute: int) -> str:
    """Return the line of one watched minute."""
    return f"{time},{user_id},GET /data/m/{movie_id}/{minute}.mpg"


def rate_line(time: str, user_id: int, movie_id: str, rating: int) -> str:
    """Return the line of a rating."""
    return f"{time},{user_id},GET /rate/{movie_id}={rating}"


def create_account_line(time: str, user_id: int) -> str:
    """Return the line of a user who signs up."""
    return f"{time},{user_id},GET /create_account"


def recommend_line(
    time: str, user_id: int, *, server: str, status: int, result: str, latency_ms: int
) -> str:
    """Return the line of a recommendation request; `result` is a list of ids or an error text."""
    return (
        f"{time},{user_id},recommendation request {server}, "
        f"status {status}, result: {result}, {latency_ms} ms"
    )


def id_list(movie_ids: Iterable[str]) -> str:
    """Return the result of a request that was answered."""
    return ", ".join(movie_ids)


def watch_lines(
    times: Sequence[str], user_ids: Sequence[int], movie_ids: Sequence[str], minutes: Sequence[int]
) -> list[str]:
    """Return many watch lines: `watch_line` without the cost of a call for each."""
    rows = zip(times, user_ids, movie_ids, minutes, strict=True)
    return [f"{t},{u},GET /data/m/{m}/{k}.mpg" for t, u, m, k in rows]
