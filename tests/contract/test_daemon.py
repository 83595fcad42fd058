"""Children of a run: real processes, started, found again and ended here."""

import os
import signal
import socket
import time

import pytest

from movierec.errors import ConfigError, UnavailableError
from movierec.stack import loopback_ports
from movierec.stack.layout import Project
from movierec.stack.processes.client import Client
from movierec.stack.processes.machine_usage import peak_memory, resident_mb
from movierec.stack.processes.spec import Readiness, Spec
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

# A child that has a grandchild in a session of its own.
FAMILY = f"""{NOTIFYING}
import pathlib, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"],
                         start_new_session=True)
pathlib.Path("grandchild").write_text(str(child.pid))
ready()
time.sleep(600)
"""

STUBBORN = f"""{NOTIFYING}
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
ready()
time.sleep(600)
"""


def test_a_child_that_dies_before_it_is_ready_is_reported_at_once_with_its_last_words(run, daemon):
    dying = spec(
        run,
        "worker",
        "import sys; print('the disk said no'); sys.exit(3)",
        ready=SAYS_SO,
        ready_within_s=60,
    )
    began = time.monotonic()
    with pytest.raises(UnavailableError, match=r"exit code 3(.|\n)*the disk said no"):
        daemon.start(dying)
    assert time.monotonic() - began < 30
    assert daemon.running() == ()


def test_a_child_killed_by_a_signal_is_reported_by_the_signals_name(run, daemon):
    suicidal = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    with pytest.raises(UnavailableError, match="SIGKILL"):
        daemon.start(spec(run, "worker", suicidal, ready=SAYS_SO))


def test_a_child_that_is_not_ready_in_time_is_stopped(run, daemon):
    late = spec(
        run,
        "late",
        "import time; print('warming up', flush=True); time.sleep(600)",
        ready=SAYS_SO,
        ready_within_s=0.5,
    )
    with pytest.raises(UnavailableError, match=r"not ready after 0\.5 s"):
        daemon.start(late)
    assert daemon.running() == ()


def test_a_command_that_is_not_there_is_a_sentence(run, daemon):
    with pytest.raises(ConfigError, match="make setup"):
        daemon.start(Spec("ghost", ("/no/such/program",), {}, run.folder))


def test_a_child_that_ignores_sigterm_is_killed_after_its_grace(run, daemon):
    process = daemon.start(spec(run, "stubborn", STUBBORN, ready=SAYS_SO, grace_s=0.3))
    daemon.stop("stubborn")
    assert gone(process.pid)
    assert daemon.processes() == ()


def test_a_child_gets_its_grace_to_clean_up(run, daemon):
    daemon.start(spec(run, "orderly", ORDERLY, ready=SAYS_SO))
    daemon.stop("orderly")
    assert (run.folder / "cleaned").exists()


def test_grandchildren_go_even_when_they_left_the_session(run, daemon):
    pid_file = run.folder / "grandchild"
    daemon.start(spec(run, "family", FAMILY, ready=SAYS_SO))
    grandchild = int(pid_file.read_text())
    assert not gone(grandchild)
    daemon.stop("family")
    assert gone(grandchild)


def test_grandchildren_go_even_when_their_parent_was_killed_before(run, daemon):
    pid_file = run.folder / "grandchild"
    process = daemon.start(spec(run, "family", FAMILY, ready=SAYS_SO))
    grandchild = int(pid_file.read_text())
    os.kill(process.pid, signal.SIGKILL)
    eventually(lambda: gone(grandchild))
    assert daemon.stop_all() == ()


def test_a_later_command_finds_and_stops_what_an_earlier_one_started(run, daemon):
    process = daemon.start(waiting(run))
    later = Client(run)
    assert later.find("sleeper") == process
    assert later.stop_all() == ("sleeper",)
    assert gone(process.pid)


def test_a_running_child_is_kept_not_started_twice(run, daemon):
    assert daemon.start(waiting(run)) == daemon.start(waiting(run))
    assert len(daemon.running()) == 1


def test_children_are_stopped_in_the_reverse_order_of_their_start(run, daemon):
    names = ("first", "second", "third")
    for name in names:
        daemon.start(waiting(run, name))
    assert daemon.stop_all() == ("third", "second", "first")


def test_another_runs_children_are_left_alone(run, daemon, tmp_path):
    with Client(Project(tmp_path).run("test-2").create()) as other:
        process = other.start(waiting(other.run))
        daemon.start(waiting(run))
        daemon.stop_all()
        assert other.running() == (process,)


def test_the_log_of_the_last_start_is_kept_beside_the_present_one(run, daemon):
    for word in ("once", "twice"):
        daemon.start(
            spec(run, "talker", f"print('{word}', flush=True)\nimport time; time.sleep(600)")
        )
        log = run.logs / "talker.log"
        eventually(lambda log=log, word=word: word in log.read_text())
        daemon.stop("talker")
    assert "once" in (run.logs / "talker.log.1").read_text()


