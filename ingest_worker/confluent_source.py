"""The worker's source on confluent-kafka, which is librdkafka; an extra, `confluent`."""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from operator import itemgetter
from typing import Any, Final

import numpy as np
import polars as pl
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from ingest_worker.batcher import Records
from ingest_worker.kafka_source import (
    GROUP,
    MAX_POLL_INTERVAL_MS,
    METADATA_MAX_AGE_MS,
    RECONNECT_BACKOFF_MAX_MS,
    SESSION_TIMEOUT_S,
    RebalanceListener,
)
from movierec.errors import ConfigError, UnavailableError
from movierec.kafka import topics
from movierec.runtime import entrypoint

log = logging.getLogger(__name__)

_ANSWER_WITHIN_S: Final = 10.0

# librdkafka's names of kafka-python's options.
_OPTIONS: Final = {
    "security_protocol": "security.protocol",
    "sasl_mechanism": "sasl.mechanism",
    "sasl_plain_username": "sasl.username",
    "sasl_plain_password": "sasl.password",
    "ssl_cafile": "ssl.ca.location",
    "ssl_certfile": "ssl.certificate.location",
    "ssl_keyfile": "ssl.key.location",
    "ssl_password": "ssl.key.password",
}

# Having read far enough ahead, librdkafka waits a second before it looks whether to go on.
READING_ON: Final[Mapping[str, Any]] = {"fetch.queue.backoff.ms": 5}

_CONSUMER: Final[Mapping[str, Any]] = {
    "group.id": GROUP,
    "enable.auto.commit": False,
    # The owner says where to read; an offset that is not there is the owner's matter.
    "auto.offset.reset": "error",
    # Records of a transaction that was aborted are no lines of the site.
    "isolation.level": "read_committed",
    # The end of a partition is where a transaction's markers are passed.
    "enable.partition.eof": True,
    "topic.metadata.refresh.interval.ms": METADATA_MAX_AGE_MS,
    "max.poll.interval.ms": MAX_POLL_INTERVAL_MS,
    "reconnect.backoff.max.ms": RECONNECT_BACKOFF_MAX_MS,
    **READING_ON,
    # A record that was read ahead takes several times its size in memory.
    "queued.min.messages": 50_000,
}


