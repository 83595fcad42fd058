"""A backfill against a real Kafka: the topic holds what the ledger says, line by line."""

import os
import sys
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest
from kafka import KafkaConsumer, TopicPartition

from movierec.kafka import topics
from movierec.settings import KAFKA_BOOTSTRAP, kafka_options
from movierec.stack.layout import Run, find_project
from movierec.stack.processes.client import Client
from movierec.stack.services import kafka_broker
from simulator import backfill
from simulator.backfill import Backfill, BackfillJob
from simulator.history_generator import HistoryWindow
from simulator.line_corruption import CorruptionRates
from simulator.local_clock import LocalClock
from simulator.reference_parser import ReferenceParser
from simulator.request_errors import Server
from simulator.settings import WorldSpec
from tests.contract.children import eventually

TOPIC = "movielog1"
PARTITIONS = 3


@pytest.fixture(scope="module")
def options(tmp_path_factory):
    project = find_project({}, Path(__file__).parent)
    if not (project.kafka / "libs").is_dir():
        pytest.skip("Kafka is not installed: make setup")
    run = Run(project, tmp_path_factory.mktemp("broker") / "run").create()
    with Client(run) as daemon:
        servers = kafka_broker.start(daemon, os.environ)
        found = kafka_options({KAFKA_BOOTSTRAP: servers})
        topics.ensure(found, TOPIC, PARTITIONS)
        yield found
        daemon.stop("kafka")


def consumed(options, topic=TOPIC):
    """Return all (key, line) of each partition, in order."""
    consumer = KafkaConsumer(auto_offset_reset="earliest", **options)
    partitions = [TopicPartition(topic, n) for n in range(PARTITIONS)]
    consumer.assign(partitions)
    ends = consumer.end_offsets(partitions)
    found: dict[int, list[tuple[bytes, str]]] = {
        partition.partition: [] for partition in partitions
    }
    while any(len(found[each.partition]) < ends[each] for each in partitions):
        for partition, records in consumer.poll(500).items():
            found[partition.partition] += [(r.key, r.value.decode()) for r in records]
    consumer.close()
    return found


def test_the_topic_holds_each_workers_lines_in_order_and_the_ledger_counts_them(options):
    job = BackfillJob(
        world=WorldSpec(300, 800, 7, None),
        window=HistoryWindow(1_790_000_000, 10.0),
        events=30_000,
        rates=CorruptionRates(0.05, 0.02, 0.02, 0.05),
        max_user_id=1_000_000,
        check_catalog=True,
        server=Server("localhost:8082", "127.0.0.1"),
        options=options,
        topic=TOPIC,
        partitions=PARTITIONS,
        workers=2,
    )
    ledger = Backfill(job).run(lambda _: None)
    found = consumed(options)

    expected: dict[int, list[tuple[bytes, str]]] = {n: [] for n in range(PARTITIONS)}
    for worker in range(job.processes):
        batch = backfill.prepare(job, worker)
        for user, line in zip(batch.user_ids, batch.lines, strict=True):
            expected[user % PARTITIONS].append((b"%d" % user, line))
    assert found == expected
    assert ledger.unconfirmed == 0
    assert ledger.lines.total() == sum(map(len, found.values()))
    assert ledger.lines_of == Counter({n: len(lines) for n, lines in found.items()})
    assert ledger.next_offset == {n: len(lines) for n, lines in found.items()}


def test_a_history_with_new_accounts_in_local_time_is_what_the_ledger_says(options):
    topic = "movielog2"
    topics.ensure(options, topic, PARTITIONS)
    job = BackfillJob(
        world=WorldSpec(300, 800, 7, None),
        # An hour of the autumn that New York has twice lies in it.
        window=HistoryWindow(int(datetime(2026, 11, 2, tzinfo=UTC).timestamp()), 2.0),
        events=10_000,
        rates=CorruptionRates(0.05, 0.02, 0.02, 0.05),
        max_user_id=1_000_000,
        check_catalog=True,
        server=Server("localhost:8082", "127.0.0.1"),
        options=options,
        topic=topic,
        partitions=PARTITIONS,
        workers=2,
        clock=LocalClock("America/New_York"),
        accounts=range(80),
    )
    ledger = Backfill(job).run(lambda _: None)
    lines = [line for found in consumed(options, topic).values() for _, line in found]
    parser = ReferenceParser(job.world.build().films.runtimes)
    events = {line for line in lines if parser.reads_as_event(line)}
    assert ledger.unconfirmed == 0
    assert (ledger.lines.total(), ledger.events.total()) == (len(lines), len(events))
    created = [line for line in events if line.endswith("GET /create_account")]
    assert ledger.events["create_account"] == len(created) > 60
    assert max(line.split(",")[0] for line in created) < "2026-11-01T19:00"
    assert sum(line.startswith("2026-11-01T01:") for line in lines) > 0


def test_the_workers_of_a_backfill_that_is_killed_end_with_it(options):
    """They end while they still prepare a history that is far too large to be ready soon."""
    server = ",".join(options["bootstrap_servers"])
    command = [sys.executable, "-m", "simulator", "--backfill=1", "--events=50000000"]
    main = psutil.Popen([*command, f"--bootstrap={server}", f"--topic={TOPIC}"])
    try:
        eventually(lambda: len(workers_of(main)) == 2, within_s=30)
        workers = workers_of(main)
    finally:
        main.kill()
        main.wait()
    _, alive = psutil.wait_procs(workers, timeout=10)
    assert not alive


def workers_of(main):
    """Return the processes that write the history."""
    return [one for one in main.children() if "spawn_main" in " ".join(one.cmdline())]
