"""Kafka to the lake: the worker as a process, on a real broker and emulator of its own."""

import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
from confluent_kafka import Consumer, Producer
from confluent_kafka import TopicPartition as ConfluentPartition
from kafka import KafkaConsumer, TopicPartition
from localstack_client.session import Session

from bench.benchmark_report import ROOT
from ingest_worker.confluent_source import READING_ON
from ingest_worker.kafka_source import KafkaSource
from ingest_worker.meter import Meter
from ingest_worker.worker import FlushPolicy, Worker
from movierec import settings
from movierec.aws.delta_lake import DeltaLake
from movierec.aws.delta_maintenance import LakeMaintainer
from movierec.kafka import offsets, topics
from movierec.lake.log_lines import Limits
from movierec.lake.maintenance import Policy
from movierec.lake.schema import EVENTS, MOVIES, Columns
from movierec.lake.site_clock import FoundClock
from movierec.runtime.clock import SystemClock
from movierec.stack.layout import find_project
from movierec.stack.processes import child_environment
from movierec.stack.processes.client import Client
from movierec.stack.services import emulator, kafka_broker
from simulator.kafka_producer import BulkProducer

_PARTITIONS: Final = 2
# kafka-python's producer would take two minutes for what this one writes in ten seconds.
_PRODUCER: Final = {
    "compression.type": "zstd",
    "linger.ms": 100,
    "batch.size": 900_000,
    "queue.buffering.max.messages": 500_000,
}
_WITHIN_S: Final = 300.0


@dataclass(frozen=True, slots=True)
class Services:
    """A broker and an emulator, and the environment of a worker on them."""

    env: Mapping[str, str]

    @property
    def kafka(self) -> dict[str, Any]:
        """The options of kafka-python's clients."""
        return settings.kafka_options(self.env)

    def bucket(self) -> dict[str, str]:
        """Make a bucket, and return the environment of a worker whose lake it is."""
        name = f"lake-{uuid.uuid4().hex[:8]}"
        Session().client("s3").create_bucket(Bucket=name)
        return {**self.env, settings.LAKE_BUCKET: name}


@contextmanager
def services() -> Iterator[Services]:
    """Run both for as long as they are needed, in a run of their own."""
    run = find_project({}, Path(__file__).parent).run(f"ingest-{uuid.uuid4().hex[:8]}").create()
    with Client(run) as client:
        spec = emulator.spec(run, os.environ)
        client.start(spec)
        aws = child_environment.emulated_aws(f"http://{spec.env['GATEWAY_LISTEN']}")
        servers = kafka_broker.start(client, os.environ)
        # delta-rs and boto3 read them from there.
        os.environ.update(aws)
        yield Services({**os.environ, settings.KAFKA_BOOTSTRAP: servers})
    shutil.rmtree(run.folder)


def topic_of(kafka: Mapping[str, Any], lines: Sequence[bytes], times: int = 1) -> str:
    """Make a topic that holds the lines so many times over; return its name.

    Far enough apart, a line that comes again is no duplicate.
    """
    name = f"movielog-{uuid.uuid4().hex[:8]}"
    topics.ensure(kafka, name, _PARTITIONS)
    producer = Producer({"bootstrap.servers": ",".join(kafka["bootstrap_servers"]), **_PRODUCER})
    for n, line in enumerate(itertools.chain.from_iterable(itertools.repeat(lines, times))):
        while True:
            try:
                producer.produce(name, line, partition=n % _PARTITIONS)
                break
            except BufferError:
                producer.poll(0.1)
    if producer.flush(_WITHIN_S):
        raise TimeoutError(f"topic {name} was not written within {_WITHIN_S:g} s")
    return name


