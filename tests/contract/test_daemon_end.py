"""What becomes of a run's processes when a command or the daemon ends, however it ends."""

import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from movierec.errors import UnavailableError
from movierec.stack.processes.client import Client
from tests.contract.children import (
    NOTIFYING,
    ORDERLY,
    SAYS_SO,
    eventually,
    gone,
    of_run,
    spec,
    waiting,
)

ROOT = Path(__file__).parents[2]

DEMO = """
import os, pathlib, sys, time
from movierec.stack.layout import Project, Run
from movierec.stack.processes.client import Client
from movierec.stack.processes.spec import Spec
run = Run(Project(pathlib.Path(sys.argv[1])), pathlib.Path(sys.argv[2]))
with Client(run) as daemon:
    child = [sys.executable, "-c", "import time; time.sleep(600)"]
    daemon.start(Spec("child", tuple(child), dict(os.environ), run.folder))
    (run.folder / "started").touch()
    # A signal that comes just before the main thread sleeps is handled after that.
    while True:
        time.sleep(0.1)
"""

# The same, in the middle of a program that a thread of it runs to its end.
CALLING = DEMO.replace(
    "while True:\n",
    """
    import threading
    from movierec.errors import UnavailableError
    def deploy():
        try:
            daemon.call(Spec("deploy", tuple(child), {}, run.folder), within_s=600)
        except UnavailableError as exc:
            (run.folder / "told").write_text(str(exc))
    threading.Thread(target=deploy).start()
    while True:
""",
)

# And in the middle of one whose output a thread of it reads.
STREAMING = DEMO.replace(
    "while True:\n",
    """
    import threading
    from movierec.errors import UnavailableError
    def build():
        try:
            with daemon.stream(Spec("build", tuple(child), {}, run.folder)) as program:
                program.stdout.read()
                program.wait()
        except UnavailableError as exc:
            (run.folder / "told").write_text(str(exc))
    threading.Thread(target=build).start()
    while True:
""",
)


def started(run, code):
    command = [sys.executable, "-c", code, str(ROOT), str(run.folder)]
    demo = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
    eventually((run.folder / "started").exists)
    return demo


def finish(demo, run):
    demo.kill()
    demo.wait()
    Client(run).stop_all()


SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL]


@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
def test_whatever_ends_the_command_ends_its_children(run, number):
    """SIGKILL leaves it no chance: the daemon sees that it is gone."""
    demo = started(run, DEMO)
    try:
        [child] = Client(run).running()
        assert not gone(child.pid)
        demo.send_signal(number)
        demo.wait(20)
        eventually(lambda: gone(child.pid))
        eventually(lambda: not of_run(run))
    finally:
        finish(demo, run)


def test_a_second_interrupt_does_not_cut_an_orderly_end_short(run):
    orderly = f"""{NOTIFYING}
import pathlib, signal, sys, time
def stop(number, frame):
    pathlib.Path("stopping").touch()
    while not pathlib.Path("interrupted").exists():
        time.sleep(0.01)
    pathlib.Path("cleaned").touch()
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
ready()
time.sleep(600)
"""
    code = (
        DEMO.replace('"import time; time.sleep(600)"', repr(orderly))
        .replace("run.folder)", "run.folder, Readiness())")
        .replace("import Spec", "import Readiness, Spec")
    )
    demo = started(run, code)
    try:
        demo.send_signal(signal.SIGINT)
        eventually((run.folder / "stopping").exists)
        demo.send_signal(signal.SIGINT)
        (run.folder / "interrupted").touch()
        demo.wait(20)
        assert (run.folder / "cleaned").exists()
        assert of_run(run) == set()
    finally:
        finish(demo, run)


def test_sigterm_ends_a_program_that_a_thread_waits_for(run):
    demo = started(run, CALLING)
    try:
        eventually(lambda: len(Client(run).running()) == 2)
        children = [process.pid for process in Client(run).running()]
        demo.terminate()
        demo.wait(20)
        assert all(map(gone, children))
        assert "stopped" in (run.folder / "told").read_text()
    finally:
        finish(demo, run)


