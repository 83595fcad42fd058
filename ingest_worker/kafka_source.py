"""The worker's source on kafka-python."""

import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

from kafka import ConsumerRebalanceListener, TopicPartition
from kafka.errors import (
    KafkaError,
    LogTruncationError,
    OffsetOutOfRangeError,
    UnsupportedCodecError,
)
from kafka.structs import OffsetAndMetadata

from ingest_worker.batcher import Records
from ingest_worker.record_batches import ColumnConsumer
from movierec.errors import ConfigError, UnavailableError
from movierec.kafka import topics
from movierec.runtime import entrypoint

log = logging.getLogger(__name__)

GROUP = "movierec-ingest"

# A flush that waits for a lake that is down keeps the partitions for ten minutes; a worker that
# takes longer is fenced off by its transactions.
MAX_POLL_INTERVAL_MS = 600_000
# Failover time of a killed worker's partitions; Kafka's default is 45 s. A slow worker that is
# declared dead is fenced off by its transactions too.
SESSION_TIMEOUT_S = 10.0
# Startup fails after this time without a broker.
_BOOTSTRAP_TIMEOUT_MS = 10_000
# kafka-python waits ever longer for a broker that is down, up to 30 s: lines would wait as long.
RECONNECT_BACKOFF_MAX_MS = 1_000
# New partitions, and a topic whose creation has not reached the broker that was asked, are noticed
# after this time; Kafka's default is five minutes.
METADATA_MAX_AGE_MS = 10_000


@contextmanager
def kafka_errors(options: Mapping[str, Any], topic: str, done: str) -> Iterator[None]:
    """Translate kafka-python's errors; `done` says what could not be done to the topic."""
    try:
        yield
    except UnsupportedCodecError as exc:
        raise ConfigError(
            f"topic {topic} holds records that cannot be unpacked ({exc}): install the "
            "`ingest` extra, which has gzip, snappy, lz4 and zstd"
        ) from exc
    except KafkaError as exc:
        servers = ",".join(options["bootstrap_servers"])
        raise UnavailableError(
            f"kafka {servers}, topic {topic}, could not be {done}: "
            f"{type(exc).__name__} {exc}; {UnavailableError.next_step}"
        ) from exc


class RebalanceListener(Protocol):
    """Callbacks for the group's rebalances."""

    def assigned(self, partitions: Iterable[int]) -> None:
        """Take over partitions, before their first record is polled."""
        ...

    def revoked(self, partitions: Iterable[int]) -> None:
        """Finish and release partitions; their next owner waits for this to return."""
        ...

    def lost(self, partitions: Iterable[int]) -> None:
        """Drop partitions that have another owner already."""
        ...


class _OffsetsGoneError(Exception):
    """Offsets that are not in Kafka any more were to be read."""

    def __init__(self, partitions: list[TopicPartition]) -> None:
        super().__init__(partitions)
        self.partitions = partitions


