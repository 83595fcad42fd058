"""Children of a run: real processes, started, found again and ended here."""

import os
import signal
import subprocess
import sys
import time

import pytest

from movierec.errors import ConfigError, UnavailableError
from movierec.stack import run_record
from movierec.stack.layout import Project
from movierec.stack.processes import trees
from movierec.stack.processes.peak_memory import PeakMemory
from movierec.stack.processes.programs import Spec
from movierec.stack.processes.supervisor import Supervisor
from tests.contract.children import eventually, gone, spec, waiting

# A child that says it is ready by a file, and has a grandchild in a session of its own.
FAMILY = """
import pathlib, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"],
                         start_new_session=True)
pathlib.Path("grandchild").write_text(str(child.pid))
time.sleep(600)
"""

STUBBORN = """
import pathlib, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
pathlib.Path("ready").touch()
time.sleep(600)
"""

ORDERLY = """
import pathlib, signal, sys, time
def stop(number, frame):
    pathlib.Path("cleaned").touch()
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
pathlib.Path("ready").touch()
time.sleep(600)
"""


def test_a_child_that_dies_before_it_is_ready_is_reported_at_once_with_its_last_words(
    run, supervisor
):
    dying = spec(
        run,
        "worker",
        "import sys; print('the disk said no'); sys.exit(3)",
        ready=lambda: False,
        ready_within_s=60,
    )
    began = time.monotonic()
    with pytest.raises(UnavailableError, match=r"exit code 3(.|\n)*the disk said no"):
        supervisor.start(dying)
    assert time.monotonic() - began < 30
    assert supervisor.running() == ()


def test_a_child_killed_by_a_signal_is_reported_by_the_signals_name(run, supervisor):
    suicidal = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    with pytest.raises(UnavailableError, match="SIGKILL"):
        supervisor.start(spec(run, "worker", suicidal, ready=lambda: False))


def test_a_child_that_is_not_ready_in_time_is_stopped(run, supervisor):
    late = spec(
        run,
        "late",
        "import time; print('warming up', flush=True); time.sleep(600)",
        ready=lambda: False,
        ready_within_s=0.5,
    )
    with pytest.raises(UnavailableError, match=r"not ready after 0\.5 s"):
        supervisor.start(late)
    assert supervisor.running() == ()


def test_a_command_that_is_not_there_is_a_sentence(run, supervisor):
    with pytest.raises(ConfigError, match="make setup"):
        supervisor.start(Spec("ghost", ("/no/such/program",), {}, run.folder))


def test_a_child_that_ignores_sigterm_is_killed_after_its_grace(run, supervisor):
    ready = (run.folder / "ready").exists
    process = supervisor.start(spec(run, "stubborn", STUBBORN, ready=ready, grace_s=0.3))
    supervisor.stop("stubborn")
    assert gone(process.pid)
    assert run_record.load(run).processes == ()


def test_a_child_gets_its_grace_to_clean_up(run, supervisor):
    ready = (run.folder / "ready").exists
    supervisor.start(spec(run, "orderly", ORDERLY, ready=ready))
    supervisor.stop("orderly")
    assert (run.folder / "cleaned").exists()


def test_grandchildren_go_even_when_they_left_the_session(run, supervisor):
    pid_file = run.folder / "grandchild"
    supervisor.start(
        spec(run, "family", FAMILY, ready=lambda: pid_file.exists() and pid_file.read_text() != "")
    )
    grandchild = int(pid_file.read_text())
    assert not gone(grandchild)
    supervisor.stop("family")
    assert gone(grandchild)


def test_grandchildren_go_even_when_their_parent_was_killed_before(run, supervisor):
    pid_file = run.folder / "grandchild"
    process = supervisor.start(
        spec(run, "family", FAMILY, ready=lambda: pid_file.exists() and pid_file.read_text() != "")
    )
    grandchild = int(pid_file.read_text())
    os.kill(process.pid, signal.SIGKILL)
    eventually(lambda: not supervisor.is_alive(process))
    assert not gone(grandchild)
    supervisor.stop_all()
    assert gone(grandchild)


def test_a_later_command_finds_and_stops_what_an_earlier_one_started(run, supervisor):
    process = supervisor.start(waiting(run))
    later = Supervisor(run)
    assert later.find("sleeper") == process
    assert later.stop_all() == ("sleeper",)
    assert gone(process.pid)


def test_a_running_child_is_kept_not_started_twice(run, supervisor):
    assert supervisor.start(waiting(run)) == supervisor.start(waiting(run))
    assert len(supervisor.running()) == 1


def test_a_recycled_pid_is_never_killed(run, supervisor):
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    try:
        long_ago = trees.created_s(stranger.pid) - 3600
        forged = run_record.Process("old", "old", stranger.pid, long_ago, "log", ("old",))
        run_record.update(run, lambda before: before.with_process(forged))
        assert supervisor.running() == ()
        supervisor.stop_all()
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_children_are_stopped_in_the_reverse_order_of_their_start(run, supervisor):
    names = ("first", "second", "third")
    for name in names:
        supervisor.start(waiting(run, name))
    assert supervisor.stop_all() == ("third", "second", "first")


def test_another_runs_children_are_left_alone(run, supervisor, tmp_path):
    other = Supervisor(Project(tmp_path).run("test-2").create())
    try:
        process = other.start(waiting(other.run))
        supervisor.start(waiting(run))
        supervisor.stop_all()
        assert other.running() == (process,)
    finally:
        other.stop_all()


def test_the_log_of_the_last_start_is_kept_beside_the_present_one(run, supervisor):
    for word in ("once", "twice"):
        supervisor.start(
            spec(run, "talker", f"print('{word}', flush=True)\nimport time; time.sleep(600)")
        )
        log = run.logs / "talker.log"
        eventually(lambda log=log, word=word: word in log.read_text())
        supervisor.stop("talker")
    assert "once" in (run.logs / "talker.log.1").read_text()


def test_a_failure_leaves_alone_what_an_earlier_command_left_running(run, supervisor):
    earlier = supervisor.start(waiting(run, "earlier"))
    with pytest.raises(RuntimeError), Supervisor(run) as second:
        mine = second.start(waiting(run, "mine"))
        assert second.start(waiting(run, "earlier")) == earlier
        raise RuntimeError
    assert gone(mine.pid)
    assert supervisor.running() == (earlier,)


def test_a_kept_child_that_is_not_ready_is_not_stopped(run, supervisor):
    earlier = supervisor.start(waiting(run, "earlier"))
    never = spec(run, "earlier", "", ready=lambda: False, ready_within_s=0.1)
    with pytest.raises(UnavailableError, match="not ready"):
        Supervisor(run).start(never)
    assert supervisor.running() == (earlier,)


def test_what_is_kept_outlives_the_block_and_a_later_command_stops_it(run):
    with Supervisor(run) as supervisor:
        process = supervisor.start(waiting(run))
        supervisor.keep()
    assert Supervisor(run).stop_all() == ("sleeper",)
    assert gone(process.pid)
    assert supervisor.stop_all() == ()


def test_nothing_is_started_once_the_block_is_over(run):
    with Supervisor(run) as supervisor:
        pass
    with pytest.raises(UnavailableError, match="being stopped"):
        supervisor.start(waiting(run))
    assert not (run.logs / "sleeper.log").exists()


def test_peak_memory_is_read_by_process_tree(run, supervisor):
    supervisor.start(waiting(run))
    with PeakMemory(supervisor.rss_mb, every_s=0.01) as memory:
        eventually(lambda: memory.peak_rss_mb.get("sleeper", 0) > 1)
    assert memory.peak_rss_mb["sleeper"] < 500