class ConfluentSource:
    """`ingest_worker.ports.Source` on one topic, as a member of the consumer group.

    It keeps each partition's position itself, and assigns all partitions anew, at their positions,
    whenever one is to be read from elsewhere: librdkafka seeks only what it is fetching already.
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
        self._poll_lines = poll_lines
        self._positions: dict[int, int] = {}
        self._moved = False
        self._assignments = 0
        self._rejoin = False
        self._owner: RebalanceListener
        named = {_OPTIONS[name]: value for name, value in options.items() if name in _OPTIONS}
        self._consumer = Consumer(
            {
                **_CONSUMER,
                **named,
                "bootstrap.servers": ",".join(options["bootstrap_servers"]),
                "session.timeout.ms": int(session_timeout_s * 1000),
                "heartbeat.interval.ms": int(session_timeout_s * 1000 / 3),
            },
            logger=log,
        )
        with self._errors("joined"):
            self._consumer.list_topics(timeout=_ANSWER_WITHIN_S)

    def listen(self, owner: RebalanceListener) -> None:
        """Join the group; `owner` gets its rebalances."""
        self._owner = owner
        self._subscribe()

    def poll(self, timeout_s: float) -> Mapping[int, Records]:
        """Return the new records of so many seconds by partition, sooner if they are many.

        Raises ConfigError for a compression that librdkafka does not know.
        """
        if self._rejoin:
            self._rejoin = False
            self._consumer.unsubscribe()
            self._subscribe()
        elif self._moved:
            self._assign()
        before = self._assignments
        with self._errors("polled"):
            found = self._consumer.consume(self._poll_lines, timeout_s)
        if self._assignments != before:
            # Some may be from before a rebalance in this very call: they are read again.
            self._moved = bool(self._positions)
            return {}
        return self._accepted(found)

    def _accepted(self, found: Sequence[Message]) -> Mapping[int, Records]:
        failed = [
            (error, *_place(message)) for message in found if (error := message.error()) is not None
        ]
        good = [message for message in found if message.error() is None] if failed else found
        records = _by_partition(good)
        for partition, one in records.items():
            self._positions[partition] = int(one.offsets[-1]) + 1
        gone = {partition for error, partition, _ in failed if error.code() in _OFFSET_GONE}
        for error, partition, offset in failed:
            if error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001  librdkafka's public name
                self._positions[partition] = max(self._positions[partition], offset)
            elif partition not in gone and error.code() not in _PASSING and not error.retriable():
                with self._errors("polled"):
                    raise KafkaException(error)
        if gone:
            # Retention has deleted what was to be read, or it is another topic of the same name.
            self._owner.assigned(gone)
        return {partition: good for partition, good in records.items() if partition not in gone}

    def topic_id(self) -> int | None:
        """Return a number that a topic made again would not have; None if brokers have none."""
        return topics.topic_id(self._options, self.topic)

    def seek(self, partition: int, offset: int) -> None:
        """Continue reading at an offset."""
        self._positions[partition] = offset
        self._moved = True

    def bounds(self, partition: int) -> tuple[int, int]:
        """Return the oldest available offset, and the one after the newest."""
        place = TopicPartition(self.topic, partition)
        with self._errors("asked for its offsets"):
            bounds = self._consumer.get_watermark_offsets(place, timeout=_ANSWER_WITHIN_S)
        if bounds is None:
            raise UnavailableError(f"kafka does not say where {self.topic}-{partition} ends")
        oldest, end = bounds
        return oldest, end

    def end(self, partition: int) -> int | None:
        """Return the offset after the newest line as of the last poll, None before; without I/O."""
        place = TopicPartition(self.topic, partition)
        _, end = self._consumer.get_watermark_offsets(place, cached=True)
        return end if end >= 0 else None

    def position(self, partition: int) -> int:
        """Return the offset of the next record that `poll` may return, 0 while it is not known."""
        return self._positions.get(partition, 0)

    def commit(self, last_offsets: Mapping[int, int]) -> None:
        """Commit offsets to the consumer group, for lag tools alone."""
        places = [TopicPartition(self.topic, p, last + 1) for p, last in last_offsets.items()]
        with suppress(KafkaException):
            self._consumer.commit(offsets=places, asynchronous=True)

    def relinquish(self, partitions: Iterable[int]) -> None:
        """Leave the group at the next poll and rejoin it: only the group reassigns partitions."""
        self._rejoin = bool(list(partitions))

    def close(self) -> None:
        """Leave the group."""
        self._consumer.close()

    def _subscribe(self) -> None:
        self._consumer.subscribe(
            [self.topic],
            on_assign=self._on_assign,
            on_revoke=self._on_revoke,
            on_lost=self._on_lost,
        )

    def _on_assign(self, _: Consumer, assigned: Sequence[TopicPartition]) -> None:
        partitions = [place.partition for place in assigned]
        self._owner.assigned(partitions)
        self._assign()
        # Also of none: with more workers than partitions this one is a standby.
        log.info("partitions_taken", extra={"topic": self.topic, "partitions": partitions})
        entrypoint.notify_ready()  # from here on, lines reach the lake

    def _on_revoke(self, _: Consumer, revoked: Sequence[TopicPartition]) -> None:
        self._owner.revoked(self._dropped(revoked))

    def _on_lost(self, _: Consumer, lost: Sequence[TopicPartition]) -> None:
        self._owner.lost(self._dropped(lost))

    def _dropped(self, gone: Sequence[TopicPartition]) -> list[int]:
        partitions = [place.partition for place in gone]
        for partition in partitions:
            self._positions.pop(partition, None)
        self._assignments += 1
        return partitions

    def _assign(self) -> None:
        self._moved = False
        self._assignments += 1
        places = [TopicPartition(self.topic, p, offset) for p, offset in self._positions.items()]
        with self._errors("assigned"):
            self._consumer.assign(places)

    @contextmanager
    def _errors(self, done: str) -> Iterator[None]:
        try:
            yield
        except KafkaException as exc:
            [error, *_] = exc.args
            if error.code() in _CODEC:
                raise ConfigError(
                    f"topic {self.topic} holds records that cannot be unpacked ({error.str()}): "
                    "use a confluent-kafka whose librdkafka has gzip, snappy, lz4 and zstd"
                ) from exc
            servers = ",".join(self._options["bootstrap_servers"])
            raise UnavailableError(
                f"kafka {servers}, topic {self.topic}, could not be {done}: "
                f"{error.name()} {error.str()}; {UnavailableError.next_step}"
            ) from exc


_OFFSET_GONE: Final = (
    KafkaError.OFFSET_OUT_OF_RANGE,
    KafkaError._AUTO_OFFSET_RESET,  # noqa: SLF001
    KafkaError._LOG_TRUNCATION,  # noqa: SLF001
)
_CODEC: Final = (KafkaError._NOT_IMPLEMENTED, KafkaError._BAD_COMPRESSION)  # noqa: SLF001
# The topic is not there yet, or a flush took so long that the group has gone on without this one.
_PASSING: Final = (
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError._UNKNOWN_TOPIC,  # noqa: SLF001
    KafkaError._UNKNOWN_PARTITION,  # noqa: SLF001
    KafkaError._MAX_POLL_EXCEEDED,  # noqa: SLF001
    KafkaError._TRANSPORT,  # noqa: SLF001
    KafkaError._ALL_BROKERS_DOWN,  # noqa: SLF001
)


def _place(message: Message) -> tuple[int, int]:
    """Return partition and offset, -1 for an error that is about neither."""
    partition, offset = message.partition(), message.offset()
    return -1 if partition is None else partition, -1 if offset is None else offset


def _by_partition(found: Sequence[Message]) -> dict[int, Records]:
    """Return messages by partition as columns; one without a value is an empty line."""
    partition = np.fromiter(map(Message.partition, found), np.int64, len(found))
    offset = np.fromiter(map(Message.offset, found), np.int64, len(found))
    times = map(itemgetter(1), map(Message.timestamp, found))
    written_ms = np.fromiter(times, np.int64, len(found))
    lines = pl.Series(list(map(Message.value, found)), dtype=pl.Binary).fill_null(b"")
    rows = {int(one): np.flatnonzero(partition == one) for one in np.unique(partition)}
    return {
        one: Records(offset[index], lines.gather(index), written_ms[index])
        for one, index in rows.items()
    }
