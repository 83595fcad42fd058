"""The edge that every long-running process has: seen from outside, as its supervisor sees it."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

PROCESS = """
import asyncio, logging, sys, time
from movierec.runtime import entrypoint
from movierec.errors import ConfigError

def nothing():
    logging.getLogger("worker.part").info("begun")
    logging.getLogger("library").info("chatter")

def refused():
    raise ConfigError("MOVIEREC_X is not set: set it")

def broken():
    raise ZeroDivisionError("a bug")

def unwinding():
    try:
        print("ready", flush=True)
        time.sleep(600)
    finally:
        print("closed", flush=True)

def stopping():
    stop = entrypoint.stop_event()
    print("ready", flush=True)
    stop.wait()
    print("flushed", flush=True)

def serving():
    async def serve():
        stop = entrypoint.async_stop_event()
        print("ready", flush=True)
        await stop.wait()
        print("flushed", flush=True)
    asyncio.run(serve())

def in_the_background():
    import os, signal, subprocess
    signals = (signal.SIGINT, signal.SIGQUIT)
    for number in signals:
        signal.signal(number, signal.SIG_IGN)
    entrypoint.default_signals_in_children()
    for number in signals:
        os.kill(os.getpid(), number)
    code = "import signal; print(*(signal.getsignal(n) for n in (2, 3)))"
    subprocess.run([sys.executable, "-c", code], check=True)

def ready():
    entrypoint.notify_ready()
    print(entrypoint.inherited_socket())

sys.exit(entrypoint.run("worker", globals()[sys.argv[1]]))
"""


def start(work, **env):
    return subprocess.Popen(
        [sys.executable, "-c", PROCESS, work],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_process_that_has_done_its_work_ends_well_and_logs_its_own_events_alone():
    process = start("nothing")
    _, log = process.communicate(timeout=60)
    assert process.returncode == 0
    assert [json.loads(line)["event"] for line in log.splitlines()] == ["begun"]


def test_what_the_product_says_of_its_own_failure_is_one_line_and_an_exit_code():
    process = start("refused")
    said = process.communicate(timeout=60)
    assert said == ("", "worker: MOVIEREC_X is not set: set it\n")
    assert process.returncode == 2


def test_a_bug_is_logged_with_its_traceback():
    process = start("broken")
    _, log = process.communicate(timeout=60)
    event = json.loads(log)
    assert process.returncode == 1
    assert (event["event"], event["package"]) == ("crashed", "worker")
    assert "ZeroDivisionError: a bug" in event["exception"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda n: n.name)
def test_a_signal_unwinds_work_that_does_not_listen_for_it(number):
    process = start("unwinding")
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    assert process.communicate(timeout=60) == ("closed\n", "")
    assert process.returncode == 128 + number


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda n: n.name)
@pytest.mark.parametrize("work", ["stopping", "serving"])
def test_work_that_listens_for_signals_ends_where_it_suits_it(work, number):
    process = start(work)
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    assert process.communicate(timeout=60) == ("flushed\n", "")
    assert process.returncode == 0


def test_what_a_background_job_ignores_its_children_do_not():
    process = start("in_the_background")
    said, _ = process.communicate(timeout=60)
    # Python's own handler, which it installs where SIGINT is not ignored; and the default.
    assert said == "<built-in function default_int_handler> 0\n"
    assert process.returncode == 0


def test_a_process_that_is_ready_says_so_to_whom_wants_to_know(tmp_path):
    file = tmp_path / "ready"
    assert start("ready", MOVIEREC_READY_FILE=str(file)).communicate(timeout=60) == ("None\n", "")
    assert file.exists()
    assert start("ready").communicate(timeout=60) == ("None\n", "")
