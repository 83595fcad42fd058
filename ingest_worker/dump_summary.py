"""What a dump of the site's log holds: counts, ranges and examples, a batch at a time.

Ratings, users and movies are counted of every line that keeps the grammar and is no duplicate,
also of those that the present limits send to quarantine: they show which limits the site needs.
"""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from ingest_worker.duplicate_filter import RecentLines
from ingest_worker.line_fields import Ints
from ingest_worker.line_parser import Events, Parsed
from ingest_worker.line_rules import DAY_US, validate
from movierec.lake.log_lines import Catalog, Limits, Reason
from movierec.lake.site_clock import SiteClock

USER_STEPS: Final = np.array([k * 10**e for e in range(18) for k in (1, 2, 5)], np.int64)
"""Round numbers, 1, 2 and 5 times each power of ten: user ids are counted between them."""

LARGEST_RATING: Final = 101
"""Ratings are counted one by one up to here; larger ones count as this."""

LONGEST_LIST: Final = 20
"""The site takes no list of more movies."""

_EXAMPLES: Final = 3
_EXAMPLE_BYTES: Final = 300
# Of a site's own servers and errors there are a dozen; of junk, more than memory has room for.
_NAMES: Final = 1_000
_MOVIES: Final = 2_000_000
# User ids below this are counted exactly, a byte for each.
_USERS: Final = 1 << 24
_LATENCIES_MS: Final = 10_000
_ERROR_LETTERS: Final = 60
_OK: Final = 200
_MS: Final = 1_000


class Summary:
    """Counts over all lines added so far."""

    def __init__(
        self, limits: Limits, catalog: Catalog | None, now: datetime, site_clock: SiteClock
    ) -> None:
        self.limits = limits
        self.catalog = catalog
        self.site_clock = site_clock
        self.lines = 0
        self.timed_lines = 0
        self.well_formed = 0
        """Lines that keep the grammar and are no duplicates."""
        self.by_kind = Counter[str]()
        self.by_reason = Counter[str]()
        self.examples: dict[str, list[str]] = {}
        # Of plausible times only; the first is after the last while there is none.
        self.first_us, self.last_us = np.iinfo(np.int64).max, np.iinfo(np.int64).min
        self.before_earliest = 0
        self.earliest_us = np.iinfo(np.int64).max
        self.ratings = np.zeros(LARGEST_RATING + 1, np.int64)
        self.users = Users()
        self.movies = Movies()
        self.requests = Requests()
        self._now_us = int(now.timestamp() * 1_000_000)
        self._recent = RecentLines()

    def add(self, lines: pl.Series, written_ms: Ints, parsed: Parsed) -> None:
        """Count the next lines; `written_ms` is when each was recorded, not positive for none."""
        offsets = np.arange(self.lines, self.lines + len(lines))
        repeated = self._recent.mark(offsets, lines)
        parsed = parsed.reject(repeated, Reason.DUPLICATE)
        recorded_us = np.where(written_ms > 0, written_ms * _MS, self._now_us)
        self._learn_times(parsed, written_ms, recorded_us)
        self._learn(parsed)
        valid = validate(parsed, self.limits, self.catalog, recorded_us)
        self._count(valid, lines)
        self.lines += len(lines)
        self.timed_lines += int((written_ms > 0).sum())

    def _learn_times(self, parsed: Parsed, written_ms: Ints, recorded_us: Ints) -> None:
        local_us = np.concatenate([rows.local_us for rows in parsed.events])
        at = np.concatenate([rows.lines for rows in parsed.events])
        self.well_formed += len(at)
        order = np.argsort(at, kind="stable")
        self.site_clock.observe(local_us[order], written_ms[at[order]] * _MS)
        earliest_us = np.datetime64(self.limits.earliest, "us").astype(np.int64)
        before = local_us[local_us < earliest_us]
        if len(before):
            self.before_earliest += len(before)
            self.earliest_us = min(self.earliest_us, int(before.min()))
        plausible = local_us[(local_us >= earliest_us) & (local_us <= recorded_us[at] + DAY_US)]
        if len(plausible):
            self.first_us = min(self.first_us, int(plausible.min()))
            self.last_us = max(self.last_us, int(plausible.max()))

    def _learn(self, parsed: Parsed) -> None:
        for rows in parsed.events:
            columns = rows.columns
            self.users.add(np.asarray(columns["user_id"]))
            if "movie_id" in columns:
                self.movies.add(pl.Series(columns["movie_id"]))
            if "rating" in columns:
                seen = np.minimum(np.asarray(columns["rating"]), LARGEST_RATING)
                self.ratings += np.bincount(seen, minlength=LARGEST_RATING + 1)
            if "status" in columns:
                self.requests.add(rows)

    def _count(self, valid: Parsed, lines: pl.Series) -> None:
        for rows in valid.events:
            if len(rows.lines):
                self.by_kind[str(rows.columns["kind"][0])] += len(rows.lines)
        reasons = valid.reasons()
        for reason, count in zip(*_value_counts(reasons), strict=True):
            self.by_reason[reason] += count
            kept = self.examples.setdefault(reason, [])
            if len(kept) < _EXAMPLES:
                places = (reasons == reason).arg_true()[: _EXAMPLES - len(kept)].to_numpy()
                kept += [_readable(lines[int(i)]) for i in valid.rejected[places]]


