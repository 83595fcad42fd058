"""Topics as others run them, read from a real broker: the lake gets each line once, and no more."""

import os
import shutil
import time
import uuid
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import pytest
from confluent_kafka import KafkaError
from kafka import KafkaAdminClient, KafkaProducer, TopicPartition
from kafka.errors import LogTruncationError

from ingest_worker.confluent_source import ConfluentSource
from ingest_worker.kafka_source import KafkaSource
from ingest_worker.meter import Meter
from ingest_worker.worker import FlushPolicy, Worker
from movierec import settings
from movierec.errors import ConfigError, UnavailableError
from movierec.kafka import offsets, topics
from movierec.lake.log_lines import Limits
from movierec.lake.schema import Columns
from movierec.lake.site_clock import FoundClock
from movierec.metrics import INGEST_EXPIRED
from movierec.runtime.clock import SystemClock
from movierec.stack.layout import find_project
from movierec.stack.processes.client import Client
from movierec.stack.services import kafka_broker
from movierec.testing.memory import MemoryLake

ROOT = Path(__file__).parents[2]
WITHIN_S = 60


@pytest.fixture(scope="module")
def options():
    """Run a broker of its own; return the options of its clients."""
    run = find_project({}, ROOT).run(f"ingest-{uuid.uuid4().hex[:8]}").create()
    with Client(run) as client:
        servers = kafka_broker.start(client, dict(os.environ))
        yield settings.kafka_options({settings.KAFKA_BOOTSTRAP: servers})
    shutil.rmtree(run.folder)


@pytest.fixture
def admin(options):
    with closing(KafkaAdminClient(**options)) as admin:
        yield admin


@pytest.fixture
def topic(options):
    name = f"movielog-{uuid.uuid4().hex[:8]}"
    topics.ensure(options, name, 1)
    return name


def line(n):
    return f"2026-11-20T10:15:{n % 60:02d},{n + 1},GET /rate/harbour+of+glass+1987=4".encode()


@contextmanager
def producer(options, **more):
    with closing(KafkaProducer(**options, **more)) as found:
        yield found


def write(options, topic, lines, **more):
    with producer(options, **more) as sender:
        for each in lines:
            sender.send(topic, each, key=b"key", partition=0)


class Ingest:
    """A worker in this process, on a real topic and a lake in memory."""

    def __init__(self, client, options, topic, lake, policy=None):
        self._closed = False
        self.meter = Meter()
        self.lake = lake
        self.source = client(options, topic, poll_lines=1000)
        self.worker = Worker(
            self.source,
            lake.rival(),
            SystemClock(),
            catalog=lambda: None,
            limits=Limits(),
            policy=policy or FlushPolicy(max_age_s=0.0),
            site_clock=FoundClock(),
            pause=lambda _s: False,
            meter=self.meter,
        )
        self.source.listen(self.worker)

    def until(self, done):
        deadline_s = time.monotonic() + WITHIN_S
        while not done():
            assert time.monotonic() < deadline_s, (
                f"not within {WITHIN_S} s: {self.meter.health(SystemClock().now())}"
            )
            self.worker.step(0.2)

    def until_rows(self, count):
        self.until(lambda: len(self.rows()) >= count)

    def close(self):
        if not self._closed:
            self._closed = True
            self.source.close()

    def partitions(self):
        return set(self.worker._owned)

    def rows(self, table="events"):
        return self.lake.rows(table)


@pytest.fixture(params=[KafkaSource, ConfluentSource])
def client(request):
    return request.param


@pytest.fixture
def ingest(client, options, topic):
    """Return a function that starts a worker on the topic; all are closed at the end."""
    started = []

    def start(lake, **more):
        started.append(Ingest(client, options, topic, lake, **more))
        return started[-1]

    yield start
    for each in started:
        each.close()


def test_lines_of_an_aborted_transaction_are_none(options, topic, ingest):
    lake = MemoryLake()
    with producer(options, transactional_id=topic) as sender:
        sender.init_transactions()
        for n, commit in enumerate((True, False, True)):
            sender.begin_transaction()
            for k in range(10):
                sender.send(topic, line(10 * n + k), partition=0)
            sender.flush()
            sender.commit_transaction() if commit else sender.abort_transaction()
    worker = ingest(lake)
    written = {topic: offsets.of_topic(options, topic)}
    worker.until(lambda: not offsets.missing_lines(lake, written))
    assert [row["user_id"] for row in worker.rows()] == [*range(1, 11), *range(21, 31)]
    assert worker.rows("quarantine") == []
    worker.close()
    # Transactions' markers have offsets of their own: the next worker goes on behind them.
    again = ingest(lake)
    write(options, topic, [line(99)])
    again.until_rows(21)
    assert [row["user_id"] for row in again.rows()][20:] == [100]


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
def test_every_compression_is_read(options, topic, ingest, codec):
    write(options, topic, map(line, range(50)), compression_type=codec)
    worker = ingest(MemoryLake())
    worker.until_rows(50)
    assert [row["user_id"] for row in worker.rows()] == list(range(1, 51))


