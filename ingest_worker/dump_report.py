"""Say what a dump holds, what it looks like if it is no log, and which settings its site needs."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Any, Final

import numpy as np

from ingest_worker.dump_lines import Dump
from ingest_worker.dump_summary import LARGEST_RATING, LONGEST_LIST, USER_STEPS, Summary
from movierec import settings
from movierec.lake import site_clock
from movierec.lake.log_lines import Limits

FORMAT: Final = 1

# Corrupt lines are one in a thousand, and few of them fall on one field.
_RARE: Final = 0.01
_RARE_USERS: Final = 0.005
# Of fewer lines than this, one alone proves nothing against the others.
_FEW: Final = 10
# Scales that sites have.
_TOPS: Final = (5, 10, 100)
_RETENTION_DAYS: Final = 180
_SLOWEST: Final = 0.99


@dataclass(frozen=True, slots=True)
class Setting:
    """A variable to set, and why."""

    name: str
    value: str
    why: str


def report(
    dump: Dump, summary: Summary, *, prefixed: bool, now: datetime, zones: Mapping[str, tzinfo]
) -> dict[str, Any]:
    """Return all that there is to say, as JSON.

    Of `zones` the first that shows the offset found is named as an example.
    """
    scale, users = _scale(summary), _users(summary)
    return {
        "format": FORMAT,
        "file": dump.name,
        "gzip": dump.is_gzip,
        "cut_short": dump.cut_short,
        "record_times": prefixed,
        "lines": summary.lines,
        "well_formed": summary.well_formed,
        "by_kind": dict(summary.by_kind.most_common()),
        "by_reason": dict(summary.by_reason.most_common()),
        "time": _time(summary),
        "clock": _clock(summary, zones, now),
        "ratings": scale,
        "users": users,
        "duplicates": _share(summary.by_reason["duplicate"], summary.lines),
        "movies": _movies(summary),
        "requests": _requests(summary),
        "examples": summary.examples,
        "looks_like": "" if summary.well_formed else looks_like(dump.head, summary.lines),
        "settings": [
            {"name": one.name, "value": one.value, "why": one.why}
            for one in _settings(summary, scale, users, now)
        ],
    }


def _share(part: int, whole: int) -> dict[str, Any]:
    return {"lines": part, "share": part / whole if whole else 0.0}


def _time(summary: Summary) -> dict[str, Any] | None:
    first, last = summary.first_us, summary.last_us
    if first > last:
        return None
    return {
        "first": _iso(first),
        "last": _iso(last),
        "lines_per_s": summary.lines / max((last - first) / 1e6, 1.0),
        "before_earliest": summary.before_earliest,
    }


def _time_of(microseconds: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)


def _iso(microseconds: int) -> str:
    return str(np.datetime64(microseconds, "us").astype("datetime64[s]"))


def _clock(summary: Summary, zones: Mapping[str, tzinfo], now: datetime) -> dict[str, Any]:
    clock = summary.site_clock
    known = site_clock.describe(clock, site_clock.contradiction(clock, now))
    example = None
    if clock.found is not None and summary.first_us <= summary.last_us:
        at, offset = _time_of(summary.last_us), timedelta(minutes=clock.found.minutes)
        same = (name for name, zone in zones.items() if at.astimezone(zone).utcoffset() == offset)
        example = next(same, None)
    return {**known, "timed_lines": summary.timed_lines, "example_zone": example}


def _scale(summary: Summary) -> dict[str, Any]:
    """Return the ratings seen, and the scale that all but rare ones are on."""
    counts = summary.ratings
    total = int(counts.sum())
    seen = np.flatnonzero(counts)
    facts: dict[str, Any] = {
        "count": total,
        "min": int(seen[0]) if total else None,
        "max": int(seen[-1]) if total else None,
        "histogram": {str(n): int(counts[n]) for n in seen},
        "scale": None,
        "outside": 0,
    }
    if total:
        rare = _RARE * total
        low = 0 if counts[0] > rare else 1
        high = next((top for top in _TOPS if counts[top + 1 :].sum() <= rare), LARGEST_RATING)
        facts["scale"] = [low, high]
        facts["outside"] = int(counts[:low].sum() + counts[high + 1 :].sum())
    return facts


def _users(summary: Summary) -> dict[str, Any]:
    """Return the largest ids, with and without the few that are far above the others."""
    counts, largest = summary.users.counts, summary.users.largest
    total = int(counts.sum())
    if not total:
        return {"largest": None, "within": None, "limit": None, "beyond": 0, "distinct": 0}
    few = max(int(_RARE_USERS * total), 1 if total >= _FEW else 0)
    above = counts.sum() - np.cumsum(counts)
    step = int(np.flatnonzero(above <= few)[0])
    # The present limit serves, if hardly any id is beyond it.
    present = int(np.searchsorted(USER_STEPS, Limits().max_user_id))
    step = max(step, present)
    limit = int(USER_STEPS[min(step, len(USER_STEPS) - 1)])
    limit = limit if step < len(USER_STEPS) else int(largest.max())
    within = int(largest[: step + 1].max())
    return {
        "largest": int(largest.max()),
        "within": within,
        "limit": limit,
        "beyond": int(above[step]),
        "distinct": summary.users.distinct(within),
    }


def _movies(summary: Summary) -> dict[str, Any]:
    seen, once = summary.movies.seen()
    unknown, examples = None, list[str]()
    if summary.catalog is not None:
        unknown, examples = summary.movies.unknown_to(summary.catalog)
    return {
        "seen": seen,
        "named_once": once,
        "too_many": summary.movies.too_many,
        "catalog": None if summary.catalog is None else len(summary.catalog.runtime_minutes),
        "unknown": unknown,
        "unknown_examples": examples,
    }


def _requests(summary: Summary) -> dict[str, Any]:
    asked = summary.requests
    total = asked.by_status.total()
    return {
        "total": total,
        "successful": asked.successful,
        "share": asked.successful / total if total else None,
        "by_status": {str(status): n for status, n in asked.by_status.most_common()},
        "servers": dict(asked.servers.most_common(10)),
        "errors": dict(asked.errors.most_common(5)),
        "lists": {
            "longest_taken": LONGEST_LIST,
            "too_long": asked.too_long,
            "with_repeats": asked.with_repeats,
            "malformed": summary.by_reason["bad_result"],
        },
        "latency_ms": {"p50": asked.latency_ms(0.5), "p99": asked.latency_ms(_SLOWEST)},
    }


def _settings(
    summary: Summary, ratings: Mapping[str, Any], users: Mapping[str, Any], now: datetime
) -> list[Setting]:
    """Return the variables that the site needs and that are not the default, or not as set now."""
    found = []
    usual, present = Limits(), summary.limits
    if users["limit"] and users["limit"] > min(usual.max_user_id, present.max_user_id):
        why = f"the largest id is {users['within']:,}"
        if users["beyond"]:
            why += f" ({users['beyond']:,} lines beyond it are taken for corrupt)"
        found.append(Setting(settings.MAX_USER_ID, str(users["limit"]), why))
    if ratings["scale"]:
        found += _scale_settings(ratings, usual, present)
    if summary.before_earliest > _RARE * summary.lines:
        day = date.fromisoformat(_iso(summary.earliest_us)[:10]).replace(day=1)
        why = f"{summary.before_earliest:,} lines are of before {present.earliest}"
        found.append(Setting(settings.EARLIEST_EVENT_TIME, day.isoformat(), why))
    some = summary.first_us <= summary.last_us
    if some and now - _time_of(summary.last_us) > timedelta(days=_RETENTION_DAYS):
        why = "maintenance deletes watch events older than half a year, as these are"
        found.append(Setting(settings.WATCH_RETENTION_DAYS, "0", why))
    return found


def _scale_settings(ratings: Mapping[str, Any], usual: Limits, present: Limits) -> list[Setting]:
    low, high = ratings["scale"]
    why = f"ratings are {low} to {high}"
    if ratings["outside"]:
        why += f" ({ratings['outside']:,} others are taken for corrupt)"
    found = []
    for name, value, default, now in (
        (settings.MIN_RATING, low, usual.min_rating, present.min_rating),
        (settings.MAX_RATING, high, usual.max_rating, present.max_rating),
    ):
        if not value == default == now:
            found.append(Setting(name, str(value), why))
    return found


def looks_like(head: bytes, lines: int) -> str:
    """Return what a file without one good line seems to be, by its first bytes."""
    if not head:
        return "an empty file"
    for magic, name in _MAGIC.items():
        if head.startswith(magic):
            return name
    if b"\0" in head:
        return "a binary file"
    first = head.decode("utf-8", "replace").lstrip("\ufeff \t\r\n").partition("\n")[0].strip()
    return _text_like(first, lines)


def _text_like(first: str, lines: int) -> str:
    if first.startswith(("{", "[")):
        return _json_like(first)
    if first.startswith("<"):
        return "HTML or XML: perhaps the answer of a web server, and not the log"
    if "," in first and not any(c.isdigit() for c in first):
        return f"a table with a header line (CSV): {_WANTED}"
    if "\t" in first:
        return f"columns with tabs between them: {_WANTED}"
    if lines == 1:
        return "text without an end of line"
    return "text, but no line of the site's log: see the examples"


_WANTED: Final = "the log's raw lines are wanted, as Kafka has them"


def _json_like(first: str) -> str:
    if '"title"' in first or '"runtime"' in first:
        return "an export of movies: give it as --catalog, and the log's lines as FILE"
    if '"occupation"' in first or '"age"' in first:
        return "an export of users: `movierec catalog load --users` takes it"
    return f"JSON: {_WANTED}, without a wrapping"


_MAGIC: Final[Mapping[bytes, str]] = {
    b"\x1f\x8b": "a gzip file that holds no line of the log, or is damaged",
    b"PK\x03\x04": "a zip file: unpack it first",
    b"\x28\xb5\x2f\xfd": "a zstd file: pipe it in, `zstd -dc FILE | movierec ingest check -`",
    b"\xfd7zXZ": "an xz file: pipe it in, `xz -dc FILE | movierec ingest check -`",
    b"BZh": "a bzip2 file: pipe it in, `bzip2 -dc FILE | movierec ingest check -`",
    b"PAR1": f"a Parquet file: {_WANTED}",
    b"SQLite format": f"an SQLite database: {_WANTED}",
    b"\xff\xfe": "text in UTF-16: convert it to UTF-8 first",
    b"\xfe\xff": "text in UTF-16: convert it to UTF-8 first",
}
