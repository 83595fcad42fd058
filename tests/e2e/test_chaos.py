"""Parts killed at random while lines arrive: what died comes back, every line is in the lake, once.

MOVIEREC_CRASHES=50 kills fifty times instead of three, MOVIEREC_CRASH_SEED varies what and when.
"""

import functools
import itertools
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from pathlib import Path

import pytest

from movierec import settings
from movierec.aws import session
from movierec.aws.delta_lake import DeltaLake
from movierec.errors import UnavailableError
from movierec.kafka import topics
from movierec.stack import loopback_ports, run_environment
from movierec.stack import options as run_options
from movierec.stack.layout import find_project
from movierec.stack.options import Options
from movierec.stack.processes.client import Client
from movierec.stack.processes.spec import BackOff
from movierec.stack.services import emulator, kafka_broker, workers

CRASHES = int(os.environ.get("MOVIEREC_CRASHES", "3"))
SEED = int(os.environ.get("MOVIEREC_CRASH_SEED", "1"))
WITHIN_S = 120
ROOT = Path(__file__).parents[2]
WRITER = (sys.executable, "-m", "tests.e2e.site_writer")
PARTS = (loopback_ports.EMULATOR, loopback_ports.KAFKA, loopback_ports.INGEST)

# Who is killed again and again is started at once all the same.
AT_ONCE = BackOff(first_s=0.1, longest_s=0.1)


@pytest.fixture(scope="module")
def run():
    found = find_project({}, Path(__file__).parent).run(f"chaos-{uuid.uuid4().hex[:8]}").create()
    yield found
    shutil.rmtree(found.folder)


@pytest.fixture(scope="module")
def client(run):
    with Client(run, AT_ONCE) as found:
        yield found


@pytest.fixture(scope="module")
def variables(run, client):
    """Start an emulator, a broker and an ingest worker; return their environment."""
    inherited = dict(os.environ)
    client.start(emulator.spec(run, inherited))
    servers = kafka_broker.start(client, inherited)
    known = run_options.variables(run, {}, Options())
    assert known[settings.KAFKA_BOOTSTRAP] == servers
    topics.ensure(settings.kafka_options(known), known[settings.TOPIC], 2)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in known.items():
            patch.setenv(name, value)
        session.client.cache_clear()
        session.client("s3").create_bucket(Bucket=known[settings.LAKE_BUCKET])
        session.client.cache_clear()
    # The proxy is none of the parts here, and nobody asks it.
    run_environment.save(run, {**known, settings.API_URL: "http://127.0.0.1:1"})
    client.start(workers.ingest(run, workers.environment(run, known, inherited)))
    return known


class Site:
    """A site that writes lines without a pause, and what the broker has acknowledged of them."""

    numbers = itertools.count(1, 1_000_000)

    def __init__(self, variables):
        self.acknowledged: set[tuple[int, int]] = set()
        self._before: int | None = None
        self._process = subprocess.Popen(
            [*WRITER, variables[settings.TOPIC], str(next(self.numbers))],
            cwd=ROOT,
            env={"PATH": os.environ["PATH"], **variables},
            stdout=subprocess.PIPE,
            text=True,
        )
        self._reader = threading.Thread(target=self._read)

    def __enter__(self):
        self._reader.start()
        return self

    def __exit__(self, *_):
        self._process.terminate()
        self._reader.join()
        with self._process:
            pass

    def _read(self):
        assert self._process.stdout is not None
        for line in self._process.stdout:
            partition, offset = line.split()
            self.acknowledged.add((int(partition), int(offset)))

    def goes_on(self):
        """Say whether lines are acknowledged since this was asked the last time."""
        before, self._before = self._before, len(self.acknowledged)
        return before is not None and self._before > before


def until(condition):
    deadline = time.monotonic() + WITHIN_S
    while not condition():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.1)


def lines_in(lake):
    """Return how often each line of the topic is among the events, by partition and offset."""
    rows = lake.query("select kafka_partition p, kafka_offset o from events", {"events": None})
    return Counter(zip(rows.column("p").to_pylist(), rows.column("o").to_pylist(), strict=True))


def test_every_line_is_in_the_lake_once_whatever_dies_meanwhile(variables, client):
    chance = random.Random(SEED)
    lake = DeltaLake.from_env(variables)
    for _ in range(CRASHES):
        with Site(variables) as site:
            until(site.goes_on)
            time.sleep(chance.uniform(0.0, 3.0))  # the moment is what is tried
            for victim in chance.sample(PARTS, chance.choice((1, 1, 1, 2, 3))):
                kill(client, victim)
            until(lambda: all(map(client.find, PARTS)))
            until(site.goes_on)
        until(functools.partial(caught_up, lake, variables, site))
        found = lines_in(lake)
        assert set(found.values()) == {1}
        assert site.acknowledged <= found.keys()


def kill(client, name):
    process = client.find(name)
    assert process is not None
    os.kill(process.pid, signal.SIGKILL)
    until(lambda: client.find(name) != process)


def caught_up(lake, variables, site):
    """Say whether the lake has the last lines that were acknowledged."""
    last: dict[int, int] = {}
    for partition, offset in site.acknowledged:
        last[partition] = max(offset, last.get(partition, 0))
    try:
        stored = {p: lake.transaction("events", f"{variables[settings.TOPIC]}-{p}") for p in last}
    except UnavailableError:
        return False
    return all((stored[partition] or 0) >= offset for partition, offset in last.items())
