"""The worker as a process, on a real broker and a real lake, killed and doubled."""

import json
import os
import shutil
import subprocess
import sys
import time
import uuid
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from kafka import KafkaProducer
from localstack_client.session import Session

from movierec import settings
from movierec.aws import lake_catalog
from movierec.aws.delta_lake import DeltaLake
from movierec.cli import exports
from movierec.errors import UnavailableError
from movierec.kafka import topics
from movierec.lake.catalog import parse_movies
from movierec.metrics import (
    INGEST_DIMENSIONS,
    INGEST_EXPIRED,
    INGEST_METRICS,
    INGEST_WAITING,
    NAMESPACE,
    QUARANTINE_RATE,
)
from movierec.stack import loopback_ports
from movierec.stack.layout import Run, find_project
from movierec.stack.processes.client import Client
from movierec.stack.services import kafka_broker, workers

ROOT = Path(__file__).parents[2]
LINES = 6_000
WITHIN_S = 60


@pytest.fixture(scope="module")
def kafka():
    """Run a broker of its own; return its bootstrap servers."""
    run = find_project({}, ROOT).run(f"ingest-{uuid.uuid4().hex[:8]}").create()
    with Client(run) as client:
        yield kafka_broker.start(client, dict(os.environ))
    shutil.rmtree(run.folder)


@pytest.fixture
def topic(kafka):
    """Return a new topic of two partitions that holds LINES lines, every tenth of them junk."""
    name = f"movielog-{uuid.uuid4().hex[:8]}"
    options = settings.kafka_options({settings.KAFKA_BOOTSTRAP: kafka})
    topics.ensure(options, name, 2)
    producer = KafkaProducer(**options)
    for n in range(LINES):
        producer.send(name, line(n), partition=n % 2)
    producer.close()
    return name


def line(n):
    request = "junk" if n % 10 == 0 else f"GET /rate/gladiator+{n}=4"
    return f"2022-11-14T12:23:13,{n + 1},{request}".encode()


@pytest.fixture
def environment(kafka, topic, emulated_aws, bucket):
    """Return the environment of a worker on that topic, with an empty lake."""
    return {
        **emulated_aws,
        "PATH": os.environ["PATH"],
        settings.KAFKA_BOOTSTRAP: kafka,
        settings.TOPIC: topic,
        settings.LAKE_BUCKET: bucket,
    }


@pytest.fixture
def start(environment):
    """Return a function that starts a worker; what still runs at the end is killed."""
    started = []

    def one(*arguments):
        command = [sys.executable, "-m", "ingest_worker", "--max-lines=500", *arguments]
        worker = subprocess.Popen(
            command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True
        )
        started.append(worker)
        return worker

    yield one
    for worker in started:
        if worker.poll() is None:
            worker.kill()
        worker.communicate()


def wait_until(condition, worker):
    deadline = time.monotonic() + WITHIN_S
    while not condition():
        assert worker.poll() is None, worker.stderr.read()
        assert time.monotonic() < deadline, f"not within {WITHIN_S} s"
        time.sleep(0.1)


def rows(lake, table):
    return lake.count(table).get("", 0)