class KafkaSource(ConsumerRebalanceListener):  # type: ignore[misc]
    """`ingest_worker.worker.Source` on one topic, as a member of the consumer group.

    kafka-python logs an exception in a rebalance callback and goes on. So the callback of an
    assignment only records it and pauses the partitions; `poll` then carries it out, where an
    error reaches the caller. An error in a revocation is stored and raised there too.
    """

    def __init__(
        self,
        options: Mapping[str, Any],
        topic: str,
        *,
        poll_lines: int,
        session_timeout_s: float = SESSION_TIMEOUT_S,
    ) -> None:
        self.topic = topic
        self._options = options
        self._new: list[TopicPartition] | None = None
        self._failed: BaseException | None = None
        self._rejoin = False
        self._owner: RebalanceListener
        with self._errors("joined"):
            self._consumer = ColumnConsumer(
                poll_lines=poll_lines,
                group_id=GROUP,
                enable_auto_commit=False,
                # The owner says where to read; an offset that is not there is the owner's matter.
                auto_offset_reset="none",
                # Records of a transaction that was aborted are no lines of the site.
                isolation_level="read_committed",
                metadata_max_age_ms=METADATA_MAX_AGE_MS,
                max_poll_interval_ms=MAX_POLL_INTERVAL_MS,
                session_timeout_ms=int(session_timeout_s * 1000),
                heartbeat_interval_ms=int(session_timeout_s * 1000 / 3),
                bootstrap_timeout_ms=_BOOTSTRAP_TIMEOUT_MS,
                reconnect_backoff_max_ms=RECONNECT_BACKOFF_MAX_MS,
                **options,
            )

    def listen(self, owner: RebalanceListener) -> None:
        """Join the group; `owner` gets its rebalances."""
        self._owner = owner
        self._consumer.subscribe([self.topic], listener=self)

    def poll(self, timeout_s: float) -> Mapping[int, Records]:
        """Return new records by partition; waits at most `timeout_s` for the first.

        Raises ConfigError for a compression whose library is not installed.
        """
        if self._rejoin:
            self._rejoin = False
            self._consumer.unsubscribe()
            self._consumer.subscribe([self.topic], listener=self)
        polled = self._polled(timeout_s)
        self._raise_failure()
        self._carry_out_assignment()
        return {place.partition: records for place, records in polled.items()}

    def _polled(self, timeout_s: float) -> Mapping[TopicPartition, Records]:
        try:
            with self._errors("polled"):
                return self._consumer.poll_columns(timeout_s)
        except _OffsetsGoneError as exc:
            self._take_over_again(exc.partitions)
            return {}

    def _take_over_again(self, partitions: list[TopicPartition]) -> None:
        """Have the owner see what retention has deleted, or another topic of the same name."""
        self._consumer.pause(*partitions)
        self._new = [*(self._new or []), *partitions]

    def topic_id(self) -> int | None:
        """Return a number that a topic made again would not have; None if brokers have none."""
        return topics.topic_id(self._options, self.topic)

    def seek(self, partition: int, offset: int) -> None:
        """Continue reading at an offset."""
        self._consumer.seek(TopicPartition(self.topic, partition), offset)

    def bounds(self, partition: int) -> tuple[int, int]:
        """Return the oldest available offset, and the one after the newest."""
        one = TopicPartition(self.topic, partition)
        with self._errors("asked for its offsets"):
            oldest, end = self._consumer.beginning_offsets([one]), self._consumer.end_offsets([one])
        return oldest[one], end[one]

    def end(self, partition: int) -> int | None:
        """Return the offset after the newest line as of the last poll, None before; without I/O."""
        found: int | None = self._consumer.highwater(TopicPartition(self.topic, partition))
        return found

    def position(self, partition: int) -> int:
        """Return the offset of the next record that `poll` may return, 0 while it is not known.

        Without waiting: after a broker's restart the consumer first asks whether its log was cut.
        """
        one = TopicPartition(self.topic, partition)
        if one not in self._consumer.assignment():
            return 0
        try:
            with self._errors("asked for its position"):
                return self._consumer.position(one, timeout_ms=0) or 0
        except _OffsetsGoneError as exc:
            self._take_over_again(exc.partitions)
            return 0

    def commit(self, last_offsets: Mapping[int, int]) -> None:
        """Commit offsets to the consumer group, for lag tools alone."""
        self._consumer.commit_async(
            {
                TopicPartition(self.topic, partition): OffsetAndMetadata(last + 1, "", -1)
                for partition, last in last_offsets.items()
            }
        )

    def relinquish(self, partitions: Iterable[int]) -> None:
        """Leave the group at the next poll and rejoin it: only the group reassigns partitions."""
        self._rejoin = bool(list(partitions))

    def close(self) -> None:
        """Leave the group."""
        self._consumer.close()

    def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Record new partitions; they are paused until the owner has set its offset."""
        self._new = list(assigned)
        self._consumer.pause(*self._new)
        for one in self._new:
            # Without a position the consumer would ask the group for one, which may have none.
            self._consumer.seek(one, 0)

    def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Have the owner finish and release partitions."""
        self._notify(self._owner.revoked, revoked)

    def on_partitions_lost(self, lost: Iterable[TopicPartition]) -> None:
        """Have the owner drop partitions."""
        self._notify(self._owner.lost, lost)

    @contextmanager
    def _errors(self, done: str) -> Iterator[None]:
        with kafka_errors(self._options, self.topic, done):
            try:
                yield
            except OffsetOutOfRangeError as exc:
                raise _OffsetsGoneError(list(exc.args[0])) from exc
            except LogTruncationError as exc:
                raise _OffsetsGoneError(list(exc.divergent_offsets)) from exc

    def _notify(self, callback: Any, partitions: Iterable[TopicPartition]) -> None:  # noqa: ANN401
        gone = set(partitions)
        if self._new is not None:
            # Two rebalances in one poll: what the first assigned is not to be taken over any more.
            self._new = [tp for tp in self._new if tp not in gone]
        try:
            callback([tp.partition for tp in gone])
        except BaseException as exc:  # noqa: BLE001  raised by the poll around this callback
            self._failed = exc

    def _raise_failure(self) -> None:
        if self._failed is not None:
            failed, self._failed = self._failed, None
            raise failed

    def _carry_out_assignment(self) -> None:
        if self._new is None:
            return
        new, self._new = self._new, None
        partitions = [tp.partition for tp in new]
        self._owner.assigned(partitions)
        self._consumer.resume(*new)
        # Also of none: with more workers than partitions this one is a standby.
        log.info("partitions_taken", extra={"topic": self.topic, "partitions": partitions})
        entrypoint.notify_ready()  # from here on, lines reach the lake