@pytest.mark.parametrize(
    "number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda number: number.name
)
def test_whatever_ends_the_command_ends_a_program_that_a_thread_reads(run, number):
    demo = started(run, STREAMING)
    try:
        eventually(lambda: len(Client(run).running()) == 2)
        children = [process.pid for process in Client(run).running()]
        demo.send_signal(number)
        demo.wait(20)
        eventually(lambda: all(map(gone, children)))
        if number != signal.SIGKILL:  # or half of what was built would pass for the whole
            assert "build was stopped" in (run.folder / "told").read_text()
    finally:
        finish(demo, run)


def test_a_command_that_is_killed_leaves_alone_what_an_earlier_one_left_running(run, daemon):
    earlier = daemon.start(waiting(run, "earlier"))
    demo = started(run, DEMO)
    try:
        [child] = [p for p in daemon.running() if p != earlier]
        demo.kill()
        demo.wait(20)
        eventually(lambda: gone(child.pid))
        eventually(lambda: daemon.running() == (earlier,))
    finally:
        finish(demo, run)


def guardian_of(run):
    """Return the daemon's guardian: the process at the top of the run's own."""
    pids = of_run(run)
    (top,) = [pid for pid in pids if psutil.Process(pid).ppid() not in pids]
    return psutil.Process(top)


def daemon_of(run):
    (daemon,) = guardian_of(run).children()
    return daemon


STUBBORN = f"""{NOTIFYING}
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
ready()
time.sleep(600)
"""


@pytest.mark.parametrize("which", [daemon_of, guardian_of], ids=["daemon", "guardian"])
def test_a_daemon_that_is_killed_takes_everything_with_it_and_the_next_command_goes_on(run, which):
    """Also what ignores SIGTERM, and what has left its session."""
    with Client(run) as daemon:
        daemon.start(spec(run, "stubborn", STUBBORN, ready=SAYS_SO, restart=True, grace_s=600))
        daemon.start(waiting(run))
        daemon.keep()
    before = of_run(run)
    which(run).kill()
    eventually(lambda: Client(run).processes() == ())
    with Client(run) as daemon:  # waits for what is left of the former daemon
        assert [psutil.Process(pid).cmdline() for pid in before if not gone(pid)] == []
        after = daemon.start(waiting(run))
        assert daemon.running() == (after,)
        assert len(of_run(run)) == 3


def test_a_program_saves_its_state_when_the_daemon_is_killed(run, daemon):
    """The kernel sends SIGTERM then, not SIGKILL."""
    daemon.start(spec(run, "saver", ORDERLY, ready=SAYS_SO))
    daemon_of(run).kill()
    eventually((run.folder / "cleaned").exists)
    eventually(lambda: not of_run(run))


@pytest.mark.parametrize("number", SIGNALS[:3], ids=lambda number: number.name)
def test_a_daemon_that_is_asked_to_end_stops_its_children_first(run, daemon, number):
    daemon.start(waiting(run))
    daemon_of(run).send_signal(number)
    eventually(lambda: not of_run(run))
    assert daemon.stop_all() == ()


def test_a_command_whose_daemon_is_killed_says_so(run):
    with pytest.raises(UnavailableError, match="daemon has ended"), Client(run) as mine:
        mine.start(waiting(run))
        daemon_of(run).kill()
        eventually(lambda: mine.processes() == ())
        mine.start(waiting(run, "another"))
    assert of_run(run) == set()


def test_a_run_has_one_daemon_whoever_starts_it(run):
    def start(number):
        with Client(run) as client:
            client.start(waiting(run, f"child-{number}"))
            client.keep()

    with ThreadPoolExecutor() as pool:
        list(pool.map(start, range(4)))
    assert len(of_run(run)) == 6
    assert len(Client(run).stop_all()) == 4


def test_the_daemon_sees_nothing_of_the_users_environment(run, daemon, monkeypatch):
    monkeypatch.setenv("PYTHONSTARTUP", "/elsewhere")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    daemon.start(waiting(run))
    found = daemon_of(run).environ()
    assert not {"PYTHONSTARTUP", "AWS_SECRET_ACCESS_KEY"} & found.keys()