def consumed_per_s(kafka: Mapping[str, Any], topic: str) -> float:
    """Consume a whole topic with kafka-python, discarding its records; return records a second.

    Fetching 8 MB at a time: its default of 1 MB halves the rate of records one by one.
    """
    with closing(
        KafkaConsumer(auto_offset_reset="earliest", max_partition_fetch_bytes=8 << 20, **kafka)
    ) as consumer:
        partitions = [TopicPartition(topic, p) for p in range(_PARTITIONS)]
        consumer.assign(partitions)
        wanted = sum(consumer.end_offsets(partitions).values())
        begin_s, found = time.perf_counter(), 0
        while found < wanted:
            polled = consumer.poll(timeout_ms=1000, max_records=50_000)
            found += sum(map(len, polled.values()))
        return found / (time.perf_counter() - begin_s)


def confluent_consumed_per_s(kafka: Mapping[str, Any], topic: str) -> float:
    """Do the same with confluent-kafka, set up as the worker's."""
    wanted = sum(end for _, end in offsets.of_topic(kafka, topic).values())
    servers = ",".join(kafka["bootstrap_servers"])
    settled = {"group.id": topic, "enable.auto.commit": False, **READING_ON}
    consumer = Consumer({"bootstrap.servers": servers, **settled})
    with closing(consumer):
        consumer.assign([ConfluentPartition(topic, p, 0) for p in range(_PARTITIONS)])
        begin_s, found = time.perf_counter(), 0
        while found < wanted:
            found += len(consumer.consume(50_000, 1.0))
        return found / (time.perf_counter() - begin_s)


@dataclass(frozen=True, slots=True)
class Ingested:
    """What a worker did with a backlog: rows a second while it was behind, and its memory."""

    rows_per_s: float
    peak_mb: float


def ingested(env: Mapping[str, str], topic: str, catalog: Sequence[str]) -> Ingested:
    """Have a worker read a whole topic into a lake that holds a catalog.

    It is behind from its partitions on until its last whole flush: what is left of the backlog
    then waits for the policy's seconds, which is no work.
    """
    lake = DeltaLake.from_env(env)
    _load(lake, catalog)
    wanted = sum(end for _, end in offsets.of_topic(settings.kafka_options(env), topic).values())
    with _worker(env, topic) as worker:
        stored = behind = 0
        while stored < wanted:
            event = worker.next_event()
            if event["event"] == "partitions_taken":
                begin_s = worker.at(event)
            elif event["event"] == "batch_stored":
                lines = event["events"] + event["quarantined"]
                stored += lines
                if lines >= FlushPolicy().max_lines:
                    behind, end_s = stored, worker.at(event)
        return Ingested(behind / (end_s - begin_s), worker.peak_mb())


def _load(lake: DeltaLake, movie_ids: Sequence[str]) -> None:
    count = len(movie_ids)
    minutes = np.full(count, 300)
    now = np.full(count, np.datetime64("now", "us"))
    movies: Columns = {"movie_id": list(movie_ids), "runtime_minutes": minutes, "loaded_at": now}
    lake.append(MOVIES.name, [movies], transactions={})


