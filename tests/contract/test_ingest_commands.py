"""Loading a dump and replaying a range, as processes on a real broker and a real lake."""

import json
import os
import shutil
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kafka import KafkaProducer

from movierec import settings
from movierec.aws.delta_lake import DeltaLake
from movierec.kafka import topics
from movierec.stack.layout import find_project
from movierec.stack.processes.client import Client
from movierec.stack.services import kafka_broker

ROOT = Path(__file__).parents[2]
MOVIEREC = Path(sys.executable).parent / "movierec"
LINES = 60_000


@pytest.fixture
def environment(emulated_aws, bucket):
    return {**emulated_aws, "PATH": os.environ["PATH"], settings.LAKE_BUCKET: bucket}


def command(environment, *arguments):
    ended = subprocess.run(
        [MOVIEREC, "ingest", *arguments, "--json"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return ended.returncode, json.loads(ended.stdout) if ended.stdout else {}, ended.stderr


def line(n):
    request = "junk" if n % 10 == 0 else f"GET /rate/gladiator+{n}=4"
    return f"2026-09-14T12:{n // 1000:02}:{n // 17 % 60:02},{n + 1},{request}"


@pytest.fixture
def dump(tmp_path):
    path = tmp_path / "site.log"
    path.write_text("".join(f"{line(n)}\n" for n in range(LINES)))
    return path


def offsets(lake, table):
    found = lake.query(f"select kafka_offset o from {table}", {table: None})  # noqa: S608
    return found.column("o").to_pylist()


LOADER = """
import os, sys
from ingest_worker import dump_lines, load
dump_lines._BATCH_BYTES = 1 << 18
if sys.argv[2] == "killed":
    after = load._go_on
    steps = iter(range(3))
    load._go_on = lambda *given: os.kill(os.getpid(), 9) if next(steps, None) is None else None
sys.exit(load.main([sys.argv[1]]))
"""


def test_a_dump_is_loaded_once_through_kills_and_repeats(environment, dump):
    for fate in ("killed", "killed", "spared"):
        loader = [sys.executable, "-c", LOADER, str(dump), fate]
        ended = subprocess.run(loader, cwd=ROOT, env=environment, check=False, capture_output=True)
        assert ended.returncode == (0 if fate == "spared" else -9), ended.stderr
    code, report, _ = command(environment, "file", str(dump))
    assert (code, report["lines"], report["loaded"]) == (0, LINES, 0)
    assert report["by_kind"] == {"rate": LINES - LINES // 10}
    assert report["by_reason"] == {"unknown_request": LINES // 10}
    assert report["by_time_basis"] == {"assumed": LINES - LINES // 10}
    lake = DeltaLake.from_env(environment)
    every = sorted(offsets(lake, "events") + offsets(lake, "quarantine"))
    assert every == list(range(LINES))


def test_the_zone_that_is_set_gives_a_dumps_times(environment, dump):
    environment |= {settings.SITE_TIMEZONE: "America/New_York"}
    code, report, _ = command(environment, "file", str(dump), "--topic=autumn")
    assert (code, report["topic"]) == (0, "autumn")
    assert report["by_time_basis"] == {"zone": LINES - LINES // 10}
    [first] = (
        DeltaLake.from_env(environment)
        .query("select min(event_time) t from events", {"events": None})
        .column("t")
        .to_pylist()
    )
    assert first.hour == 16


def test_a_file_that_changed_is_refused(environment, dump):
    assert command(environment, "file", str(dump))[0] == 0
    with dump.open("a") as file:
        file.write(line(1) + "\n")
    code, report, said = command(environment, "file", str(dump))
    assert (code, report) == (2, {})
    assert "file-site.log in the lake is of another file, or of this one before" in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["file", "nosuch.log"], "nosuch.log: No such file or directory; name a file"),
        (["file", "src"], "src is no regular file"),
        (["file", "README.md", "--topic=a b"], "topic 'a b': use letters"),
        (["replay", "--into=events"], "--into events: that is a table of the lake itself"),
        (["replay", "--into=Mine"], "--into 'Mine': use a-z"),
        (
            ["replay", "--into=mine", "--from-offset=1", "--from-time=2026-01-01"],
            "--from-offset and --from-time: give one of them",
        ),
        (["replay", "--into=mine", "--until-time=noon"], "--until-time 'noon': use a time as"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(environment, arguments, words):
    code, report, said = command(environment, *arguments)
    assert (code, report) == (2, {})
    assert words in said
    assert "Traceback" not in said


@pytest.fixture(scope="module")
def kafka():
    run = find_project({}, ROOT).run(f"replay-{uuid.uuid4().hex[:8]}").create()
    with Client(run) as client:
        yield kafka_broker.start(client, dict(os.environ))
    shutil.rmtree(run.folder)


START_MS = 1_789_401_600_000


@pytest.fixture
def topic(kafka):
    """Return a topic of two partitions with 2,000 lines of a site at UTC-4, ten a second."""
    name = f"movielog-{uuid.uuid4().hex[:8]}"
    options = settings.kafka_options({settings.KAFKA_BOOTSTRAP: kafka})
    topics.ensure(options, name, 2)
    producer = KafkaProducer(**options)
    for n in range(2_000):
        written_ms = START_MS + n * 100
        producer.send(name, replayed_line(n), partition=n % 2, timestamp_ms=written_ms)
    producer.close()
    return name


def replayed_line(n):
    seconds = n // 10
    text = f"2026-09-14T12:{seconds // 60:02}:{seconds % 60:02}"
    return f"{text},{n + 1},{'junk' if n % 10 == 0 else f'GET /rate/gladiator+{n}=4'}".encode()


def test_a_range_is_replayed_and_compared(environment, kafka, topic):
    environment |= {settings.KAFKA_BOOTSTRAP: kafka, settings.TOPIC: topic}
    code, report, said = command(
        environment, "replay", "--into=again", "--from-offset=100", "--until-offset=600"
    )
    assert code == 0, said
    assert report["offsets"] == {"0": [100, 600], "1": [100, 600]}
    assert report["lines"] == 1_000
    assert report["by_kind"] == {"rate": 900}
    assert report["by_reason"] == {"unknown_request": 100}
    assert (report["clock"]["basis"], report["clock"]["offset_minutes"]) == ("found", -240)
    lake = DeltaLake.from_env(environment)
    assert len(offsets(lake, "again")) == 900
    assert (lake.count("events"), report["against_events"]) == ({}, {})

    # As if an older worker had taken a line that is junk, and another's time for UTC.
    taken = np.array(["2026-09-14T12:01:40"], "datetime64[us]")
    for offset in (500, 501):
        row: dict[str, Any] = {
            "kind": ["rate"],
            "event_date": taken.astype("datetime64[D]"),
            "event_time": taken,
            "kafka_partition": np.array([0]),
            "kafka_offset": np.array([offset]),
            "topic": [topic],
        }
        lake.append("events", [row], transactions={})

    refused, _, said = command(environment, "replay", "--into=again")
    assert refused == 2
    assert "--into again: there is such a table" in said

    since = "2026-09-14T16:01:40Z"  # of the thousandth line
    code, report, said = command(
        environment,
        "replay",
        "--into=again",
        "--overwrite",
        f"--from-time={since}",
        "--partition=0",
    )
    assert code == 0, said
    assert report["offsets"] == {"0": [500, 1_000]}
    assert report["against_events"] == {
        "both_have": 1,
        "new_here": 399,
        "missing_here": 1,
        "at_another_time": 1,
    }
    assert lake.count("events") == {"": 2}
    assert len(offsets(lake, "again")) == 400
