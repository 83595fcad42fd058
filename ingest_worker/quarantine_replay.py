"""Admit lines of quarantine to events, by the present rules and catalog, each exactly once.

Theory of operation. A line moves in two commits: first the event is appended, then the line is
deleted from quarantine. A crash between the two leaves it in both tables until the next replay.

- Only lines up to a partition's transaction in events are considered. The worker commits
  quarantine first: of a batch whose events are still to come it may yet decide otherwise.
- Every commit to events carries a transaction of its own name, one more than was read before
  anything else was. So of two replays at once one is refused, and no line is appended twice.
- Lines that events has already are not appended again, only deleted. They are found by topic,
  partition and offset, not by date: an offset of the site's clock that was found since would give
  the event another date.

Lines that fail again stay as they are, with the reason that they had. Of equal lines near each
other only the first is admitted, as when they were read first.
"""

import functools
import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from ingest_worker.batcher import Joined, event_rows
from ingest_worker.duplicate_filter import RecentLines
from ingest_worker.line_fields import Ints, Mask
from ingest_worker.line_parser import Events, Parsed, binary, parse
from ingest_worker.line_rules import validate
from movierec.lake.log_lines import Catalog, Limits, Reason
from movierec.lake.quarantined import REPLAY, QuarantinedLines, QuarantineLake, Selection, Span
from movierec.lake.schema import EVENTS, Columns
from movierec.lake.site_clock import SiteClock

log = logging.getLogger(__name__)

Partition = tuple[str, int]
"""A topic and the number of one of its partitions."""

# Some 10 MB of lines, and 30 MB of events, at a time.
_BATCH_LINES = 100_000

# To ask the site for; it has fewer movies.
_MOST_IDS = 100_000


@dataclass(slots=True)
class Replayed:
    """What a replay did.

    `left` counts the lines that stay, by the reason that they have now. `unknown_movies` are the
    ids that keep lines waiting, at most so many. `first` has the first offset that was admitted of
    each partition, `reached` the last one that was considered.
    """

    admitted: int = 0
    left: Counter[str] = field(default_factory=Counter)
    unknown_movies: dict[str, None] = field(default_factory=dict)
    first: dict[Partition, int] = field(default_factory=dict)
    reached: dict[Partition, int] = field(default_factory=dict)
    stopped: bool = False


@dataclass(slots=True)
class _Admitted:
    """Lines to append to events, and all that are to be deleted from quarantine."""

    sequence: int
    dry_run: bool
    events: list[Columns] = field(default_factory=list)
    lines: int = 0
    offsets: dict[Partition, list[Ints]] = field(default_factory=lambda: defaultdict(list))


class QuarantineReplay:
    """Replays lines of quarantine.

    `topics` are the settings' own: rows without a topic are of the first. `site_clock` returns a
    topic's clock; `stopping` says that a replay has to end early.
    """

    def __init__(
        self,
        lake: QuarantineLake,
        *,
        catalog: Callable[[], Catalog | None],
        limits: Limits,
        topics: Sequence[str],
        site_clock: Callable[[str], SiteClock],
        stopping: Callable[[], bool] = bool,
        batch_lines: int = _BATCH_LINES,
    ) -> None:
        self._lake = lake
        self._catalog = catalog
        self._limits = limits
        self._first_topic = topics[0]
        self._site_clock = site_clock
        self._stopping = stopping
        self._batch_lines = batch_lines

    def run(
        self,
        chosen: Selection,
        *,
        after: Mapping[Partition, int] | None = None,
        dry_run: bool = False,
    ) -> Replayed:
        """Admit what can be of the chosen lines past some offsets.

        Raises ConflictError when another replay has committed meanwhile: nothing is lost, and what
        this one has committed stays. A dry run changes nothing.
        """
        found = Replayed()
        # Before anything that is decided by what the lake holds.
        sequence = self._lake.transaction(EVENTS.name, REPLAY) or 0
        admitted = _Admitted(sequence, dry_run)
        catalog = self._catalog()
        spans = self._spans(chosen)
        clock_of = functools.cache(self._site_clock)
        for partition, last in spans.items():
            replay = _PartitionReplay(partition, clock_of, self._limits, catalog, found)
            self._replay(replay, chosen, ((after or {}).get(partition, -1), last), admitted)
        self._append(admitted)
        if not dry_run:
            self._remove(admitted.offsets)
        log_as = log.info if found.admitted else log.debug
        log_as("quarantine_replayed", extra={"admitted": found.admitted, "left": dict(found.left)})
        return found

    def topic_names(self, topic: str) -> tuple[str | None, ...]:
        """Return a topic's names in the lake."""
        return (topic, None) if topic == self._first_topic else (topic,)

    def _spans(self, chosen: Selection) -> dict[Partition, int]:
        """Return the last offset to consider of each partition: chosen, and settled."""
        spans: dict[Partition, list[Span]] = defaultdict(list)
        for span in self._lake.quarantine_spans(chosen):
            spans[span.topic or self._first_topic, span.partition].append(span)
        settled = {
            (topic, p): self._lake.transaction(EVENTS.name, f"{topic}-{p}") for topic, p in spans
        }
        return {one: last for one, last in settled.items() if last is not None}

    def _replay(
        self,
        replay: "_PartitionReplay",
        chosen: Selection,
        between: tuple[int, int],
        admitted: _Admitted,
    ) -> None:
        (topic, number), (after, until) = replay.partition, between
        names = self.topic_names(topic)
        in_both: frozenset[int] | None = None
        while not self._stopping():
            lines = self._lake.quarantined_lines(
                chosen, names, number, after=after, until=until, most=self._batch_lines
            )
            if not len(lines):
                replay.found.reached[replay.partition] = until
                return
            if in_both is None:
                in_both = self._lake.offsets_in_both(chosen, names, number)
            events, gone = replay.admit(lines, in_both)
            admitted.offsets[replay.partition].append(gone)
            admitted.events += events
            admitted.lines += len(lines)
            after = int(lines.offsets[-1])
            if admitted.lines >= self._batch_lines:
                self._append(admitted)
        replay.found.stopped = True

    def _append(self, admitted: _Admitted) -> None:
        events, admitted.events, admitted.lines = admitted.events, [], 0
        if events and not admitted.dry_run:
            admitted.sequence += 1
            self._lake.append(EVENTS.name, events, transactions={REPLAY: admitted.sequence})

    def _remove(self, offsets: Mapping[Partition, list[Ints]]) -> None:
        by_topic: dict[str, dict[int, Ints]] = defaultdict(dict)
        for (topic, partition), parts in offsets.items():
            joined = np.concatenate(parts)
            if len(joined):
                by_topic[topic][partition] = joined
        for topic, gone in by_topic.items():
            self._lake.remove_quarantined(self.topic_names(topic), gone)


