"""Kafka producers for log lines; the only module of the simulator that imports kafka-python."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from kafka import KafkaProducer
from kafka.errors import KafkaError
from kafka.producer.future import FutureRecordMetadata

from movierec.errors import UnavailableError

# A broker that does not answer in this time is down: kafka-python would try for 30 s.
_BOOTSTRAP_MS: Final = 5_000
_REQUEST_MS: Final = 10_000

# Uncompressed: below what a broker takes in one batch (message.max.bytes is 1,048,588).
_BULK_BATCH_BYTES: Final = 900_000
# A broker that is away longer than this fails a backfill, which is simply started again.
_BULK_DELIVERY_MS: Final = 30_000

# A broker may be away for ten minutes before lines are lost, and is noticed soon when it is back:
# kafka-python would wait up to 30 s between attempts.
_OUTAGE_MS: Final = 600_000
_RECONNECT_MS: Final = 1_000

# At the end of a live run; what is not confirmed by then stays unconfirmed in the ledger.
_LAST_LINES_S: Final = 5.0


@contextlib.contextmanager
def _errors(options: Mapping[str, Any]) -> Iterator[None]:
    try:
        yield
    except KafkaError as exc:
        raise UnavailableError(
            f"kafka {','.join(options['bootstrap_servers'])}: {exc}; {UnavailableError.next_step}"
        ) from exc


def partition_of(user_id: int, partitions: int) -> int:
    """Return the partition of all of a user's lines.

    Kafka's own hash of the key takes kafka-python longer than all else about a message.
    """
    return user_id % partitions


def _producer(options: Mapping[str, Any], **tuning: Any) -> KafkaProducer:  # noqa: ANN401
    """Return an idempotent producer: retries neither repeat nor reorder a partition's lines."""
    with _errors(options):
        return KafkaProducer(
            bootstrap_timeout_ms=_BOOTSTRAP_MS,
            reconnect_backoff_max_ms=_RECONNECT_MS,
            enable_idempotence=True,
            compression_type="zstd",
            **tuning,
            **options,
        )


class BulkProducer:
    """Sends many lines in large batches; the caller bounds how many are in flight."""

    def __init__(self, options: Mapping[str, Any], topic: str) -> None:
        self._options, self._topic = options, topic
        self._kafka = _producer(
            options,
            batch_size=_BULK_BATCH_BYTES,
            linger_ms=500,
            request_timeout_ms=_REQUEST_MS,
            delivery_timeout_ms=_BULK_DELIVERY_MS,
        )

    def send(
        self, lines: Sequence[bytes], keys: Sequence[bytes], partitions: Sequence[int]
    ) -> list[FutureRecordMetadata]:
        """Send lines, in order within a partition. Raises UnavailableError."""
        rows = zip(lines, keys, partitions, strict=True)
        with _errors(self._options):
            return [
                self._kafka.send(self._topic, line, key, partition=partition)
                for line, key, partition in rows
            ]

    def confirm(self, sent: Sequence[FutureRecordMetadata]) -> list[int]:
        """Wait until the broker has written all of `sent`; return their offsets.

        Raises UnavailableError.
        """
        with _errors(self._options):
            return [future.get(timeout=_BULK_DELIVERY_MS / 1000).offset for future in sent]

    def close(self) -> None:
        """Give up what is not confirmed yet."""
        with contextlib.suppress(KafkaError):
            self._kafka.close(timeout=0)


class LiveProducer:
    """Sends lines one by one as they come, through outages of the broker of up to ten minutes."""

    def __init__(self, options: Mapping[str, Any], topic: str) -> None:
        self._options, self._topic = options, topic
        self._kafka = _producer(
            options, max_block_ms=1_000, delivery_timeout_ms=_OUTAGE_MS, linger_ms=20
        )

    def send(
        self,
        line: bytes,
        key: bytes,
        partition: int,
        confirmed: Callable[[int], None],
        lost: Callable[[BaseException], None],
    ) -> None:
        """Send one line; `confirmed(offset)` or `lost(why)` is called later, in any thread."""
        try:
            future = self._kafka.send(self._topic, line, key, partition=partition)
        except KafkaError as exc:
            lost(exc)
            return
        future.add_callback(lambda record: confirmed(record.offset))
        future.add_errback(lost)

    def close(self) -> None:
        """Wait a while for what is in flight, then give it up."""
        with contextlib.suppress(KafkaError):
            self._kafka.close(timeout=_LAST_LINES_S)
