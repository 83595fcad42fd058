"""Kafka's records by columns: what kafka-python fetches, without a Python object for each field.

kafka-python takes 7 us of pure Python for a record, most of a worker's time. Here it fetches,
checks and decompresses batches, and knows which transactions were aborted, as ever; the records in
a batch are read by columns. That needs two classes of its fetcher that it does not document, which
is one reason to pin its version; a batch of an unusual form is left to its own reader.

The form of a batch: Kafka's documentation, "Message Format".
"""

import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
import polars as pl
from kafka import KafkaConsumer, TopicPartition
from kafka.consumer.fetcher import ConsumerRecord, Fetcher
from kafka.record.default_records import DefaultRecord, DefaultRecordBatch

from ingest_worker import record_fields
from ingest_worker.batcher import Records, concat
from ingest_worker.record_fields import RawBatch

NO_TIMESTAMP = -1
"""The time of a record that has none: of message format 0, or of a producer that set none."""


class ColumnConsumer(KafkaConsumer):  # type: ignore[misc]
    """A KafkaConsumer whose records come by columns: `poll_columns` instead of `poll`."""

    def __init__(self, *, poll_lines: int, **config: Any) -> None:  # noqa: ANN401
        super().__init__(**config)
        self._fetcher.PartitionRecords = functools.partial(PartitionColumns, lines=poll_lines)

    def poll_columns(self, timeout_s: float) -> Mapping[TopicPartition, Records]:
        """Return new records of one partition, at most `poll_lines`, if there are any in time."""
        polled = self.poll(timeout_ms=int(timeout_s * 1000), max_records=1)
        return {place: records for place, [records] in polled.items()}


class PartitionColumns(Fetcher.PartitionRecords):  # type: ignore[misc]
    """What was fetched of a partition; `take` returns many records as one item."""

    next_fetch_offset: int

    def __init__(
        self,
        fetch_offset: int,
        tp: TopicPartition,
        records: Any,  # noqa: ANN401  kafka-python has no types
        *,
        lines: int,
        **more: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(fetch_offset, tp, _Batches(records), **more)
        self._lines = lines
        self._left: Records | None = None
        self._after_left = fetch_offset

    def __bool__(self) -> bool:
        return self._left is not None or super().__bool__()

    def drain(self) -> None:
        """Drop what was not taken."""
        super().drain()
        self._left = None

    def take(self, n: int | None = None) -> list[Records]:  # noqa: ARG002  always 1 here
        """Return the next records as one item; nothing at the end."""
        parts = [self._left] if self._left else []
        self.next_fetch_offset = self._after_left
        parts += self._next_batches(sum(len(part.offsets) for part in parts))
        self._after_left = self.next_fetch_offset
        if not parts:
            return []
        first, self._left = concat(parts).split(self._lines)
        # The consumer's position: of what is left, or after the batches' last offsets.
        if self._left:
            self.next_fetch_offset = int(self._left.offsets[0])
        return [first]

    def _next_batches(self, lines: int) -> list[Records]:
        """Return the records of whole batches that make `lines` so many as are to be taken."""
        found: list[ConsumerRecord] = []
        size, raises = 0, not lines
        while lines < self._lines and size < _BYTES and (one := self._next_batch(raises=raises)):
            found.append(one)
            raises = False
            batch = isinstance(one.value, _Batch)
            lines += one.value.count if batch else 1
            size += len(one.value.payload if batch else one.value or b"")
        records = as_records(found).after(self.fetch_offset - 1)
        return [records] if len(records.offsets) else []

    def _next_batch(self, *, raises: bool) -> ConsumerRecord | None:
        if self.record_iterator is None:
            return None
        try:
            found: list[ConsumerRecord] = super().take(1)
        except Exception as exc:
            if raises:
                raise
            self._next_inline_exception = exc  # raised by the next call
            return None
        return found[0] if found else None


# However well lines are compressed, no more of them is unpacked at a time.
_BYTES: Final = 16 << 20


class _Batches:
    """Fetched batches, of which the fetcher makes a record each."""

    def __init__(self, records: Any) -> None:  # noqa: ANN401
        self._records = records

    def next_batch(self) -> Any:  # noqa: ANN401
        """Return the next batch, None at the end."""
        found = self._records.next_batch()
        return _Batch(found) if isinstance(found, DefaultRecordBatch) else found


class _Batch:
    """A batch that the fetcher iterates over: it finds one record, whose value is the batch."""

    def __init__(self, batch: Any) -> None:  # noqa: ANN401
        self._batch = batch
        self.count: int = batch.records_count

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        return getattr(self._batch, name)

    def __len__(self) -> int:
        return int(self._batch.size_in_bytes)

    def __next__(self) -> DefaultRecord:
        return next(self._batch)

    def __iter__(self) -> Iterator[DefaultRecord]:
        iter(self._batch)  # decompresses it
        yield DefaultRecord(
            len(self), self.last_offset, self.max_timestamp, self.timestamp_type, None, self, []
        )

    @property
    def payload(self) -> memoryview:
        """The records' bytes, once they are decompressed."""
        return memoryview(self._batch._buffer)[self._batch._pos :]  # noqa: SLF001

    def raw(self) -> RawBatch:
        """Return what the records' columns are read from."""
        batch = self._batch
        appended = batch.timestamp_type == DefaultRecordBatch.LOG_APPEND_TIME
        return RawBatch(
            self.payload,
            self.count,
            batch.base_offset,
            batch.first_timestamp,
            batch.max_timestamp if appended else None,
        )

    def one_by_one(self) -> Iterator[DefaultRecord]:
        """Return the records as kafka-python reads them."""
        return iter(self._batch)


def as_records(found: Sequence[ConsumerRecord]) -> Records:
    """Return consumed records, or batches of them, as columns; one without a value is empty."""
    batches = [each.value for each in found if isinstance(each.value, _Batch)]
    if batches and len(batches) == len(found):
        columns = record_fields.read([batch.raw() for batch in batches])
        if columns is not None:
            return columns
    return _one_by_one(found)


def _one_by_one(found: Iterable[ConsumerRecord]) -> Records:
    every = [
        record
        for each in found
        for record in (each.value.one_by_one() if isinstance(each.value, _Batch) else (each,))
    ]
    times = (NO_TIMESTAMP if r.timestamp is None else r.timestamp for r in every)
    return Records(
        np.fromiter((record.offset for record in every), np.int64, len(every)),
        pl.Series([record.value or b"" for record in every], dtype=pl.Binary),
        np.fromiter(times, np.int64, len(every)),
    )
