"""Child processes for tests, and helpers that wait for them."""

import os
import sys
import time

import psutil

from movierec.stack.processes import child_environment
from movierec.stack.processes.spec import Readiness, Spec
from movierec.stack.progress import Progress

SAYS_SO = Readiness()
"""Readiness check of a child that calls `ready()`; see NOTIFYING."""

NOTIFYING = """
import os, pathlib
def ready():
    pathlib.Path(os.environ["MOVIEREC_READY_FILE"]).touch()
"""

ORDERLY = f"""{NOTIFYING}
import pathlib, signal, sys, time
def stop(number, frame):
    pathlib.Path("cleaned").touch()
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
ready()
time.sleep(600)
"""


def spec(run, name, code, **settings):
    command = (sys.executable, "-c", code)
    return Spec(name, command, child_environment.basic(os.environ), run.folder, **settings)


def waiting(run, name="sleeper"):
    return spec(run, name, "import time; time.sleep(600)")


def lives(pid):
    return not gone(pid)


def of_run(run):
    """Return every process whose command, environment or working folder names the run's folder."""
    folder = str(run.folder)
    found = set()
    for process in psutil.process_iter():
        try:
            known = [*process.cmdline(), *process.environ().values(), process.cwd()]
        except (psutil.Error, OSError):
            continue
        if process.pid != os.getpid() and any(folder in each for each in known):
            found.add(process.pid)
    return found


def eventually(condition, within_s=20.0):
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.02)


def gone(pid):
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


class Quiet:
    """A display, and a step, that show nothing."""

    def update(self, done=None, total=None, note=None):
        pass

    def begin(self, name):
        return self

    def end(self, step, seconds, error):
        pass


def quiet():
    return Progress(Quiet())