def test_a_failure_leaves_alone_what_an_earlier_command_left_running(run, daemon):
    earlier = daemon.start(waiting(run, "earlier"))
    with pytest.raises(RuntimeError), Client(run) as second:
        mine = second.start(waiting(run, "mine"))
        assert second.start(waiting(run, "earlier")) == earlier
        raise RuntimeError
    assert gone(mine.pid)
    assert daemon.running() == (earlier,)


def test_a_kept_child_that_is_not_ready_is_not_stopped(run, daemon):
    earlier = daemon.start(waiting(run, "earlier"))
    never = spec(run, "earlier", "", ready=Readiness(1), ready_within_s=0.1)
    with pytest.raises(UnavailableError, match="not ready"), Client(run) as later:
        later.start(never)
    assert daemon.running() == (earlier,)


def test_what_is_kept_outlives_the_block_and_a_later_command_stops_it(run):
    with Client(run) as daemon:
        process = daemon.start(waiting(run))
        daemon.keep()
    assert Client(run).stop_all() == ("sleeper",)
    assert gone(process.pid)
    assert daemon.stop_all() == ()


def test_nothing_is_started_once_the_block_is_over(run):
    with Client(run) as daemon:
        pass
    with pytest.raises(UnavailableError, match="being stopped"):
        daemon.start(waiting(run))
    assert not (run.logs / "sleeper.log").exists()


def test_peak_memory_is_read_by_process_tree(run, daemon):
    daemon.start(waiting(run))
    with peak_memory(lambda: resident_mb(daemon.running()), every_s=0.01) as peaks:
        eventually(lambda: peaks.get("sleeper", 0) > 1)
    assert peaks["sleeper"] < 500


def test_a_command_that_could_not_be_run_leaves_no_daemon_behind(run):
    with pytest.raises(ConfigError), Client(run) as daemon:
        daemon.start(Spec("ghost", ("/no/such/program",), {}, run.folder))
    assert of_run(run) == set()


DISPOSITIONS = """
import pathlib, signal, sys, time
held = signal.pthread_sigmask(signal.SIG_BLOCK, ())
ignored = [n for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
           if signal.getsignal(n) == signal.SIG_IGN]
print(sorted(held), ignored)
"""


def test_a_child_starts_with_default_signal_dispositions_and_none_held(run, monkeypatch):
    """A command that was started by nohup, or in the background of a script, ignores some."""
    before = {n: signal.signal(n, signal.SIG_IGN) for n in (signal.SIGINT, signal.SIGHUP)}
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    try:
        with Client(run) as daemon:
            assert daemon.call(spec(run, "tool", DISPOSITIONS), within_s=60) == 0
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR1})
        for number, handler in before.items():
            signal.signal(number, handler)
    assert (run.logs / "tool.log").read_text() == "[] []\n"


def test_a_run_whose_folder_has_a_long_path_is_run_too(tmp_path):
    """The address of a Unix socket holds 107 bytes."""
    run = Project(tmp_path / ("long" * 40)).run("test").create()
    with Client(run) as daemon:
        daemon.start(waiting(run))
        assert [process.name for process in daemon.running()] == ["sleeper"]
    assert of_run(run) == set()


SERVER = f"""{NOTIFYING}
import os, select, socket, sys
listening = socket.socket(fileno=int(os.environ["MOVIEREC_LISTEN_FD"]))
ready()
while True:
    select.select([listening], [], [])  # killed in accept(2), it would take a connection along
    connection, _ = listening.accept()
    connection.sendall(str(os.getpid()).encode())
    connection.close()
"""


def asked(connection):
    with connection:
        return int(connection.recv(100))


def test_a_socket_that_is_handed_over_outlives_its_server(run, daemon):
    """Who connects while the server is restarted waits, and is not refused."""
    port = loopback_ports.free_port()
    server = spec(run, "server", SERVER, ready=SAYS_SO, restart=True, listen=("127.0.0.1", port))
    first = daemon.start(server)
    address = ("127.0.0.1", port)
    assert asked(socket.create_connection(address)) == first.pid
    os.kill(first.pid, signal.SIGSTOP)
    waiting_for_it = socket.create_connection(address)
    os.kill(first.pid, signal.SIGKILL)
    assert asked(waiting_for_it) not in (0, first.pid)
    daemon.stop("server")
    assert not loopback_ports.is_open(port)


def test_an_address_that_is_taken_is_named(run, daemon):
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = other.getsockname()
        with pytest.raises(UnavailableError, match=f"cannot listen on 127.0.0.1:{address[1]}"):
            daemon.start(spec(run, "server", SERVER, listen=address))
