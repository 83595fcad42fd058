"""Batches by columns hold what kafka-python reads from them one record after the other."""

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka import TopicPartition
from kafka.errors import CorruptRecordError
from kafka.protocol.consumer import IsolationLevel
from kafka.record import MemoryRecords, MemoryRecordsBuilder
from kafka.record.util import encode_varint

from ingest_worker import record_fields
from ingest_worker.record_batches import PartitionColumns
from ingest_worker.record_fields import RawBatch

T0 = 1_790_000_000_000


def batch(records, *, base=0, magic=2, codec=0, **more):
    """Return the bytes of a batch of records: time, key, value, headers."""
    builder = MemoryRecordsBuilder(magic, codec, 10 << 20, offset=base, **more)
    for record in records:
        builder.append(*record)
    builder.close()
    return bytes(builder.buffer())


def some(count, *, first=0):
    return [(T0 + n, None, b"line %d" % n, []) for n in range(first, first + count)]


def opened(data, *, lines=1000, fetch_offset=0, aborted=(), **more):
    return PartitionColumns(
        fetch_offset,
        TopicPartition("movielog1", 0),
        MemoryRecords(data),
        isolation_level=IsolationLevel.READ_COMMITTED,
        aborted_transactions=aborted,
        lines=lines,
        **more,
    )


def rows(records):
    columns = (records.offsets.tolist(), records.lines.to_list(), records.written_ms.tolist())
    return list(zip(*columns, strict=True))


def taken(partition):
    """Return the rows of each take, and the consumer's position after it."""
    found = []
    while partition:
        found += [(rows(one), partition.next_fetch_offset) for one in partition.take(1)]
    return found


def one_by_one(data):
    return [(r.offset, r.value or b"", r.timestamp) for each in MemoryRecords(data) for r in each]


RECORDS = st.lists(
    st.tuples(
        st.integers(0, 1 << 60) | st.integers(T0, T0 + 10_000),
        st.none() | st.binary(max_size=200),
        st.none() | st.binary(max_size=300) | st.just(b"x" * 20_000),
        st.lists(st.tuples(st.text(max_size=5), st.none() | st.binary(max_size=5)), max_size=2),
    ),
    min_size=1,
    max_size=8,
)


@given(st.lists(st.tuples(RECORDS, st.sampled_from([0, 1, 2, 3, 4])), min_size=1, max_size=4))
def test_batches_hold_what_kafka_python_reads_one_by_one(batches):
    data, base = b"", 0
    for records, codec in batches:
        data += batch(records, base=base, codec=codec)
        base += len(records) + 3
    [(found, position)] = taken(opened(data))
    assert found == one_by_one(data)
    assert position == found[-1][0] + 1


@pytest.mark.parametrize("magic", [0, 1])
def test_records_of_older_formats_are_read(magic):
    data = batch([record[:3] for record in some(3)], magic=magic, base=5)
    [(found, position)] = taken(opened(data))
    time = -1 if magic == 0 else T0
    assert found == [(5 + n, b"line %d" % n, time + n * magic) for n in range(3)]
    assert position == 8


def test_an_older_batch_before_a_new_one_is_read_with_it():
    data = batch([record[:3] for record in some(2)], magic=1) + batch(some(2, first=2), base=2)
    [(found, _)] = taken(opened(data))
    assert [line for _, line, _ in found] == [b"line %d" % n for n in range(4)]


def test_times_that_the_broker_set_are_those_of_the_batch():
    data = bytearray(batch(some(2)))
    found = record_fields.read(
        [RawBatch(memoryview(data)[61:], 2, base_offset=9, first_ms=5, appended_ms=T0)]
    )
    assert found is not None
    assert rows(found) == [(9, b"line 0", T0), (10, b"line 1", T0)]


def test_a_large_batch_is_taken_in_parts_and_each_has_a_position():
    data = batch(some(5)) + batch(some(2, first=5), base=7)
    found = taken(opened(data, lines=2))
    assert [[offset for offset, _, _ in part] for part, _ in found] == [[0, 1], [2, 3], [4, 7], [8]]
    assert [position for _, position in found] == [2, 4, 8, 9]