def test_a_tombstone_is_an_empty_line(options, topic, ingest):
    write(options, topic, [line(0), None, line(1)])
    worker = ingest(MemoryLake())
    worker.until_rows(2)
    [row] = worker.rows("quarantine")
    assert (row["reason"], row["raw"], row["kafka_offset"]) == ("empty", b"", 1)


def test_a_message_of_ten_megabytes_is_no_movie(options, topic, ingest, admin):
    admin.alter_configs([_large_messages(topic)])
    big = b"2026-11-20T10:15,7,GET /data/m/" + b"x" * 9_500_000 + b"/3.mpg"
    write(options, topic, [line(0), big, line(1)], max_request_size=12 << 20)
    worker = ingest(MemoryLake())
    worker.until_rows(2)
    [row] = worker.rows("quarantine")
    assert (row["reason"], len(row["raw"])) == ("bad_movie", len(big))


def _large_messages(topic):
    from kafka.admin import ConfigResource, ConfigResourceType  # noqa: PLC0415

    return ConfigResource(
        ConfigResourceType.TOPIC, topic, configs={"max.message.bytes": str(12 << 20)}
    )


def made_again(options, admin, topic):
    admin.delete_topics([topic])
    deadline_s = time.monotonic() + WITHIN_S
    while True:
        try:
            topics.ensure(options, topic, 1)
            if not any(end for _, end in offsets.of_topic(options, topic).values()):
                return
        except Exception:  # noqa: BLE001 (Kafka deletes a topic in its own time)
            assert time.monotonic() < deadline_s
        time.sleep(0.2)


def test_a_topic_made_again_is_refused_though_it_is_longer_than_what_is_stored(
    options, topic, ingest, admin
):
    lake = MemoryLake()
    write(options, topic, map(line, range(5)))
    first = ingest(lake)
    first.until_rows(5)
    first.close()
    made_again(options, admin, topic)
    write(options, topic, map(line, range(100, 108)))
    second = ingest(lake)
    with pytest.raises(ConfigError, match="deleted and made again"):
        second.until_rows(6)
    assert len(lake.rows("events")) == 5


def test_lines_that_retention_deleted_are_told_and_the_rest_is_read(options, topic, ingest, admin):
    lake = MemoryLake()
    write(options, topic, map(line, range(5)))
    first = ingest(lake)
    first.until_rows(5)
    first.close()
    write(options, topic, map(line, range(5, 20)))
    admin.delete_records({TopicPartition(topic, 0): 12})
    second = ingest(lake)
    second.until_rows(13)
    assert second.meter.take(SystemClock().now())[INGEST_EXPIRED] == 7
    [row] = second.rows("quarantine")
    assert (row["reason"], row["kafka_offset"]) == ("offsets_expired", 5)
    assert [r["kafka_offset"] for r in second.rows()] == [*range(5), *range(12, 20)]


def test_a_worker_that_retention_passes_while_it_reads_goes_on(options, topic, ingest, admin):
    lake = MemoryLake()
    write(options, topic, map(line, range(5)))
    worker = ingest(lake)
    worker.until_rows(5)
    worker.source.seek(0, 2)  # where it would read next, and what is deleted meanwhile
    write(options, topic, map(line, range(5, 20)))
    admin.delete_records({TopicPartition(topic, 0): 12})
    worker.until_rows(13)
    assert [r["kafka_offset"] for r in worker.rows()] == [*range(5), *range(12, 20)]
    assert [r["reason"] for r in worker.rows("quarantine")] == ["offsets_expired"]


@pytest.mark.parametrize("client", [KafkaSource], indirect=True)
def test_a_log_that_was_cut_is_taken_over_again(options, topic, ingest):
    write(options, topic, map(line, range(5)))
    worker = ingest(MemoryLake())
    worker.until_rows(5)
    cut = LogTruncationError({TopicPartition(topic, 0): 5})
    worker.source._consumer._fetcher._cached_log_truncation = cut
    assert worker.source.position(0) == 0
    write(options, topic, [line(5)])
    worker.until_rows(6)
    assert [row["kafka_offset"] for row in worker.rows()] == [*range(6)]


class Failed:
    """A message of librdkafka that says what went wrong with a partition."""

    def __init__(self, code):
        self._error = KafkaError(code)

    def error(self):
        return self._error

    def partition(self):
        return 0

    def offset(self):
        return None


