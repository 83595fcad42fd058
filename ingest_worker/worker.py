"""The worker: reads partitions, flushes batches, and resumes from the lake's transactions.

Theory of operation. Each flush first appends the quarantined lines, then the events; both commits
carry `(topic-partition, last offset)`. The events commit is authoritative:

- A partition is read from its events transaction + 1, whatever the group's committed offset is;
  that is written after the flush, for lag tools alone.
- A crash between the two commits leaves quarantined lines whose events are missing. The next
  owner reads the same offsets again. Rules or catalog may have changed meanwhile and give another
  result: so it skips offsets that are in the quarantine table already, and writes all others to
  the table where they now belong.
- A failed commit may have succeeded, and only its answer was lost. So nothing is retried from
  memory: after any failure the worker drops what it has read, waits, and resumes from the lake's
  transactions.
- Taking over partitions begins with a fence: a commit to events that increments the partitions'
  epoch, and one to quarantine with the same epoch, which every later commit of this worker repeats.
  A worker that lost its partition unawares, even between its two commits, finds a newer epoch in
  the table, or is refused by Delta's conflict check: it relinquishes the partition and rejoins the
  group. (A fencing token: Kleppmann, "Designing Data-Intensive Applications", 2017, chapter 8.)
"""

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from ingest_worker.batcher import Batch, Records, concat, expired_row, prepare
from ingest_worker.duplicate_filter import WINDOW_OFFSETS, RecentLines
from ingest_worker.meter import Meter
from ingest_worker.ports import Source
from ingest_worker.site_clock_watch import SiteClockWatch
from movierec.errors import ConfigError, ConflictError, UnavailableError
from movierec.lake.log_lines import Catalog, Limits
from movierec.lake.ports import Lake
from movierec.lake.schema import EVENTS, QUARANTINE, Columns, length
from movierec.lake.site_clock import SiteClock
from movierec.ports import Clock

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FlushPolicy:
    """When to flush: at a number of lines or bytes, or at the age of the first of them.

    200,000 lines are about 20 MB here and one Delta commit of a second. Five seconds is the lake's
    lag at a busy site's 500 lines/s, as for `served`; each flush is three files that every reader
    opens until compaction, so a shorter lag costs more than it is worth.
    """

    max_lines: int = 200_000
    max_bytes: int = 64 << 20
    max_age_s: float = 5.0


@dataclass(slots=True)
class _Partition:
    """State of an owned partition."""

    name: str
    epoch: int
    """Fencing epoch: only the newest owner may write events."""
    in_events: int
    in_quarantine: int
    quarantined: frozenset[int]
    """Offsets past `in_events` that are quarantined already."""
    reached: int = -1
    """The last offset that was passed, whether it held a record or not."""
    expired: tuple[int, int] | None = None
    """First and last of the offsets that Kafka deleted before they were read."""
    recent: RecentLines = field(default_factory=RecentLines)
    pending: list[Records] = field(default_factory=list)


NOTHING_YET = -1
"""The offset before the first, and the epoch before the first."""


def identity_of(topic: str) -> str:
    """Return the name of the transaction that holds the topic's id."""
    return f"{topic}:id"


def epoch_of(partition_name: str) -> str:
    """Return the name of the transaction that holds a partition's epoch."""
    return f"{partition_name}:term"


