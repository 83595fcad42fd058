"""A child that dies comes back by itself: real processes, killed here."""

import json
import os
import signal

import pytest

from movierec.errors import ConfigError, UnavailableError
from movierec.stack.processes.client import Client
from movierec.stack.processes.spec import BackOff, Process
from tests.contract.children import NOTIFYING, SAYS_SO, eventually, gone, spec, waiting

# Whoever dies a second time stays dead for longer than any test takes.
ONCE = BackOff(first_s=600, longest_s=600, forgiven_after_s=600)
AT_ONCE = BackOff(first_s=0.01, longest_s=0.01, forgiven_after_s=600)


@pytest.fixture(params=[ONCE], ids=["once"])
def daemon(run, request):
    with Client(run, request.param) as client:
        yield client


at_once = pytest.mark.parametrize("daemon", [AT_ONCE], indirect=True, ids=["at once"])


def part(run, name="part", code="import time; time.sleep(600)", **settings):
    return spec(run, name, code, restart=True, **settings)


def kill(daemon, name):
    process = daemon.find(name)
    os.kill(process.pid, signal.SIGKILL)
    eventually(lambda: gone(process.pid))
    return process


def restarted(daemon, name, restarts=1):
    """Return the child when it has been started again so often."""
    found: list[Process] = []

    def there():
        found[:] = [p for p in daemon.running() if p.name == name and p.restarts == restarts]
        return found and found[0].pid

    eventually(there)
    return found[0]


def test_a_part_that_was_killed_is_started_again_at_once(run, daemon):
    daemon.start(part(run))
    other = daemon.start(part(run, "other"))
    before = kill(daemon, "part")
    after = restarted(daemon, "part")
    assert after.pid != before.pid
    assert (before.restarts, after.restarts) == (0, 1)
    assert daemon.find("other") == other


def test_what_goes_on_dying_stays_dead_for_longer(run, daemon):
    daemon.start(part(run))
    for restarts in (1, 2):
        kill(daemon, "part")
        if restarts == 1:
            restarted(daemon, "part")
    eventually(lambda: daemon.find("part") is None)
    eventually(lambda: deaths(run) == [(1, 0.0), (2, 600.0)])
    assert daemon.knows("part")


def test_what_ends_for_its_settings_is_not_started_again(run, daemon):
    code = f"""{NOTIFYING}
import signal, sys
signal.signal(signal.SIGUSR1, lambda *_: sys.exit({ConfigError.exit_code}))
ready()
signal.pause()
"""
    daemon.start(part(run, code=code, ready=SAYS_SO))
    os.kill(daemon.find("part").pid, signal.SIGUSR1)
    eventually(lambda: daemon.find("part") is None)
    assert deaths(run) == []


def deaths(run):
    """Return each death in a row, and the pause after it, as the log has them."""
    lines = map(json.loads, (run.logs / "supervisor.log").read_text().splitlines())
    return [(e["deaths"], e["start_in_s"]) for e in lines if e["event"] == "part_died"]


def test_a_part_that_waits_to_be_started_again_is_started_by_who_asks_for_it(run, daemon):
    daemon.start(part(run))
    kill(daemon, "part")
    restarted(daemon, "part")
    kill(daemon, "part")
    eventually(lambda: daemon.find("part") is None)
    assert daemon.start(part(run)).restarts == 2


def test_what_is_stopped_on_purpose_stays_down(run, daemon):
    daemon.start(waiting(run, "other"))
    daemon.start(part(run))
    daemon.stop("part")
    assert [process.name for process in daemon.processes()] == ["other"]


def test_what_ends_while_it_is_being_stopped_is_not_started_again(run, daemon):
    daemon.start(waiting(run, "other"))
    ends = f"""{NOTIFYING}
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))
ready()
time.sleep(600)
"""
    daemon.start(part(run, code=ends, ready=SAYS_SO))
    daemon.stop("part")
    assert [process.name for process in daemon.processes()] == ["other"]
    assert deaths(run) == []


@at_once
def test_a_part_that_cannot_start_is_tried_again_and_not_forgotten(run, daemon):
    flag = run.folder / "flag"
    fussy = f"""{NOTIFYING}
import pathlib, time
pathlib.Path({str(flag)!r}).read_text()
ready()
time.sleep(600)
"""
    flag.touch()
    daemon.start(part(run, code=fussy, ready=SAYS_SO))
    flag.unlink()
    kill(daemon, "part")
    eventually(lambda: "FileNotFoundError" in (run.logs / "supervisor.log").read_text())
    flag.touch()
    eventually(lambda: (found := daemon.find("part")) and found.restarts >= 2)


def test_what_a_dead_part_left_behind_ends_before_it_is_started_again(run, daemon):
    """Killed outright, the emulator leaves a server behind that holds its port."""
    pid_file = run.folder / "grandchild"
    family = f"""{NOTIFYING}
import pathlib, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
pathlib.Path({str(pid_file)!r}).write_text(str(child.pid))
ready()
time.sleep(600)
"""
    daemon.start(part(run, code=family, ready=SAYS_SO))
    left = int(pid_file.read_text())
    kill(daemon, "part")
    restarted(daemon, "part")
    assert gone(left)


def test_a_part_comes_back_in_its_place(run, daemon):
    for name in ("first", "second"):
        daemon.start(part(run, name))
    kill(daemon, "first")
    restarted(daemon, "first")
    assert daemon.stop_all() == ("second", "first")


def test_a_part_that_came_back_belongs_to_whom_it_belonged(run, daemon):
    with Client(run) as mine:
        mine.start(part(run))
        kill(mine, "part")
        after = restarted(mine, "part")
    assert gone(after.pid)


def test_a_part_that_dies_before_it_was_ever_ready_is_not_started_again(run, daemon):
    dying = part(run, code="raise SystemExit(3)", ready=SAYS_SO)
    with pytest.raises(UnavailableError, match="exit code 3"):
        daemon.start(dying)
    assert daemon.processes() == ()