class _Process:
    """A worker, and the events that it logs."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def next_event(self) -> dict[str, Any]:
        """Wait for the next event of its log. Raises RuntimeError when it has ended."""
        assert self._process.stderr is not None  # noqa: S101  for mypy
        for line in self._process.stderr:
            if line.startswith("{"):
                found: dict[str, Any] = json.loads(line)
                return found
        raise RuntimeError(f"the worker ended with {self._process.wait()}")

    def at(self, event: Mapping[str, Any]) -> float:
        """Return when an event was logged, Unix seconds."""
        return datetime.fromisoformat(event["time"]).timestamp()

    def peak_mb(self) -> float:
        """Return the most memory that the process has had."""
        status = Path(f"/proc/{self._process.pid}/status").read_text(encoding="utf-8")
        [peak] = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")]
        return int(peak) * 1024 / 1e6  # the file's kB are 1,024 bytes


@contextmanager
def _worker(env: Mapping[str, str], topic: str, *arguments: str) -> Iterator[_Process]:
    command = [sys.executable, "-m", "ingest_worker", f"--topic={topic}", *arguments]
    process = subprocess.Popen(command, cwd=ROOT, env=env, stderr=subprocess.PIPE, text=True)
    try:
        yield _Process(process)
    finally:
        process.kill()
        process.communicate()


def longest_wait_s(env: Mapping[str, str], lines: Sequence[bytes], per_s: float) -> float:
    """Write lines at a steady rate, and return the longest that one waited to be in the lake.

    Measured from the moment that it was handed to the producer.
    """
    kafka, lake = settings.kafka_options(env), DeltaLake.from_env(env)
    topic, count = topic_of(kafka, []), len(lines)
    sent_s: list[float] = []
    with _worker(env, topic) as worker:
        while worker.next_event()["event"] != "partitions_taken":
            pass
        sender = threading.Thread(target=_send_steadily, args=(kafka, topic, lines, per_s, sent_s))
        sender.start()
        waited_s, seen = 0.0, dict.fromkeys(range(_PARTITIONS), -1)
        deadline_s = time.monotonic() + count / per_s + _WITHIN_S
        while sum(seen.values()) + len(seen) < count:
            if time.monotonic() > deadline_s:
                raise TimeoutError(f"{seen} of {count} lines are in the lake")
            for partition, last in seen.items():
                now = lake.transaction(EVENTS.name, f"{topic}-{partition}")
                if now is not None and now > last:
                    oldest_s = sent_s[(last + 1) * _PARTITIONS + partition]
                    waited_s = max(waited_s, time.monotonic() - oldest_s)
                    seen[partition] = now
            time.sleep(0.1)
        sender.join()
    return waited_s


def _send_steadily(
    kafka: Mapping[str, Any],
    topic: str,
    lines: Sequence[bytes],
    per_s: float,
    sent_s: list[float],
) -> None:
    """Send line n to partition n modulo their number, where its offset is the quotient."""
    with closing(BulkProducer(kafka, topic)) as producer:
        begin_s, sent = time.monotonic(), []
        for n, line in enumerate(lines):
            time.sleep(max(0.0, begin_s + n / per_s - time.monotonic()))
            sent_s.append(time.monotonic())
            sent += producer.send([line], [b""], [n % _PARTITIONS])
        producer.confirm(sent)


def most_files(kafka: Mapping[str, Any], lines: Sequence[bytes], flushes: int) -> int:
    """Flush so many times, compact, and return the most files of a partition of the events."""
    topic, clock = topic_of(kafka, lines), SystemClock()
    each = len(lines) // flushes
    with tempfile.TemporaryDirectory() as folder:
        lake = DeltaLake(folder)
        source = KafkaSource(kafka, topic, poll_lines=each)
        worker = Worker(
            source,
            lake,
            clock,
            catalog=lambda: None,
            limits=Limits(),
            policy=FlushPolicy(max_lines=each),
            site_clock=FoundClock(),
            pause=lambda _s: False,
            meter=Meter(),
        )
        source.listen(worker)
        _until(worker, lambda: _stored(lake, topic) >= len(lines))
        source.close()
        if lake.version(EVENTS.name) < flushes:
            raise RuntimeError(f"only {lake.version(EVENTS.name)} flushes")
        LakeMaintainer(lake, Policy(), clock, time.sleep, lambda: _WITHIN_S).maintain()
        files = lake.open(EVENTS.name).file_uris()
        return max(Counter(Path(file).parent for file in files).values())


def _until(worker: Worker, done: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + _WITHIN_S
    while not done():
        if time.monotonic() > deadline_s:
            raise TimeoutError(f"not within {_WITHIN_S:g} s")
        worker.step(0.1)


def _stored(lake: DeltaLake, topic: str) -> int:
    last = [lake.transaction(EVENTS.name, f"{topic}-{p}") for p in range(_PARTITIONS)]
    return sum(0 if one is None else one + 1 for one in last)