def assert_each_line_once(lake, environment):
    offsets: Counter[tuple[int, int]] = Counter()
    for table in ("events", "quarantine"):
        sql = f"select kafka_partition p, kafka_offset o from {table}"  # noqa: S608  names of ours
        found = lake.query(sql, {table: None})
        offsets.update(
            zip(found.column("p").to_pylist(), found.column("o").to_pylist(), strict=True)
        )
    assert offsets == {(n % 2, n // 2): 1 for n in range(LINES)}
    assert lake.count("quarantine", by="reason") == {"unknown_request": LINES // 10}


def test_a_worker_that_is_killed_is_continued_exactly(start, environment):
    lake = DeltaLake.from_env(environment)
    first = start()
    wait_until(lambda: rows(lake, "events") > 0, first)
    first.kill()
    assert rows(lake, "events") < LINES // 2, "killed too late to prove anything"
    second = start()
    wait_until(lambda: rows(lake, "events") + rows(lake, "quarantine") >= LINES, second)
    second.terminate()
    assert second.wait(WITHIN_S) == 0
    assert_each_line_once(lake, environment)


def test_two_workers_share_the_partitions_and_the_survivor_takes_over(start, environment):
    lake = DeltaLake.from_env(environment)
    first, second = start(), start()
    wait_until(lambda: rows(lake, "events") > 0, first)
    first.terminate()
    assert first.wait(WITHIN_S) == 0
    wait_until(lambda: rows(lake, "events") + rows(lake, "quarantine") >= LINES, second)
    second.terminate()
    assert second.wait(WITHIN_S) == 0
    assert_each_line_once(lake, environment)


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        ({settings.KAFKA_BOOTSTRAP: "127.0.0.1:1"}, 3, "127.0.0.1:1"),
        ({settings.KAFKA_BOOTSTRAP: ""}, 2, settings.KAFKA_BOOTSTRAP),
        ({settings.LAKE_BUCKET: ""}, 2, settings.LAKE_BUCKET),
        ({settings.LAKE_BUCKET: "no-such-bucket-here"}, 1, "no-such-bucket-here"),
    ],
)
def test_what_is_not_there_is_said_in_one_line(start, environment, change, code, words):
    environment |= change
    worker = start()
    _, said = worker.communicate(timeout=WITHIN_S)
    last = said.splitlines()[-1]
    assert worker.returncode == code
    assert last.startswith("ingest_worker: ")
    assert words in last
    assert "Traceback" not in said


def test_a_worker_is_ready_when_the_lake_has_told_it_where_to_go_on(environment, topic, tmp_path):
    """As `movierec up` starts it: from then on it is the partitions' owner."""
    checkout = find_project({}, ROOT)
    run = Run(checkout, tmp_path / "run").create()
    with Client(run) as client:
        client.start(workers.ingest(run, workers.environment(run, environment, os.environ)))
        lake = DeltaLake.from_env(environment)
        owned = [lake.transaction("events", f"{topic}-{p}:term") for p in range(2)]
    assert None not in owned


def test_a_worker_tells_how_far_the_lake_is_behind_and_what_share_is_junk(start):
    cloudwatch = Session().client("cloudwatch")
    worker = start("--metrics-every-s=0.5")

    def told(metric):
        now = datetime.now(UTC)
        found = cloudwatch.get_metric_statistics(
            Namespace=NAMESPACE,
            MetricName=metric.name,
            Dimensions=[{"Name": k, "Value": v} for k, v in INGEST_DIMENSIONS.items()],
            StartTime=now - timedelta(hours=1),
            EndTime=now + timedelta(minutes=1),
            Period=7200,
            Statistics=["Maximum"],
        )
        return max((point["Maximum"] for point in found["Datapoints"]), default=0.0)

    for metric in set(INGEST_METRICS) - {INGEST_EXPIRED, INGEST_WAITING}:
        wait_until(lambda metric=metric: told(metric) > 0, worker)
    assert told(QUARANTINE_RATE) <= 0.2  # all junk is in one partition
    worker.terminate()
    assert worker.wait(WITHIN_S) == 0


@pytest.fixture
def site():
    """Run the simulated site's APIs; return their URL."""
    port = loopback_ports.free_port()
    command = [sys.executable, "-m", "simulator", "--site-only", f"--site-port={port}"]
    served = subprocess.Popen([*command, "--users=100", "--movies=100"], cwd=ROOT)
    yield f"http://127.0.0.1:{port}"
    served.kill()
    served.wait()


def films_of(site, served_by):
    found: list[bytes] = []

    def is_up():
        try:
            found[:] = exports.lines(f"{site}/movies.jsonl")
        except UnavailableError:
            return False
        return True

    wait_until(is_up, served_by)
    return found


def test_lines_of_films_that_came_later_are_admitted_once_though_workers_are_killed(
    start, environment, kafka, site
):
    """Killed twice: where lines wait, and where the first of them have been admitted."""
    lake = DeltaLake.from_env(environment)
    environment[settings.TOPIC] = name = f"movielog-{uuid.uuid4().hex[:8]}"
    options = settings.kafka_options({settings.KAFKA_BOOTSTRAP: kafka})
    topics.ensure(options, name, 1)
    producer = KafkaProducer(**options)
    first = start("--max-age-s=0.1", "--grow-every-s=600")
    films = films_of(site, first)
    ids = [json.loads(film)["id"] for film in films]
    lake_catalog.store(lake, [parse_movies(films[:1], datetime.now(UTC)).columns], [])
    watched = [ids[0], *ids[1:4] * 100, "no+such+film+2026"]
    for n, film in enumerate(watched):
        text = f"2022-11-14T12:23:13,{n % 40 + 1},GET /data/m/{film}/{n // 40}.mpg"
        producer.send(name, text.encode())
    producer.close()
    wait_until(lambda: rows(lake, "quarantine") == 301, first)
    first.kill()
    environment[settings.SITE_URL] = site
    second = start("--max-age-s=0.1", "--grow-every-s=0.1")
    wait_until(lambda: rows(lake, "events") > 1, second)
    second.kill()
    third = start("--max-age-s=0.1", "--grow-every-s=0.1")
    wait_until(lambda: rows(lake, "quarantine") == 1 and rows(lake, "users") >= 40, third)
    third.terminate()
    assert third.wait(WITHIN_S) == 0
    assert offsets_of(lake, "events") == list(range(301))
    assert offsets_of(lake, "quarantine") == [301]
    assert lake.count("movies", by="movie_id") == dict.fromkeys(ids[:4], 1)

    film = json.dumps({"id": watched[-1], "title": "At last", "runtime": 90})
    lake_catalog.store(lake, [parse_movies([film], datetime.now(UTC)).columns], [])
    command = [sys.executable, "-m", "ingest_worker.quarantine_command", "--reason=unknown_movie"]
    for expected in (1, 0):
        done = subprocess.run(
            command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, check=True
        )
        assert json.loads(done.stdout)["admitted"] == expected
    assert offsets_of(lake, "events") == list(range(302))


def offsets_of(lake, table):
    found = lake.query(f"select kafka_offset o from {table} order by 1", {table: None})  # noqa: S608
    return found.column("o").to_pylist()
