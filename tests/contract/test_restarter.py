"""A part that dies comes back by itself: real processes, killed here, and a clock of the test's."""

import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from movierec.stack import run_record
from movierec.stack.processes.supervisor import Supervisor
from movierec.stack.restarter import BackOff, Watch
from tests.contract.children import eventually, gone, spec, waiting

ROOT = Path(__file__).parents[2]

BACK_OFF = BackOff(first_s=10, longest_s=25, forgiven_after_s=100)


class Clock:
    now_s = 0.0

    def __call__(self):
        return self.now_s


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def watched(run, supervisor, clock):
    """Return a function that starts parts as `up` does, and returns a watch as in its process."""
    watching = Supervisor(run)

    def start(*specs):
        for each in specs:
            supervisor.start(each)
        return Watch(watching, specs, BACK_OFF, clock)

    yield start
    watching.stop_all()


def kill(supervisor, name):
    process = supervisor.find(name)
    os.kill(process.pid, signal.SIGKILL)
    eventually(lambda: supervisor.find(name) is None)
    return process


def test_a_part_that_was_killed_is_started_again_at_once(run, supervisor, watched):
    watch = watched(waiting(run, "part"), waiting(run, "other"))
    other = supervisor.find("other")
    before = kill(supervisor, "part")
    watch.look()
    after = supervisor.find("part")
    assert after.pid != before.pid
    assert (before.restarts, after.restarts) == (0, 1)
    assert supervisor.find("other") == other


def test_what_goes_on_dying_is_started_ever_later_and_at_last_as_rarely_as_may_be(
    run, supervisor, watched, clock
):
    watch = watched(waiting(run, "part"))
    waited = []
    for _ in range(5):
        kill(supervisor, "part")
        died_s = clock.now_s
        while supervisor.find("part") is None:
            watch.look()
            clock.now_s += 1
        waited.append(clock.now_s - died_s - 1)
        watch.look()
    assert waited == [0, 10, 20, 25, 25]


def test_a_part_that_has_lived_for_a_while_is_forgiven(run, supervisor, watched, clock):
    watch = watched(waiting(run, "part"))
    for _ in range(2):
        kill(supervisor, "part")
        watch.look()
        clock.now_s += 100
        watch.look()
    kill(supervisor, "part")
    watch.look()
    assert supervisor.find("part").restarts == 3


def test_what_is_stopped_on_purpose_stays_down(run, supervisor, watched):
    watch = watched(waiting(run, "part"))
    supervisor.stop("part")
    watch.look()
    assert supervisor.find("part") is None


def test_what_is_being_stopped_is_not_started_again_meanwhile(run, supervisor, watched):
    watch = watched(waiting(run, "part"))
    process = supervisor.find("part")
    run_record.update(run, lambda before: before.stopping(process))
    kill(supervisor, "part")
    watch.look()
    assert supervisor.find("part") is None


def test_a_part_that_cannot_start_is_tried_again_and_not_forgotten(
    run, supervisor, watched, clock, caplog
):
    flag = run.folder / "flag"
    fussy = spec(
        run,
        "part",
        f"import pathlib, time; pathlib.Path({str(flag)!r}).read_text(); time.sleep(600)",
    )
    flag.touch()
    watch = watched(fussy)
    flag.unlink()
    kill(supervisor, "part")
    watch.look()
    eventually(lambda: supervisor.find("part") is None)
    flag.touch()
    watch.look()
    clock.now_s += 10
    watch.look()
    assert supervisor.find("part").restarts == 2
    (_, second) = [entry for entry in caplog.records if entry.message == "part_died"]
    assert "FileNotFoundError" in second.said


def test_what_a_dead_part_left_behind_ends_before_it_is_started_again(run, supervisor, watched):
    """Killed outright, the emulator leaves a server behind that holds its port."""
    pid_file = run.folder / "grandchild"
    family = f"""
import pathlib, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
pathlib.Path({str(pid_file)!r}).write_text(str(child.pid))
time.sleep(600)
"""
    there = lambda: pid_file.exists() and pid_file.read_text() != ""  # noqa: E731
    watch = watched(spec(run, "part", family, ready=there))
    left = int(pid_file.read_text())
    kill(supervisor, "part")
    assert not gone(left)
    watch.look()
    assert gone(left)


def test_a_part_comes_back_in_its_place_and_belongs_to_whom_it_belonged(run, supervisor, watched):
    watch = watched(waiting(run, "first"), waiting(run, "second"))
    kill(supervisor, "first")
    watch.look()
    assert supervisor.stop_all() == ("second", "first")


WATCHING = """
import pathlib, sys, time
from movierec.stack.layout import Project, Run
from movierec.stack.processes.supervisor import Supervisor
from movierec.stack.processes.programs import Spec
run = Run(Project(pathlib.Path(sys.argv[1])), pathlib.Path(sys.argv[2]))
child = (sys.executable, "-c", "import time; time.sleep(600)")
Supervisor(run).restart(Spec("part", child, {}, run.folder))
time.sleep(600)
"""


def test_the_watch_ends_without_what_it_has_started(run, supervisor):
    supervisor.start(waiting(run, "part"))
    before = kill(supervisor, "part")
    watching = spec(run, "watch", WATCHING)
    arguments = (str(ROOT), str(run.folder))
    supervisor.start(replace(watching, command=(*watching.command, *arguments), cwd=ROOT))
    eventually(lambda: supervisor.find("part") is not None)
    after = supervisor.find("part")
    supervisor.stop("watch")
    assert supervisor.find("part") == after != before
    supervisor.stop("part")
    assert gone(after.pid)