def test_small_batches_are_taken_together():
    data = b"".join(batch(some(1, first=n), base=n) for n in range(5))
    assert [len(part) for part, _ in taken(opened(data, lines=3))] == [3, 2]


def test_reading_begins_in_the_middle_of_a_batch():
    data = batch(some(3)) + batch(some(3, first=3), base=3)
    [(found, _)] = taken(opened(data, fetch_offset=4))
    assert [offset for offset, _, _ in found] == [4, 5]


def test_offsets_that_compaction_took_from_the_end_are_passed():
    data = bytearray(batch(some(3)))
    data[23:27] = (9).to_bytes(4)  # the last offset's distance from the first
    [(found, position)] = taken(opened(bytes(data), check_crcs=False))
    assert [offset for offset, _, _ in found] == [0, 1, 2]
    assert position == 10
    behind = opened(bytes(data), fetch_offset=5, check_crcs=False)
    assert behind.take(1) == []
    assert behind.next_fetch_offset == 10


def test_what_is_left_of_a_batch_is_dropped_with_the_partition():
    partition = opened(batch(some(5)), lines=2)
    partition.take(1)
    partition.drain()
    assert not partition


def test_batches_of_an_aborted_transaction_hold_no_lines():
    transaction = {"transactional": True, "producer_id": 7, "producer_epoch": 0, "base_sequence": 0}
    data = batch(some(2), **transaction) + batch(some(2, first=2), base=2)
    aborted = [SimpleNamespace(first_offset=0, producer_id=7)]
    [(found, position)] = taken(opened(data, aborted=aborted))
    assert [offset for offset, _, _ in found] == [2, 3]
    assert position == 4


@pytest.mark.parametrize("lines", [1, 1000])
def test_a_batch_whose_sum_is_wrong_is_no_lines_and_those_before_it_are(lines):
    broken = bytearray(batch(some(2, first=2), base=2))
    broken[-2] ^= 1
    partition = opened(batch(some(2)) + bytes(broken), lines=lines)
    found = [*partition.take(1), *(partition.take(1) if lines == 1 else ())]
    assert [one.offsets.tolist() for one in found] == ([[0], [1]] if lines == 1 else [[0, 1]])
    assert partition.next_fetch_offset == 2
    with pytest.raises(CorruptRecordError):
        partition.take(1)


PAYLOAD = batch([*some(2), (T0, b"k", b"v" * 200, [("h", b"x")])])[61:]


def read_raw(payload, count=3):
    return record_fields.read([RawBatch(memoryview(payload), count, 0, T0, None)])


@given(st.integers(0, len(PAYLOAD) - 1), st.integers(0, 255), st.integers(0, len(PAYLOAD)))
def test_broken_records_are_refused_or_lie_within_the_batch(place, byte, end):
    payload = bytearray(PAYLOAD)
    payload[place] = byte
    found = read_raw(payload[:end])
    assert found is None or found.size_bytes <= len(payload)


@pytest.mark.parametrize("count", [2, 4])
def test_a_batch_of_another_number_of_records_than_it_says_is_refused(count):
    assert read_raw(PAYLOAD, count) is None


def varints(*numbers):
    out = bytearray()
    for number in numbers:
        encode_varint(number, out.append)
    return bytes(out)


@pytest.mark.parametrize(
    "body",
    [
        b"\0" + varints(0, 0, -1, 50) + b"x\0",  # a value that is longer than the record
        b"\0" + varints(0, 0, 1 << 40, 1) + b"x\0",  # a key that is longer than the batch
        b"\0" + varints(1 << 60, 0, -1, 1) + b"x\0",  # a number of nine bytes
        b"\0" + b"\xff" * 12,
    ],
)
def test_a_record_whose_lengths_do_not_fit_is_refused(body):
    assert read_raw(varints(len(body)) + body, 1) is None


def test_a_record_longer_than_two_million_bytes_is_read():
    value = b"x" * (1 << 22)
    [(found, _)] = taken(opened(batch([(T0, None, value, [])])))
    assert found == [(0, value, T0)]