class Worker:
    """One member of the consumer group.

    `pause` waits for some seconds, and returns True if the worker has to stop meanwhile.
    """

    def __init__(
        self,
        source: Source,
        lake: Lake,
        clock: Clock,
        *,
        catalog: Callable[[], Catalog | None],
        limits: Limits,
        policy: FlushPolicy,
        site_clock: SiteClock,
        pause: Callable[[float], bool],
        meter: Meter,
    ) -> None:
        self._source = source
        self._lake = lake
        self._clock = clock
        self._catalog = catalog
        self._limits = limits
        self._policy = policy
        self._site_clock = site_clock
        self._site_clock_watch = SiteClockWatch(source.topic, site_clock, meter)
        self._pause = pause
        self._meter = meter
        self._owned: dict[int, _Partition] = {}
        self._pending_lines = 0
        self._pending_bytes = 0
        self._first_pending_at: float | None = None

    def assigned(self, partitions: Iterable[int]) -> None:
        """Take over partitions at the offsets in the lake; retries until the lake answers.

        Raises ConfigError when the topic is not the one that the lake's rows came from.
        """
        wanted = list(partitions)
        delay_s = _FIRST_RETRY_S
        while True:
            try:
                self._take_over(wanted)
            except (ConflictError, UnavailableError) as exc:
                log.warning("take_over_failed", extra={"error": str(exc), "retry_in_s": delay_s})
                self._meter.failed(str(exc))
                if self._pause(delay_s):
                    return
                delay_s = min(delay_s * 2, _LAST_RETRY_S)
            else:
                return

    def revoked(self, partitions: Iterable[int]) -> None:
        """Flush, then release partitions; on failure their next owner reads the lines again."""
        try:
            self._flush_once()
        except (ConflictError, UnavailableError) as exc:
            log.warning("flush_failed", extra={"error": str(exc)})
        self._forget(partitions)

    def lost(self, partitions: Iterable[int]) -> None:
        """Drop partitions that another worker owns already."""
        self._forget(partitions)

    def step(self, timeout_s: float) -> None:
        """Read once, and flush if the policy says so."""
        for partition, records in self._source.poll(timeout_s).items():
            self._add(partition, records)
        self._pass_by()
        if self._due():
            self.flush()

    def flush(self) -> None:
        """Write all pending lines; on failure resume from the lake's transactions."""
        partitions = list(self._moved())
        try:
            self._flush_once()
        except ConflictError as exc:
            log.warning("flush_refused", extra={"error": str(exc)})
            self._relinquish(partitions)
        except UnavailableError as exc:
            log.warning("flush_failed", extra={"error": str(exc), "retry_in_s": _FIRST_RETRY_S})
            self._meter.failed(str(exc))
            if not self._pause(_FIRST_RETRY_S):
                self.assigned(partitions)

    def _take_over(self, partitions: list[int]) -> None:
        names = {p: f"{self._source.topic}-{p}" for p in partitions}
        self._check_identity(names)
        epochs = self._fence(names)
        for partition, name in names.items():
            self._resume(partition, name, epochs[partition])

    def _check_identity(self, names: Mapping[int, str]) -> None:
        """Raise ConfigError for another topic of the same name; remember the first one's id."""
        present = self._source.topic_id()
        name = identity_of(self._source.topic)
        known = self._lake.transaction(EVENTS.name, name)
        if present is None or not names:
            return
        if known is None:
            self._lake.append(EVENTS.name, [], transactions={name: present})
        elif known != present:
            raise ConfigError(_MADE_AGAIN.format(topic=self._source.topic))

    def _fence(self, names: Mapping[int, str]) -> dict[int, int]:
        """Begin a new epoch for each partition, before its other transactions are read."""
        epochs = {
            p: _or_nothing(self._lake.transaction(EVENTS.name, epoch_of(name))) + 1
            for p, name in names.items()
        }
        fence = {epoch_of(name): epochs[p] for p, name in names.items()}
        if fence:
            self._lake.append(EVENTS.name, [], transactions=fence)
            self._fence_quarantine(fence)
        return epochs

    def _fence_quarantine(self, fence: Mapping[str, int]) -> None:
        for name, epoch in fence.items():
            if _or_nothing(self._lake.transaction(QUARANTINE.name, name)) >= epoch:
                raise ConflictError(f"{name}: another worker has taken over at the same time")
        self._lake.append(QUARANTINE.name, [], transactions=fence)

    def _resume(self, partition: int, name: str, epoch: int) -> None:
        in_events = _or_nothing(self._lake.transaction(EVENTS.name, name))
        in_quarantine = _or_nothing(self._lake.transaction(QUARANTINE.name, name))
        oldest, end = self._check_bounds(partition, name, in_events)
        already: frozenset[int] = frozenset()
        if in_quarantine > in_events:
            already = self._lake.quarantined_offsets(
                (self._source.topic, None), partition, after=in_events
            )
        self._owned[partition] = _Partition(
            name,
            epoch,
            in_events,
            in_quarantine,
            already,
            expired=self._expired(name, in_events, oldest),
        )
        now_ms = self._clock.now().timestamp() * 1000
        self._meter.resumed(name, stored=in_events, end=end, now_ms=now_ms)
        self._source.seek(partition, max(in_events + 1 - WINDOW_OFFSETS, oldest))
        log.info("partition_assigned", extra={"partition": name, "in_events": in_events})

    def _check_bounds(self, partition: int, name: str, in_events: int) -> tuple[int, int]:
        """Return the oldest offset there is, and the one after the newest line.

        Raises ConfigError if the log ends before the lake does.
        """
        oldest, end = self._source.bounds(partition)
        if end < in_events + 1:
            raise ConfigError(
                f"{name} ends at offset {end}, but the lake holds its lines up to {in_events}: "
                + _MADE_AGAIN.format(topic=self._source.topic)
            )
        return oldest, end

    def _expired(self, name: str, in_events: int, oldest: int) -> tuple[int, int] | None:
        """Return the first and last offset that Kafka deleted unread, None without any.

        A first read of a topic begins where Kafka does: that is said, and nothing is missing.
        """
        if oldest <= in_events + 1:
            return None
        lost = (in_events + 1, oldest - 1)
        log.error("offsets_expired", extra={"partition": name, "first": lost[0], "next": oldest})
        if in_events == NOTHING_YET:
            return None
        self._meter.expired(lost[1] - lost[0] + 1)
        return lost

    def _add(self, partition: int, records: Records) -> None:
        owned = self._owned.get(partition)
        if owned is None:
            return
        # Already stored: they only fill the duplicate filter.
        done = records.until(owned.in_events)
        if len(done.offsets):
            owned.recent.mark(done.offsets, done.lines)
        fresh = records.after(owned.in_events)
        if not len(fresh.offsets):
            return
        owned.pending.append(fresh)
        end = self._source.end(partition) or int(fresh.offsets[-1]) + 1
        self._meter.read(owned.name, written_ms=int(fresh.written_ms[0]), end=end)
        self._pending_lines += len(fresh.offsets)
        self._pending_bytes += fresh.size_bytes
        if self._first_pending_at is None:
            self._first_pending_at = self._clock.now().timestamp()

    def _pass_by(self) -> None:
        """Note offsets that hold no records of ours, so that nobody waits for them."""
        for partition, owned in self._owned.items():
            position = self._source.position(partition)
            if position - 1 > max(owned.in_events, owned.reached):
                owned.reached = position - 1
                if self._first_pending_at is None:
                    self._first_pending_at = self._clock.now().timestamp()

    def _due(self) -> bool:
        if self._first_pending_at is None:
            return False
        age_s = self._clock.now().timestamp() - self._first_pending_at
        return (
            self._pending_lines >= self._policy.max_lines
            or self._pending_bytes >= self._policy.max_bytes
            or age_s >= self._policy.max_age_s
        )

    def _moved(self) -> dict[int, _Partition]:
        return {p: o for p, o in self._owned.items() if o.pending or o.reached > o.in_events}

    def _flush_once(self) -> None:
        moved = self._moved()
        batch = self._prepared(moved)
        if moved:
            self._commit(batch)

    def _prepared(self, moved: Mapping[int, _Partition]) -> Batch:
        """Return the rows of all that is pending, which is kept no longer."""
        pending = {p: concat(owned.pending) for p, owned in moved.items() if owned.pending}
        for owned in self._owned.values():
            owned.pending = []
        self._pending_lines, self._pending_bytes, self._first_pending_at = 0, 0, None
        batch = prepare(
            self._source.topic,
            pending,
            {p: moved[p].recent for p in pending},
            limits=self._limits,
            catalog=self._catalog() if pending else None,
            now=self._clock.now(),
            site_clock=self._site_clock,
        )
        self._site_clock_watch.check(self._clock.now())
        batch = batch.without({p: moved[p].quarantined for p in pending})
        last = {p: max(o.reached, batch.last_offsets.get(p, o.in_events)) for p, o in moved.items()}
        return replace(batch, last_offsets=last)

    def _commit(self, batch: Batch) -> None:
        epochs = {epoch_of(self._owned[p].name): self._owned[p].epoch for p in batch.last_offsets}
        quarantined = self._commit_quarantine(batch, epochs)
        transactions = {self._owned[p].name: last for p, last in batch.last_offsets.items()}
        version = self._lake.append(EVENTS.name, batch.events, transactions=transactions | epochs)
        for partition, last in batch.last_offsets.items():
            self._owned[partition].in_events = last
        self._source.commit(batch.last_offsets)
        events = sum(map(length, batch.events))
        lines, now_ms = events + quarantined.total(), self._clock.now().timestamp() * 1000
        last_offsets = {self._owned[p].name: last for p, last in batch.last_offsets.items()}
        self._meter.stored(last_offsets, lines=lines, quarantined=quarantined, now_ms=now_ms)
        log.info(
            "batch_stored",
            extra={
                "version": version,
                "events": events,
                "quarantined": quarantined.total(),
                **transactions,
            },
        )

    def _commit_quarantine(self, batch: Batch, epochs: dict[str, int]) -> Counter[str]:
        """Append the quarantined lines, and return how many by reason.

        Also when there are none: the commit conflicts if another worker, with another catalog, has
        quarantined some of these offsets, before they become events as well.
        """
        # Never lowered: after a crash a shorter batch may end before the table's transaction.
        reached = {
            p: max(last, self._owned[p].in_quarantine) for p, last in batch.last_offsets.items()
        }
        transactions = {self._owned[p].name: last for p, last in reached.items()}
        rows = [batch.quarantined, *self._expired_rows(batch.last_offsets)]
        self._lake.append(QUARANTINE.name, rows, transactions=transactions | epochs)
        for partition, last in reached.items():
            self._owned[partition].in_quarantine = last
            self._owned[partition].expired = None
        return Counter(batch.quarantined["reason"])

    def _expired_rows(self, partitions: Iterable[int]) -> Iterator[Columns]:
        """Yield a row for each gap that Kafka's retention has left, unless an earlier try did."""
        for partition in partitions:
            owned = self._owned[partition]
            if owned.expired and owned.expired[0] not in owned.quarantined:
                yield expired_row(self._source.topic, partition, owned.expired, self._clock.now())

    def _relinquish(self, partitions: list[int]) -> None:
        log.warning("partitions_given_up", extra={"partitions": partitions})
        self._forget(partitions)
        self._source.relinquish(partitions)

    def _forget(self, partitions: Iterable[int]) -> None:
        for partition in partitions:
            owned = self._owned.pop(partition, None)
            if owned is not None:
                self._meter.forgotten([owned.name])


_MADE_AGAIN = (
    "topic {topic} was deleted and made again: its lines would be taken for those that the lake "
    "has. Give the new topic another name (MOVIEREC_TOPIC), or the worker another lake"
)

# The emulator restarts in about four seconds; in a long outage a try every half minute is enough.
_FIRST_RETRY_S = 0.5
_LAST_RETRY_S = 30.0


def _or_nothing(offset: int | None) -> int:
    return NOTHING_YET if offset is None else offset
