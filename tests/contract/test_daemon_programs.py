"""Programs that a run waits for, or reads while they run."""

import threading

import pytest

from movierec.errors import UnavailableError
from movierec.stack.processes.client import Client
from movierec.stack.processes.spec import unsupervised
from tests.contract.children import eventually, gone, lives, of_run, spec, waiting


def test_a_program_is_run_to_its_end_and_forgotten(run, daemon):
    assert daemon.call(spec(run, "tool", "print('done')"), within_s=60) == 0
    assert daemon.call(spec(run, "tool", "raise SystemExit(7)"), within_s=60) == 7
    assert (run.logs / "tool.log.1").read_text() == "done\n"
    assert daemon.processes() == ()


def test_a_program_that_does_not_end_is_stopped(run, daemon):
    with pytest.raises(
        UnavailableError, match=r"tool has not ended within 0\.2 s: see .*tool\.log"
    ):
        daemon.call(waiting(run, "tool"), within_s=0.2)
    assert daemon.processes() == ()
    assert len(of_run(run)) == 2  # the daemon and its guardian


def test_who_waits_for_a_program_can_do_something_meanwhile(run, daemon):
    asks = "import pathlib, time\nwhile not pathlib.Path('go').exists(): time.sleep(0.01)"
    assert daemon.call(spec(run, "tool", asks), meanwhile=(run.folder / "go").touch) == 0


def test_the_end_of_the_block_ends_a_program_that_a_thread_waits_for(run):
    told = []

    def deploy(mine):
        with pytest.raises(UnavailableError, match="tool was stopped") as caught:
            mine.call(waiting(run, "tool"), within_s=600)
        told.append(caught)

    with Client(run) as mine:
        thread = threading.Thread(target=deploy, args=(mine,))
        thread.start()
        eventually(mine.running)
    thread.join(20)
    assert told


def test_what_a_program_says_is_read_as_it_comes_and_the_program_forgotten(run, daemon):
    code = "import sys; print('one', flush=True); print('two', file=sys.stderr); sys.exit(7)"
    with daemon.stream(spec(run, "tool", code)) as program:
        assert list(program.stdout) == ["one\n", "two\n"]
        assert program.wait() == 7
    assert daemon.processes() == ()


@pytest.mark.parametrize("how", ["supervised", "unsupervised"])
def test_a_program_is_stopped_at_the_end_of_the_block_that_reads_it(run, daemon, how):
    stream = daemon.stream if how == "supervised" else unsupervised
    with stream(waiting(run)) as program:
        assert lives(program.pid)
    assert gone(program.pid)


def test_two_programs_of_one_name_may_be_read_at_a_time(run, daemon):
    with daemon.stream(waiting(run)) as one, daemon.stream(waiting(run)) as two:
        assert lives(one.pid)
        assert lives(two.pid)
    assert gone(one.pid)
    assert gone(two.pid)
