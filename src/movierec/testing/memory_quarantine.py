"""The part of `movierec.testing.memory.MemoryLake` that is about lines in quarantine."""

import threading
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from movierec.lake.quarantined import NewUsers, Offsets, QuarantinedLines, Selection, Span
from movierec.lake.schema import EVENTS, QUARANTINE, USERS
from movierec.lake.site_clock import NO_TIME

_Rows = list[dict[str, Any]]


class MemoryQuarantine(ABC):
    """Reads lines in quarantine, and deletes them, under the lake's lock."""

    _lock: threading.RLock

    @abstractmethod
    def _table_rows(self, table: str) -> _Rows:
        """Return a table's rows, the list itself."""

    @abstractmethod
    def _fail(self, counter: str, doing: str) -> None:
        """Raise UnavailableError if the test has asked for it."""

    def quarantine_spans(self, chosen: Selection) -> list[Span]:
        """Return what is chosen of each partition that has any of it."""
        with self._lock:
            rows = [r for r in self._table_rows(QUARANTINE.name) if _is_chosen(r, chosen)]
        places = sorted({(r["topic"] or "", r["kafka_partition"]) for r in rows})
        return [_span(topic or None, partition, rows) for topic, partition in places]

    def quarantined_lines(
        self,
        chosen: Selection,
        topics: Collection[str | None],
        partition: int,
        *,
        after: int,
        until: int,
        most: int,
    ) -> QuarantinedLines:
        """Return the first `most` chosen lines past an offset, up to and including another."""
        with self._lock:
            found = [
                row
                for row in _of(self._table_rows(QUARANTINE.name), topics, partition)
                if after < row["kafka_offset"] <= until and _is_chosen(row, chosen)
            ]
        found = sorted(found, key=lambda row: int(row["kafka_offset"]))[:most]
        return QuarantinedLines(
            np.array([row["kafka_offset"] for row in found], np.int64),
            [row["raw"] for row in found],
            np.array([_micros(row["record_time"]) for row in found], np.int64),
            np.array([_micros(row["ingested_at"]) for row in found], np.int64),
        )

    def offsets_in_both(
        self, chosen: Selection, topics: Collection[str | None], partition: int
    ) -> frozenset[int]:
        """Return the offsets of the chosen lines that are events as well."""
        with self._lock:
            events = _of(self._table_rows(EVENTS.name), topics, partition)
            waiting = _of(self._table_rows(QUARANTINE.name), topics, partition)
            chosen_offsets = {r["kafka_offset"] for r in waiting if _is_chosen(r, chosen)}
            return frozenset(r["kafka_offset"] for r in events) & chosen_offsets

    def remove_quarantined(
        self, topics: Collection[str | None], offsets: Mapping[int, Offsets]
    ) -> None:
        """Delete lines of a topic, by partition and offset; those that are gone do not matter."""
        gone = {(p, offset) for p, one in offsets.items() for offset in one.tolist()}
        with self._lock:
            self._fail("fail_appends", "deleting from quarantine")
            rows = self._table_rows(QUARANTINE.name)
            rows[:] = [
                row
                for row in rows
                if row["topic"] not in topics
                or (row["kafka_partition"], row["kafka_offset"]) not in gone
            ]
            self._fail("lose_answers", "the answer to a deletion from quarantine")

    def new_users(self, topics: Collection[str | None], after: Mapping[int, int]) -> NewUsers:
        """Return users of a topic's events whom table users lacks."""
        with self._lock:
            rows = [r for r in self._table_rows(EVENTS.name) if r["topic"] in topics]
            listed = {row["user_id"] for row in self._table_rows(USERS.name)}
        reached: dict[int, int] = {}
        for row in rows:
            partition = row["kafka_partition"]
            reached[partition] = max(reached.get(partition, -1), row["kafka_offset"])
        new = [r for r in rows if r["kafka_offset"] > after.get(r["kafka_partition"], -1)]
        created = {row["user_id"] for row in new if row["kind"] == "create_account"} - listed
        others = {row["user_id"] for row in new} - listed - created
        return NewUsers(_sorted(created), _sorted(others), reached)


def _sorted(ids: Collection[int]) -> Offsets:
    return np.array(sorted(ids), np.int64)


def _of(rows: _Rows, topics: Collection[str | None], partition: int) -> _Rows:
    return [r for r in rows if r["topic"] in topics and r["kafka_partition"] == partition]


def _is_chosen(row: Mapping[str, Any], chosen: Selection) -> bool:
    at = row["ingested_at"]
    return (
        row["reason"] in chosen.reasons
        and (chosen.since is None or (at is not None and at >= chosen.since))
        and (chosen.until is None or (at is not None and at < chosen.until))
    )


def _span(topic: str | None, partition: int, rows: Iterable[Mapping[str, Any]]) -> Span:
    offsets = [
        row["kafka_offset"]
        for row in rows
        if row["topic"] == topic and row["kafka_partition"] == partition
    ]
    return Span(topic, partition, min(offsets), max(offsets), len(offsets))


def _micros(time: datetime | None) -> int:
    if time is None:
        return int(NO_TIME)
    return (time - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
