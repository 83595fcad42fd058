"""The command line while a simulator runs: it is watched, interrupted, and never left behind."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path

import psutil
import pytest
import typer

from movierec import settings
from movierec.cli import simulate
from movierec.stack import run_environment
from movierec.stack.layout import Project
from movierec.stack.processes.spec import Spec
from tests.contract.children import eventually

ROOT = Path(__file__).parents[2]

SIMULATOR = """
import json, pathlib, signal, sys, time
def stop(number, frame):
    print("stopped")
    sys.exit(128 + number)
signal.signal(signal.SIGINT, stop)
print("site: http://127.0.0.1:8080")
pathlib.Path(sys.argv[1]).write_text("{}")
time.sleep(float(sys.argv[2]))
sys.exit(int(sys.argv[3]))
"""


def watched(tmp_path, sleep_s=0.0, code=0):
    ledger = tmp_path / "ledger.json"
    command = (sys.executable, "-c", SIMULATOR, str(ledger), str(sleep_s), str(code))
    run = Project(tmp_path).run("mine").create()
    spec = Spec("simulate", command, dict(os.environ), tmp_path)
    return run, spec, simulate.Watched(ledger, backfill=False, events=1)


@pytest.mark.parametrize("code", [1, 2, 3])
def test_the_simulators_exit_code_is_the_commands(tmp_path, capsys, code):
    with pytest.raises(typer.Exit) as ended:
        simulate.watch(*watched(tmp_path, code=code))
    assert ended.value.exit_code == code
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "site: http://127.0.0.1:8080" in printed.err


def test_a_simulator_that_ends_well_ends_the_command_well(tmp_path):
    simulate.watch(*watched(tmp_path))


def test_an_interrupt_is_passed_on_and_the_simulator_ends_in_order(tmp_path, capsys):
    run, spec, asked = watched(tmp_path, sleep_s=600)

    def interrupt():
        while not asked.ledger.exists():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    with pytest.raises(typer.Exit) as ended:
        simulate.watch(run, spec, asked)
    assert ended.value.exit_code == 128 + signal.SIGINT
    assert "stopped" in capsys.readouterr().err


WATCHING = """
import os, pathlib, sys
from movierec.cli import simulate
from movierec.stack.layout import Project
from movierec.stack.processes.spec import Spec
folder = pathlib.Path(sys.argv[1])
said = folder / "pid"
code = f"import os, pathlib; pathlib.Path('{said}').write_text(str(os.getpid()))"
child = (sys.executable, "-c", code + "; import time; time.sleep(600)")
spec = Spec("simulate", child, dict(os.environ), folder)
watched = simulate.Watched(folder / "ledger.json", backfill=False, events=1)
simulate.watch(Project(folder).run("mine").create(), spec, watched)
"""


def test_a_command_that_is_killed_outright_leaves_no_simulator_behind(tmp_path):
    command = [sys.executable, "-c", WATCHING, str(tmp_path)]
    watching = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
    try:
        pid_file = tmp_path / "pid"
        eventually(lambda: pid_file.exists() and pid_file.read_text() != "")
        simulator = psutil.Process(int(pid_file.read_text()))
    finally:
        watching.kill()
        watching.wait()
    eventually(lambda: not simulator.is_running())


def test_an_account_of_an_earlier_simulation_is_not_shown(tmp_path):
    ledger = tmp_path / "ledger.json"
    assert simulate.read_ledger(ledger) is None
    ledger.write_text('{"format": 1}')
    assert simulate.read_ledger(ledger) == {"format": 1}
    assert simulate.read_ledger(ledger, since_s=time.time() + 60) is None
    ledger.write_text('{"format"')
    assert simulate.read_ledger(ledger) is None


MOVIEREC = Path(sys.executable).parent / "movierec"


def test_help_for_simulate_is_the_simulators_own():
    """Under the name that was typed, and with the options of every command."""
    ended = subprocess.run(
        [MOVIEREC, "simulate", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.stdout.startswith("usage: movierec simulate ")
    for option in ("--backfill DAYS", "--run NAME", "--json"):
        assert option in ended.stdout


@pytest.fixture
def run():
    found = Project(ROOT).run(f"simulated-{uuid.uuid4().hex[:8]}").create()
    run_environment.save(found, {settings.SITE_URL: "http://127.0.0.1:1"})
    yield found
    shutil.rmtree(found.folder)


def simulated(run, *arguments, **sizes):
    return subprocess.run(
        [MOVIEREC, "simulate", "--run", run.name, *arguments],
        cwd=ROOT,
        env={**os.environ, **sizes},
        capture_output=True,
        text=True,
        check=False,
    )


def test_what_the_simulator_refuses_it_refuses_under_the_name_that_was_typed(run):
    ended = simulated(run, "--nosuch")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.strip().endswith("see `movierec simulate --help`")
    assert "python -m" not in ended.stderr


@pytest.mark.parametrize(
    ("variable", "argument"),
    [
        (settings.SIMULATOR_USERS, "--users"),
        (settings.SIMULATOR_MOVIES, "--movies"),
        (settings.SIMULATOR_EVENTS, "--events"),
    ],
)
def test_the_environment_says_how_big_the_site_is_where_arguments_do_not(run, variable, argument):
    refused = simulated(run, "--backfill=1", **{variable: "0"})
    assert refused.returncode == 2
    assert f"argument {argument}: 0 is not in" in refused.stderr
    other = simulated(run, "--backfill=0", f"{argument}=1000", **{variable: "1000"})
    assert "argument --backfill: 0 is not in" in other.stderr


def test_all_processes_of_a_runs_site_share_one_state(run):
    run.site.mkdir(parents=True, exist_ok=True)
    (run.site / "growth.json").write_text("of another program")
    backfill = ("--backfill=1", "--new-accounts=0.1", "--bootstrap=127.0.0.1:1")
    refused = simulated(run, *backfill)
    assert refused.returncode == 2
    assert f"--site-state {run.site / 'growth.json'}" in refused.stderr


def test_a_movielens_site_has_its_own_size(run, tmp_path):
    ended = simulated(run, f"--movielens={tmp_path}", **{settings.SIMULATOR_USERS: "1000"})
    assert "leave out --users" not in ended.stderr
    assert str(tmp_path) in ended.stderr
