"""What becomes of a run's children when their supervisor ends, however it ends."""

import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from movierec.stack import run_record
from movierec.stack.processes.supervisor import Supervisor
from tests.contract.children import eventually, gone, waiting

ROOT = Path(__file__).parents[2]

DEMO = """
import os, pathlib, sys, time
from movierec.stack.layout import Project, Run
from movierec.stack.processes.supervisor import Supervisor
from movierec.stack.processes.programs import Spec
run = Run(Project(pathlib.Path(sys.argv[1])), pathlib.Path(sys.argv[2]))
with Supervisor(run) as supervisor:
    child = [sys.executable, "-c", "import time; time.sleep(600)"]
    supervisor.start(Spec("child", tuple(child), dict(os.environ), run.folder))
    (run.folder / "started").touch()
    time.sleep(600)
"""

# The same, in the middle of a program that a thread of it runs to its end.
CALLING = DEMO.replace(
    "time.sleep(600)\n",
    """
    import threading
    from movierec.errors import UnavailableError
    def deploy():
        try:
            supervisor.call(Spec("deploy", tuple(child), {}, run.folder), within_s=600)
        except UnavailableError as exc:
            (run.folder / "told").write_text(str(exc))
    threading.Thread(target=deploy).start()
    time.sleep(600)
""",
)

# And in the middle of one whose output a thread of it reads.
STREAMING = DEMO.replace(
    "time.sleep(600)\n",
    """
    import threading
    from movierec.errors import UnavailableError
    def build():
        try:
            with supervisor.stream(Spec("build", tuple(child), {}, run.folder)) as program:
                program.communicate()
        except UnavailableError as exc:
            (run.folder / "told").write_text(str(exc))
    threading.Thread(target=build).start()
    time.sleep(600)
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
    Supervisor(run).stop_all()


@pytest.mark.parametrize(
    "number",
    [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL],
    ids=lambda number: number.name,
)
def test_whatever_ends_the_supervisor_ends_its_children(run, number):
    """SIGKILL leaves it no chance: that is what the guard is for."""
    demo = started(run, DEMO)
    try:
        [child] = run_record.load(run).processes
        assert not gone(child.pid)
        demo.send_signal(number)
        demo.wait(20)
        eventually(lambda: gone(child.pid))
        eventually(lambda: run_record.load(run).processes == ())
    finally:
        finish(demo, run)


def test_sigterm_ends_a_program_that_a_thread_waits_for(run):
    demo = started(run, CALLING)
    try:
        eventually(lambda: len(run_record.load(run).processes) == 2)
        children = [process.pid for process in run_record.load(run).processes]
        demo.terminate()
        demo.wait(20)
        assert all(map(gone, children))
        assert "stopped" in (run.folder / "told").read_text()
    finally:
        finish(demo, run)


@pytest.mark.parametrize(
    "number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda number: number.name
)
def test_whatever_ends_the_supervisor_ends_a_program_that_a_thread_reads(run, number):
    demo = started(run, STREAMING)
    try:
        eventually(lambda: len(run_record.load(run).processes) == 2)
        children = [process.pid for process in run_record.load(run).processes]
        demo.send_signal(number)
        demo.wait(20)
        eventually(lambda: all(map(gone, children)))
        if number != signal.SIGKILL:  # or half of what was built would pass for the whole
            assert "build was stopped" in (run.folder / "told").read_text()
    finally:
        finish(demo, run)


def test_a_guard_leaves_alone_what_an_earlier_command_left_running(run, supervisor):
    earlier = supervisor.start(waiting(run, "earlier"))
    demo = started(run, DEMO)
    try:
        [child] = [p for p in run_record.load(run).processes if p != earlier]
        demo.kill()
        demo.wait(20)
        eventually(lambda: gone(child.pid))
        eventually(lambda: run_record.load(run).processes == (earlier,))
        assert supervisor.running() == (earlier,)
    finally:
        finish(demo, run)


def test_the_guard_sees_nothing_of_the_users_environment(run, monkeypatch):
    monkeypatch.setenv("PYTHONSTARTUP", "/elsewhere")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    with Supervisor(run) as supervisor:
        child = supervisor.start(waiting(run))
        guards = [p for p in psutil.Process().children() if p.pid != child.pid]
        found = [p.environ() for p in guards if "movierec.stack.processes.guard" in p.cmdline()]
    assert found
    assert not {"PYTHONSTARTUP", "AWS_SECRET_ACCESS_KEY"} & found[0].keys()
