"""The grammar of log lines once more: one line at a time, slow and obvious.

What the fast parser and the rules of the worker are compared with. It shares no pattern and no code
with them. An event is a dict; anything else is the name of the reason.
"""

from datetime import datetime, timedelta
from string import ascii_letters, digits, punctuation

ID_CHARACTERS = set(ascii_letters + digits + punctuation) - set(",/=")
SERVER_CHARACTERS = set(ascii_letters + digits + punctuation) - set(",")
EPOCH = datetime(1970, 1, 1)
MICROSECOND = timedelta(microseconds=1)
DAY_US = 24 * 60 * 60 * 1_000_000


def read(line: bytes) -> dict[str, object] | str:
    bare = without_end(line).strip(b" \t")
    if bare == b"":
        return "empty"
    if b"\n" in bare:
        return "line_break"
    # A byte that is no UTF-8 becomes a character that no field may have.
    text = bare.decode("utf-8", "surrogateescape")
    time, _, rest = text.partition(",")
    user, _, request = rest.partition(",")
    local_us = microseconds(time)
    if local_us is None:
        return "bad_time"
    if not is_number(user) or user == "0" or len(user) > 18:
        return "bad_user"
    event = read_request(request)
    if isinstance(event, str):
        return event
    return {"site_time": time, "local_us": local_us, "user_id": int(user), **event}


def without_end(line: bytes) -> bytes:
    if line.endswith(b"\r\n"):
        line = line[:-2]
    return line[:-1] if line.endswith(b"\r") else line


def read_request(request: str) -> dict[str, object] | str:
    if request == "GET /create_account":
        return {"kind": "create_account"}
    if request.startswith("GET /data/m/"):
        return read_watch(request[len("GET /data/m/") :])
    if request.startswith("GET /rate/"):
        return read_rate(request[len("GET /rate/") :])
    if request.startswith("recommendation request "):
        return read_recommendation(request[len("recommendation request ") :])
    return "unknown_request"


def read_watch(rest: str) -> dict[str, object] | str:
    movie, _, file = rest.partition("/")
    if not is_movie(movie):
        return "bad_movie"
    if not file.endswith(".mpg") or not is_short_number(file[: -len(".mpg")]):
        return "bad_minute"
    return {"kind": "watch", "movie_id": movie, "minute": int(file[: -len(".mpg")])}


def read_rate(rest: str) -> dict[str, object] | str:
    movie, _, rating = rest.partition("=")
    if not is_movie(movie):
        return "bad_movie"
    if not is_short_number(rating):
        return "bad_rating"
    return {"kind": "rate", "movie_id": movie, "rating": int(rating)}


def read_recommendation(rest: str) -> dict[str, object] | str:
    server, _, rest = rest.partition(",")
    if not 1 <= len(server) <= 1000 or not set(server) <= SERVER_CHARACTERS:
        return "bad_server"
    status, _, rest = rest.partition(",")
    if not status.startswith(" status ") or not is_status(status[len(" status ") :]):
        return "bad_status"
    code = int(status[len(" status ") :])
    result, _, latency = rest.rpartition(", ") if ", " in rest else (rest, "", "")
    if not result.startswith(" result: "):
        return "bad_result"
    listed = read_result(code, result[len(" result: ") :])
    if isinstance(listed, str):
        return listed
    if not latency.endswith(" ms") or not is_short_number(latency[: -len(" ms")]):
        return "bad_latency"
    latency_ms = int(latency[: -len(" ms")])
    return {
        "kind": "recommend", "server": server, "status": code, **listed, "latency_ms": latency_ms
    }  # fmt: skip


def read_result(status: int, text: str) -> dict[str, object] | str:
    if status != 200:
        bad = is_no_unicode(text) or len(text.encode()) > 65_536
        return "bad_result" if bad else {"movie_ids": [], "error": text}
    movies = text.split(", ")
    printed = text.startswith(("[", "(", "{")) and text[0] + text[-1] in ("[]", "()", "{}")
    if printed or not all(is_movie(movie) for movie in movies):
        return "bad_result"
    return {"movie_ids": movies, "error": None}


def is_no_unicode(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)


def is_movie(text: str) -> bool:
    return 1 <= len(text) <= 1000 and set(text) <= ID_CHARACTERS


def is_number(text: str) -> bool:
    return text != "" and set(text) <= set(digits) and (text == "0" or text[0] != "0")


def is_short_number(text: str) -> bool:
    return is_number(text) and len(text) <= 9


def is_status(text: str) -> bool:
    return text == "0" or (is_number(text) and 100 <= int(text[:4]) <= 599)


def microseconds(time: str) -> int | None:
    """Return YYYY-MM-DDTHH:MM[:SS[.fff|.ffffff|.fffffffff]] in microseconds since 1970."""
    day, _, clock = time.partition("T")
    whole, point, fraction = clock.partition(".")
    form = {5: "%H:%M", 8: "%H:%M:%S"}.get(len(whole))
    if form is None or len(day) != 10 or day[0] == "0" or not set(day) <= {*digits, "-"}:
        return None
    if not set(whole) <= {*digits, ":"} or not set(fraction) <= set(digits):
        return None
    if point and (form == "%H:%M" or len(fraction) not in (3, 6, 9)):
        return None
    try:
        found = datetime.strptime(f"{day} {whole}", f"%Y-%m-%d {form}")  # noqa: DTZ007
    except ValueError:
        return None
    # strptime takes 1:2 as well: what it read must be what is there.
    if found.strftime(f"{found.year:04d}-%m-%d {form}") != f"{day} {whole}":
        return None
    return (found - EPOCH) // MICROSECOND + int((fraction + "000000")[:6] if point else 0)


def reason_to_reject(event, limits, runtimes, recorded_us) -> str | None:  # noqa: PLR0911
    """Return the rule that an event breaks; `runtimes` is minutes by movie, None: no catalog."""
    earliest = datetime.combine(limits.earliest, datetime.min.time())
    if not (earliest - EPOCH) // MICROSECOND <= event["local_us"] <= recorded_us + DAY_US:
        return "time_out_of_range"
    if event["user_id"] > limits.max_user_id:
        return "user_out_of_range"
    if not limits.min_rating <= event.get("rating", limits.min_rating) <= limits.max_rating:
        return "rating_out_of_range"
    if runtimes is None:
        return None
    if not all(movie in runtimes for movie in movies_of(event)):
        return "unknown_movie"
    runtime = runtimes.get(event.get("movie_id"), 0)
    if runtime and event.get("minute", 0) > runtime + 1:
        return "minute_out_of_range"
    return None


def movies_of(event) -> list[str]:
    return [event["movie_id"]] if "movie_id" in event else event.get("movie_ids", [])
