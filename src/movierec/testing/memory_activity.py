"""What happened lately, computed from a lake in memory."""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from movierec.lake.activity import (
    Answers,
    Exposure,
    LakeActivity,
    LineCount,
    Quarantined,
    ServedGroup,
    Window,
)
from movierec.lake.schema import EVENTS, MOVIES, QUARANTINE, SERVED, USERS
from movierec.lake.served import Served, from_row
from movierec.testing.memory import MemoryLake

_Rows = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class MemoryActivity:
    """`movierec.lake.activity.LakeActivity`; it fails as the lake does, by its `fail_reads`."""

    lake: MemoryLake

    def answers(self, window: Window) -> Answers:
        """Return what the site logged of its requests."""
        return _answers(self._requests(window))

    def answers_by_slot(self, window: Window) -> Sequence[Answers]:
        """Return the same by slot, in order; slots without requests are left out."""
        slots = _grouped(self._requests(window), lambda row: window.slot_of(row["event_time"]))
        return [_answers(slots[at], at) for at in sorted(slots)]

    def served(self, window: Window) -> Sequence[ServedGroup]:
        """Return the recommendations by version, model and source, most first."""
        rows = _within(self._read(SERVED.name), "served_at", window)
        counted = Counter(
            (
                str(row["function_version"] or ""),
                str(row["model_version"] or ""),
                str(row["source"] or ""),
            )
            for row in rows
        )
        ordered = sorted(counted.items(), key=lambda item: (-item[1], item[0]))
        return [ServedGroup(*key, requests=requests) for key, requests in ordered]

    def lines(self, window: Window) -> Sequence[LineCount]:
        """Return the events by slot and kind, in order."""
        rows = _within(self._read(EVENTS.name), "event_time", window)
        counted = Counter((window.slot_of(row["event_time"]), row["kind"]) for row in rows)
        return [LineCount(at, kind, counted[at, kind]) for at, kind in sorted(counted)]

    def quarantined(self, since: datetime, examples: int) -> Sequence[Quarantined]:
        """Return what came to quarantine since a time, by reason, most first."""
        rows = [row for row in self._read(QUARANTINE.name) if row["ingested_at"] >= since]
        reasons = _grouped(rows, lambda row: str(row["reason"]))
        found = [_quarantined(reason, some, examples) for reason, some in reasons.items()]
        return sorted(found, key=lambda each: (-each.lines, each.reason))

    def served_to(self, user_id: int, most: int) -> Sequence[Served]:
        """Return the newest recommendations of a user, newest first."""
        rows = [from_row(row) for row in self._read(SERVED.name) if row["user_id"] == user_id]
        return sorted(rows, key=lambda row: row.served_at, reverse=True)[:most]

    def did(self, user_id: int, most: int) -> Sequence[Mapping[str, Any]]:
        """Return the newest watch and rate events of a user, newest first, as rows."""
        rows = [
            row
            for row in self._read(EVENTS.name)
            if row["user_id"] == user_id and row["kind"] in ("watch", "rate")
        ]
        days = _grouped(rows, lambda row: (row["kind"], row["movie_id"], row["event_date"]))
        found = [_did(some) for some in days.values()]
        return sorted(found, key=lambda row: row["event_time"], reverse=True)[:most]

    def profile(self, user_id: int) -> Mapping[str, Any] | None:
        """Return what the site said last of a user, None if nothing."""
        return _newest(row for row in self._read(USERS.name) if row["user_id"] == user_id)

    def movie(self, movie_id: str) -> Mapping[str, Any] | None:
        """Return what the catalog says of a movie, None if it lacks it."""
        return _newest(row for row in self._read(MOVIES.name) if row["movie_id"] == movie_id)

    def exposure(self, movie_id: str, window: Window) -> Sequence[Exposure]:
        """Return a movie's exposure by model version, most first."""
        events = _within(self._read(EVENTS.name), "event_time", window)
        watched = (r for r in events if r["kind"] == "watch" and r["movie_id"] == movie_id)
        seen = {row["user_id"] for row in watched}
        lists = _within(self._read(SERVED.name), "served_at", window)
        having = [row for row in lists if movie_id in (row["movie_ids"] or ())]
        models = _grouped(having, lambda row: str(row["model_version"] or ""))
        found = [_exposure(name, rows, movie_id, seen) for name, rows in models.items()]
        return sorted(found, key=lambda each: (-each.lists, each.model_version))

    def titles(self, movie_ids: Collection[str]) -> Mapping[str, str]:
        """Return the titles of those of these movies that the catalog names."""
        rows = sorted(self._read(MOVIES.name), key=lambda row: row["loaded_at"])
        named = {row["movie_id"]: row["title"] for row in rows if row["title"]}
        return {movie_id: named[movie_id] for movie_id in movie_ids if movie_id in named}

    def _requests(self, window: Window) -> _Rows:
        rows = _within(self._read(EVENTS.name), "event_time", window)
        return [row for row in rows if row["kind"] == "recommend"]

    def _read(self, table: str) -> _Rows:
        self.lake.count(table)  # fails where the test wants it
        return self.lake.rows(table)


def _grouped[K](
    rows: Iterable[dict[str, Any]], key: Callable[[dict[str, Any]], K]
) -> dict[K, _Rows]:
    found: dict[K, _Rows] = defaultdict(list)
    for row in rows:
        found[key(row)].append(row)
    return found


def _within(rows: _Rows, time: str, window: Window) -> _Rows:
    return [row for row in rows if row[time] and window.since <= row[time] < window.until]


def _answers(rows: _Rows, at: datetime | None = None) -> Answers:
    good = sorted(row["latency_ms"] or 0 for row in rows if row["status"] == 200)  # noqa: PLR2004  HTTP
    p50, p95, p99 = (
        float(good[math.ceil(q * len(good)) - 1]) if good else None for q in (0.5, 0.95, 0.99)
    )
    return Answers(len(rows), len(good), p50, p95, p99, at)


def _quarantined(reason: str, rows: _Rows, examples: int) -> Quarantined:
    newest_first = sorted(
        rows, key=lambda row: (row["ingested_at"], row["kafka_offset"] or 0), reverse=True
    )
    oldest, newest = newest_first[-1]["ingested_at"], newest_first[0]["ingested_at"]
    raw = tuple(row["raw"] for row in newest_first[:examples])
    return Quarantined(reason, len(rows), oldest, newest, raw)


def _did(rows: _Rows) -> dict[str, Any]:
    last = max(rows, key=lambda row: row["event_time"])
    minutes = [row["minute"] for row in rows if row["minute"] is not None]
    return {
        "kind": last["kind"],
        "movie_id": last["movie_id"],
        "event_time": last["event_time"],
        "minute": max(minutes, default=None),
        "rating": last["rating"],
    }


def _newest(rows: Iterable[dict[str, Any]]) -> dict[str, Any] | None:
    return max(rows, key=lambda row: row["loaded_at"], default=None)


def _exposure(model: str, rows: _Rows, movie_id: str, seen: set[int]) -> Exposure:
    users = {row["user_id"] for row in rows}
    ranks = [row["movie_ids"].index(movie_id) + 1 for row in rows]
    return Exposure(model, len(rows), len(users), sum(ranks) / len(ranks), len(users & seen))


def _port() -> type[LakeActivity]:
    """Have mypy check this class against its Protocol."""
    return MemoryActivity