@pytest.mark.parametrize("client", [ConfluentSource], indirect=True)
def test_a_log_that_librdkafka_finds_cut_is_taken_over_again(options, topic, ingest):
    write(options, topic, map(line, range(5)))
    worker = ingest(MemoryLake())
    worker.until_rows(5)
    fenced = worker.lake.transaction("events", f"{topic}-0:term")
    assert worker.source._accepted([Failed(KafkaError._LOG_TRUNCATION)]) == {}
    assert worker.lake.transaction("events", f"{topic}-0:term") == fenced + 1
    write(options, topic, [line(5)])
    worker.until_rows(6)
    assert [row["kafka_offset"] for row in worker.rows()] == [*range(6)]


@pytest.mark.parametrize("client", [ConfluentSource], indirect=True)
def test_librdkafkas_errors_are_passing_or_end_the_worker(topic, ingest):
    source = ingest(MemoryLake()).source
    for passing in (KafkaError._UNKNOWN_TOPIC, KafkaError._MAX_POLL_EXCEEDED):
        assert source._accepted([Failed(passing)]) == {}
    with pytest.raises(ConfigError, match=f"topic {topic} holds records that cannot be unpacked"):
        source._accepted([Failed(KafkaError._NOT_IMPLEMENTED)])
    with pytest.raises(UnavailableError, match="TOPIC_AUTHORIZATION_FAILED"):
        source._accepted([Failed(KafkaError.TOPIC_AUTHORIZATION_FAILED)])


@pytest.mark.parametrize("client", [KafkaSource], indirect=True)
def test_a_partition_that_is_revoked_before_it_is_taken_over_is_not_taken(options, topic, ingest):
    write(options, topic, [line(0)])
    worker = ingest(MemoryLake())
    worker.until_rows(1)
    fenced = worker.lake.transaction("events", f"{topic}-0:term")
    [one] = partitions = [TopicPartition(topic, 0)]
    worker.source.on_partitions_assigned(partitions)
    worker.source.on_partitions_revoked(partitions)
    worker.worker.step(0.0)
    assert worker.lake.transaction("events", f"{topic}-0:term") == fenced
    worker.source.on_partitions_assigned(partitions)
    worker.source._consumer._subscription.assign_from_subscribed([])
    assert worker.source.position(one.partition) == 0


def test_partitions_that_are_added_are_read(options, topic, ingest, admin):
    write(options, topic, [line(0)])
    lake = MemoryLake()
    first = ingest(lake)
    first.until_rows(1)
    first.close()
    admin.create_partitions({topic: 3})
    with producer(options) as sender:
        for partition in (1, 2):
            sender.send(topic, line(partition), partition=partition)
    second = ingest(lake)
    second.until_rows(3)
    assert sorted(r["kafka_partition"] for r in second.rows()) == [0, 1, 2]


def test_workers_share_the_partitions_and_each_line_is_written_once(options, topic, ingest, admin):
    admin.create_partitions({topic: 2})
    lake = MemoryLake()
    first = ingest(lake)
    first.until(lambda: first.partitions() == {0, 1})
    second = ingest(lake)
    sent = 0

    def send():
        nonlocal sent
        with producer(options) as sender:
            for partition in (0, 1):
                sender.send(topic, line(sent), partition=partition)
                sent += 1

    def step_both_until(done):
        def both():
            second.worker.step(0.2)
            return done()

        first.until(both)

    send()
    step_both_until(lambda: len(first.partitions()) == len(second.partitions()) == 1)
    send()
    step_both_until(lambda: len(lake.rows("events")) == sent)
    # As a worker does that finds a newer epoch: it leaves the group, and joins it again.
    first.source.relinquish([0, 1])
    send()
    step_both_until(lambda: len(lake.rows("events")) == sent)
    second.close()
    send()
    first.until(lambda: len(lake.rows("events")) == sent)
    assert sorted(row["user_id"] for row in lake.rows("events")) == [*range(1, sent + 1)]


def test_a_second_topic_on_the_same_lake_has_rows_of_its_own(options, topic, ingest):
    lake = MemoryLake()
    junk: Columns = {
        "raw": [b"junk"] * 5,
        "reason": ["empty"] * 5,
        "topic": ["other"] * 5,
        "kafka_partition": np.zeros(5, np.int64),
        "kafka_offset": np.arange(5),
    }
    lake.append("quarantine", [junk], transactions={"other-0": 4})
    # As after a crash between the two commits: the quarantine of this topic is ahead.
    lake.append("quarantine", [], transactions={f"{topic}-0": 4})
    write(options, topic, map(line, range(5)))
    worker = ingest(lake)
    worker.until_rows(5)
    assert [row["topic"] for row in worker.rows()] == [topic] * 5