def _readable(line: bytes) -> str:
    text = line[:_EXAMPLE_BYTES].decode("utf-8", "backslashreplace").rstrip("\r\n")
    return text + (" ..." if len(line) > _EXAMPLE_BYTES else "")


def _value_counts(values: pl.Series) -> tuple[list[Any], list[int]]:
    counts = values.rename("value").value_counts()
    return counts["value"].to_list(), counts["count"].to_list()


class Users:
    """User ids: how many between round numbers, and the largest of each."""

    def __init__(self) -> None:
        self.counts = np.zeros(len(USER_STEPS) + 1, np.int64)
        self.largest = np.zeros(len(USER_STEPS) + 1, np.int64)
        self._seen = np.zeros(_USERS, np.bool_)

    def add(self, ids: Ints) -> None:
        """Count ids."""
        step = np.searchsorted(USER_STEPS, ids)
        self.counts += np.bincount(step, minlength=len(self.counts))
        np.maximum.at(self.largest, step, ids)
        self._seen[ids[ids < _USERS]] = True

    def distinct(self, most: int) -> int:
        """Return how many different ids up to `most` there are, of those below 2**24."""
        return int(self._seen[: most + 1].sum())


class Movies:
    """Movies that were watched or rated, and in how many lines each."""

    def __init__(self) -> None:
        self._counts = pl.DataFrame(schema={"movie": pl.String, "lines": pl.UInt32})
        self.too_many = False

    def add(self, ids: pl.Series) -> None:
        """Count ids; past two million different ones no new ones are counted."""
        new = ids.alias("movie").value_counts(name="lines")
        both = pl.concat([self._counts, new.cast({"lines": pl.UInt32})])
        merged = both.group_by("movie", maintain_order=True).agg(pl.col("lines").sum())
        self.too_many |= len(merged) > _MOVIES
        self._counts = merged.head(_MOVIES)

    def seen(self) -> tuple[int, int]:
        """Return the number of movies, and how many of them one line alone names."""
        return len(self._counts), int((self._counts["lines"] == 1).sum())

    def unknown_to(self, catalog: Catalog) -> tuple[int, list[str]]:
        """Return how many movies a catalog lacks, and those that most lines name."""
        known = self._counts["movie"].is_in(list(catalog.runtime_minutes))
        unknown = self._counts.filter(~known).sort("lines", descending=True)
        return len(unknown), unknown["movie"].head(_EXAMPLES).to_list()


class Requests:
    """Recommendation requests: how the site saw them answered."""

    def __init__(self) -> None:
        self.by_status = Counter[int]()
        self.servers = Counter[str]()
        self.errors = Counter[str]()
        self.too_long = 0
        self.with_repeats = 0
        self._latency_ms = np.zeros(_LATENCIES_MS + 1, np.int64)

    def add(self, rows: Events) -> None:
        """Count requests."""
        columns: Mapping[str, Any] = rows.columns
        for status, count in zip(*_value_counts(pl.Series(columns["status"])), strict=True):
            self.by_status[status] += count
        _add_names(self.servers, columns["server"])
        _add_names(self.errors, columns["error"].drop_nulls().str.head(_ERROR_LETTERS))
        sizes = columns["movie_ids"].list.len()
        self.too_long += int((sizes > LONGEST_LIST).sum())
        self.with_repeats += int((columns["movie_ids"].list.n_unique() < sizes).sum())
        latency = np.minimum(np.asarray(columns["latency_ms"]), _LATENCIES_MS)
        self._latency_ms += np.bincount(latency, minlength=_LATENCIES_MS + 1)

    def latency_ms(self, share: float) -> int | None:
        """Return the time within which a share of the requests were answered."""
        total = int(self._latency_ms.sum())
        if not total:
            return None
        cumulated: npt.NDArray[np.int64] = np.cumsum(self._latency_ms)
        return int(np.searchsorted(cumulated, share * total))

    @property
    def successful(self) -> int:
        """How many have status 200."""
        return self.by_status[_OK]


def _add_names(counts: Counter[str], names: pl.Series) -> None:
    for name, count in zip(*_value_counts(names), strict=True):
        if name in counts or len(counts) < _NAMES:
            counts[name] += count
