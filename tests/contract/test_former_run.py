"""A run that a version without a daemon has started: processes recorded in its run.json."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from movierec.stack import loopback_ports, run_record
from movierec.stack.processes import former_run
from movierec.stack.processes.client import Client
from movierec.stack.run_record import Record
from movierec.stack.startup import Startup
from tests.contract.children import eventually, gone, quiet

# What the last version without a daemon has written: of a run that was stopped, and of one that
# runs.
STOPPED = Path(__file__).parents[1] / "golden" / "run_stopped_format_1.json"
RUNNING = Path(__file__).parents[1] / "golden" / "run_running_format_1.json"

# Says in a file when it has been asked to end.
PART = """
import pathlib, signal, sys, time
def stop(number, frame):
    with open("stopped", "a") as order:
        order.write(sys.argv[1] + "\\n")
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
pathlib.Path(sys.argv[1]).touch()
time.sleep(600)
"""

STUBBORN = """
import pathlib, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
pathlib.Path(sys.argv[1]).touch()
time.sleep(600)
"""


@pytest.fixture
def start(run):
    """Return a function that starts a process as that version did, and returns its record."""
    started = []

    def one(name, code=PART, group="", grace_s=20.0):
        process = subprocess.Popen(
            [sys.executable, "-c", code, name],
            cwd=run.folder,
            env={"MOVIEREC_CHILD": f"{run.folder}:0123:{name}"},
            start_new_session=True,
        )
        started.append(process)
        eventually((run.folder / name).exists)
        return {
            "name": name,
            "group": group or name,
            "pid": process.pid,
            "created_s": psutil.Process(process.pid).create_time(),
            "log": str(run.log(name)),
            "command": [sys.executable],
            "grace_s": grace_s,
            "owner": "0123",
            "restarts": 0,
            "stopping": False,
        }

    yield one
    for process in started:
        process.kill()
        process.wait()


def recorded(run, *entries):
    run_record.update(run, lambda _: Record({"proxy": 23_456}, entries))


def test_what_it_has_started_is_stopped_in_order_and_its_ports_are_kept(run, start):
    entries = [start("emulator"), start("kafka"), start("proxy"), start("supervisor")]
    recorded(run, *entries)
    assert Client(run).stop_all() == ("supervisor", "proxy", "kafka", "emulator")
    assert all(gone(entry["pid"]) for entry in entries)
    order = (run.folder / "stopped").read_text().split()
    assert order == ["supervisor", "proxy", "kafka", "emulator"]
    assert run_record.load(run) == Record({"proxy": 23_456})


def test_who_ignores_sigterm_is_killed_when_its_grace_is_over(run, start):
    entry = start("kafka-1", STUBBORN, group="kafka", grace_s=0.1)
    recorded(run, entry)
    assert former_run.stop(run) == ("kafka-1",)
    assert gone(entry["pid"])


def test_what_is_in_no_record_and_names_the_run_goes_too(run, start):
    left, recorded_one = start("left"), start("emulator")
    recorded(run, recorded_one)
    assert former_run.stop(run) == ("emulator",)
    assert gone(left["pid"])


def test_a_recycled_pid_is_never_killed(run):
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    try:
        long_ago = psutil.Process(stranger.pid).create_time() - 3600
        entry = {"name": "old", "group": "old", "pid": stranger.pid, "created_s": long_ago}
        recorded(run, entry | {"grace_s": 10.0})
        assert former_run.stop(run) == ()
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_up_ends_it_before_it_starts_anything(run, start):
    entry = start("emulator")
    recorded(run, entry)
    with Client(run) as client, Startup(client, quiet(), {}):
        assert gone(entry["pid"])


def test_a_run_that_it_has_stopped_keeps_its_ports(run):
    shutil.copyfile(STOPPED, run.record)
    known = json.loads(STOPPED.read_text())["ports"]
    assert known
    assert former_run.stop(run) == ()
    assert loopback_ports.ports(run, tuple(known)) == known


def test_the_processes_that_it_has_recorded_are_read(run):
    """They have ended long ago, and their pids are those of another machine."""
    shutil.copyfile(RUNNING, run.record)
    names = [entry["name"] for entry in run_record.load(run).processes]
    assert names[-1] == "supervisor"
    former_run.stop(run)
    assert run_record.load(run).processes == ()
