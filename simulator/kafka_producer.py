"""Kafka producers for log lines; the only module of the simulator that imports kafka-python."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from kafka import KafkaProducer, TopicPartition
from kafka.errors import KafkaError, KafkaTimeoutError, for_code
from kafka.net.manager import KafkaConnectionManager
from kafka.net.selector import NetworkSelector
from kafka.protocol.producer import ProduceRequest
from kafka.record.memory_records import MemoryRecordsBuilder

from movierec.errors import UnavailableError

# A broker that does not answer in this time is down: kafka-python would try for 30 s.
_BOOTSTRAP_MS: Final = 5_000
_ANSWER_MS: Final = 10_000

# What a broker takes whatever it compresses to (message.max.bytes is 1,048,588).
_BATCH_BYTES: Final = 1_000_000
_RECORDS_V2: Final = 2
_ZSTD: Final = 4
# While the broker writes one batch of each partition, the next ones are made.
_REQUESTS_UNDER_WAY: Final = 4
_CONFIRM_S: Final = 30.0
_CLIENT_ID: Final = "movierec-simulator"

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


@dataclass(frozen=True, slots=True)
class Confirmed:
    """A batch that the broker has written."""

    partition: int
    first_offset: int
    lines: int


class FastProducer:
    """Writes many lines, in batches of its own making.

    KafkaProducer costs 14 microseconds a line: a future, locks and a partitioner for each. This
    builds record batches and sends them over the same client's connections, two layers further
    down, at a third of that, and hears from the broker where each batch went. The price is no
    retries: a batch that is not confirmed may be in the topic or not, and a history that fails
    is written again.
    """

    def __init__(self, options: Mapping[str, Any], topic: str) -> None:
        self._options, self._topic = options, topic
        self.confirmed: list[Confirmed] = []
        self.failures: list[BaseException] = []
        self._free = threading.Semaphore(_REQUESTS_UNDER_WAY)
        self._net = NetworkSelector(client_id=_CLIENT_ID, **options)
        self._connections = KafkaConnectionManager(self._net, client_id=_CLIENT_ID, **options)
        self._net.start()
        with _errors(options):
            self._connections.bootstrap(_BOOTSTRAP_MS)
            self._connections.run(self._load_metadata)

    async def _load_metadata(self) -> None:
        await self._connections.cluster.set_topics([self._topic])

    def send(
        self, lines: Sequence[bytes], keys: Sequence[bytes], partitions: Sequence[int]
    ) -> None:
        """Hand lines over, in order within a partition. Raises UnavailableError.

        Waits while the broker is behind; `confirm` waits for the rest.
        """
        now_ms = int(time.time() * 1000)
        batches: dict[int, MemoryRecordsBuilder] = {}
        for line, key, partition in zip(lines, keys, partitions, strict=True):
            batch = batches.get(partition)
            if batch is None:
                batch = batches[partition] = MemoryRecordsBuilder(_RECORDS_V2, _ZSTD, _BATCH_BYTES)
            if batch.append(now_ms, key, line) is None:
                self._send_batch(partition, batch)
                batch = batches[partition] = MemoryRecordsBuilder(_RECORDS_V2, _ZSTD, _BATCH_BYTES)
                batch.append(now_ms, key, line)
        for partition, batch in batches.items():
            self._send_batch(partition, batch)

    def _send_batch(self, partition: int, batch: MemoryRecordsBuilder) -> None:
        lines = batch.next_offset()
        batch.close()
        self._wait_for_one()
        future = self._connections.call_soon(self._produce, partition, batch.buffer())
        future.add_callback(lambda offset: self._note(Confirmed(partition, offset, lines)))
        future.add_errback(self._fail)

    async def _produce(self, partition: int, records: bytearray) -> int:
        """Return the first offset of a batch once all in-sync replicas have it."""
        leader = self._connections.cluster.leader_for_partition(
            TopicPartition(self._topic, partition)
        )
        data = ProduceRequest.TopicProduceData
        request = ProduceRequest(
            transactional_id=None,
            acks=-1,
            timeout_ms=_ANSWER_MS,
            topic_data=[
                data(
                    name=self._topic,
                    partition_data=[data.PartitionProduceData(index=partition, records=records)],
                )
            ],
            min_version=3,
            max_version=9,
        )
        answer = await self._connections.send(request, leader, request_timeout_ms=_ANSWER_MS)
        written = answer.responses[0].partition_responses[0]
        if written.error_code:
            raise for_code(written.error_code)(written.error_message or "")
        return int(written.base_offset)

    def _note(self, confirmed: Confirmed) -> None:
        self.confirmed.append(confirmed)
        self._free.release()

    def _fail(self, why: BaseException) -> None:
        self.failures.append(why)
        self._free.release()

    def _wait_for_one(self) -> None:
        """Wait until another request may be under way. Raises UnavailableError."""
        with _errors(self._options):
            if self.failures:
                raise self.failures[0]
            if not self._free.acquire(timeout=_CONFIRM_S):
                raise KafkaTimeoutError(f"no answer for {_CONFIRM_S:g} s")

    def confirm(self) -> None:
        """Wait until the broker has confirmed all lines. Raises UnavailableError."""
        for _ in range(_REQUESTS_UNDER_WAY):
            self._wait_for_one()
        self._free.release(_REQUESTS_UNDER_WAY)
        with _errors(self._options):
            if self.failures:
                raise self.failures[0]

    def close(self) -> None:
        """Give up what is not confirmed yet."""
        self._connections.close()
        self._net.stop(timeout_ms=1_000)


class LiveProducer:
    """Writes lines as they come, each exactly once; idempotent, so a dead broker is outwaited."""

    def __init__(self, options: Mapping[str, Any], topic: str) -> None:
        self._options, self._topic = options, topic
        with _errors(options):
            self._kafka = KafkaProducer(
                bootstrap_timeout_ms=_BOOTSTRAP_MS,
                max_block_ms=1_000,
                enable_idempotence=True,
                delivery_timeout_ms=_OUTAGE_MS,
                reconnect_backoff_max_ms=_RECONNECT_MS,
                linger_ms=20,
                compression_type="zstd",
                **options,
            )

    def send(
        self,
        line: bytes,
        key: bytes,
        partition: int,
        confirmed: Callable[[int], None],
        lost: Callable[[BaseException], None],
    ) -> None:
        """Hand one line over; later `confirmed(offset)` or `lost(why)` is called, in any thread."""
        try:
            future = self._kafka.send(self._topic, line, key, partition=partition)
        except KafkaError as exc:
            lost(exc)
            return
        future.add_callback(lambda record: confirmed(record.offset))
        future.add_errback(lost)

    def close(self) -> None:
        """Wait a while for what is under way, then give it up."""
        with contextlib.suppress(KafkaError):
            self._kafka.close(timeout=_LAST_LINES_S)