@dataclass(slots=True)
class _PartitionReplay:
    """Decides on the lines of one partition, in the order of their offsets."""

    partition: Partition
    site_clock: Callable[[str], SiteClock]
    limits: Limits
    catalog: Catalog | None
    found: Replayed
    recent: RecentLines = field(default_factory=RecentLines)

    def admit(self, lines: QuarantinedLines, in_both: frozenset[int]) -> tuple[list[Columns], Ints]:
        """Return the rows to append to events, and the offsets to delete from quarantine."""
        raw, topic = binary(lines.raw), self.partition[0]
        repeated = self.recent.mark(lines.offsets, raw)
        stored = np.isin(lines.offsets, list(in_both))
        parsed = parse(raw).reject(repeated, Reason.DUPLICATE).reject(stored, Reason.DUPLICATE)
        recorded_us = np.where(lines.recorded_us > 0, lines.recorded_us, lines.ingested_us)
        within = validate(parsed, self.limits, None, recorded_us)
        final = validate(within, self.limits, self.catalog, recorded_us)
        self._count(final, within, stored)
        if (final.codes == 0).any():
            self.found.first.setdefault(self.partition, int(lines.offsets[final.codes == 0][0]))
        joined = Joined(
            raw,
            np.full(len(raw), self.partition[1], np.int64),
            lines.offsets,
            lines.recorded_us.astype("datetime64[us]"),
        )
        events = event_rows(final, topic, joined, self.site_clock(topic))
        return events, lines.offsets[(final.codes == 0) | stored]

    def _count(self, final: Parsed, within: Parsed, stored: Mask) -> None:
        self.found.admitted += int(np.count_nonzero(final.codes == 0))
        reasons = final.reasons().filter(pl.Series(~stored[final.rejected]))
        self.found.left.update(reasons.to_list())
        waiting = (within.codes == 0) & (final.codes != 0)
        named = [_movies(rows, waiting) for rows in within.events]
        if self.catalog is not None:
            keep_newest(self.found.unknown_movies, _unknown(named, self.catalog))


def keep_newest[T](ids: dict[T, None], more: Iterable[T]) -> None:
    """Add ids; of too many the oldest are dropped."""
    for one in more:
        ids.pop(one, None)
        ids[one] = None
    while len(ids) > _MOST_IDS:
        del ids[next(iter(ids))]


def _movies(rows: Events, waiting: Mask) -> pl.Series:
    """Return the movies that waiting lines name."""
    index = np.flatnonzero(waiting[rows.lines])
    for column in ("movie_id", "movie_ids"):
        if column in rows.columns:
            ids = pl.Series(rows.columns[column]).gather(index)
            return ids.explode() if column == "movie_ids" else ids
    return pl.Series([], dtype=pl.String)


def _unknown(named: Iterable[pl.Series], catalog: Catalog) -> Iterable[str]:
    ids = pl.concat(named).drop_nulls().unique(maintain_order=True)
    return (one for one in ids.to_list() if one not in catalog.runtime_minutes)
