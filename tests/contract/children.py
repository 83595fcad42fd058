"""Child processes of the tests' making, and waiting for what becomes of them."""

import os
import sys
import time

import psutil

from movierec.stack.processes import child_environment
from movierec.stack.processes.programs import Spec


def spec(run, name, code, **settings):
    command = (sys.executable, "-c", code)
    return Spec(name, command, child_environment.basic(os.environ), run.folder, **settings)


def waiting(run, name="sleeper"):
    return spec(run, name, "import time; time.sleep(600)")


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
