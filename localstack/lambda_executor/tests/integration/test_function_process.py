"""The subreaper and the tree that it holds together, with nothing of Lambda."""

import os
import select
import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from lambda_process_executor.function_process import Command, FunctionProcess

PATIENCE_S = 20

# Starts a grandchild that daemonises itself, says its id, and sleeps.
DAEMON = """
import os, sys, time
read, write = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.write(write, str(os.getpid()).encode())
        time.sleep(600)
    os._exit(0)
print(os.read(read, 20).decode(), flush=True)
"""


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def start(stack: ExitStack, tmp_path: Path, code: str, **env: str) -> FunctionProcess:
    process = FunctionProcess(Command((sys.executable, "-c", code), tmp_path, env))
    stack.callback(process.close)
    return process


def wait_for_exit(process: FunctionProcess) -> int:
    while process.exit_code is None:
        ready, _, _ = select.select([process.control], [], [], PATIENCE_S)
        assert ready, "the process did not end"
        process.read_control()
    return process.exit_code


def read_line(process: FunctionProcess) -> str:
    text = b""
    while not text.endswith(b"\n"):
        ready, _, _ = select.select([process.output_fd], [], [], PATIENCE_S)
        assert ready, f"no line but {text!r}"
        text += process.read_output()
    return text.decode().strip()


def wait_until_gone(pid: int) -> None:
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        ready, _, _ = select.select([handle], [], [], PATIENCE_S)
        assert ready, f"process {pid} is still there"
    finally:
        os.close(handle)


@pytest.mark.parametrize(
    ("code", "exit_code"),
    [("pass", 0), ("raise SystemExit(3)", 3), ("import os; os.kill(os.getpid(), 11)", -11)],
)
def test_the_exit_code_is_the_functions(
    stack: ExitStack, tmp_path: Path, code: str, exit_code: int
) -> None:
    assert wait_for_exit(start(stack, tmp_path, code)) == exit_code


def test_the_environment_is_the_given_one_and_nothing_else(
    stack: ExitStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEAKED", "1")
    code = "import os; print(os.getcwd(), sorted(os.environ.items()), flush=True)"
    process = start(stack, tmp_path, code, LD_LIBRARY_PATH="/l", A="b=c", LC_ALL="C.UTF-8")
    expected = [("A", "b=c"), ("LC_ALL", "C.UTF-8"), ("LD_LIBRARY_PATH", "/l")]
    assert read_line(process) == f"{tmp_path} {expected}"


def test_both_outputs_come_in_the_order_they_were_written(stack: ExitStack, tmp_path: Path) -> None:
    code = "import os\nfor i in range(4): os.write(1 + i % 2, str(i).encode())\nprint(flush=True)"
    assert read_line(start(stack, tmp_path, code)) == "0123"


def test_a_program_that_cannot_run_says_so(stack: ExitStack, tmp_path: Path) -> None:
    process = FunctionProcess(Command(("/no/such/program",), tmp_path, {}))
    stack.callback(process.close)
    assert wait_for_exit(process) == 127
    assert "cannot run /no/such/program" in process.read_output().decode()


def test_a_killed_process_leaves_its_last_output(stack: ExitStack, tmp_path: Path) -> None:
    code = "import time; print('here', flush=True); time.sleep(600)"
    process = start(stack, tmp_path, code)
    select.select([process.output_fd], [], [], PATIENCE_S)
    process.kill()
    assert process.read_output() == b"here\n"


def test_killing_reaches_a_daemonised_grandchild(stack: ExitStack, tmp_path: Path) -> None:
    process = start(stack, tmp_path, DAEMON + "time.sleep(600)")
    daemon = int(read_line(process))
    process.kill()
    wait_until_gone(daemon)


def test_an_exit_takes_a_daemonised_grandchild_along(stack: ExitStack, tmp_path: Path) -> None:
    process = start(stack, tmp_path, DAEMON)
    daemon = int(read_line(process))
    assert wait_for_exit(process) == 0
    wait_until_gone(daemon)


def test_a_killed_subreaper_takes_the_function_along(stack: ExitStack, tmp_path: Path) -> None:
    process = start(
        stack, tmp_path, "import os, time; print(os.getpid(), flush=True); time.sleep(600)"
    )
    function = int(read_line(process))
    os.kill(process.subreaper_pid, signal.SIGKILL)
    wait_until_gone(function)
    assert wait_for_exit(process) == -9


def test_a_subreaper_that_cannot_start_leaves_no_descriptor(tmp_path: Path) -> None:
    """More than the kernel takes as arguments (execve(2), E2BIG)."""
    descriptors = Path("/proc/self/fd")
    before = len(list(descriptors.iterdir()))
    with pytest.raises(OSError, match="too long"):
        FunctionProcess(Command((sys.executable, "x" * 10_000_000), tmp_path, {}))
    assert len(list(descriptors.iterdir())) == before


def test_a_process_steps_back_and_so_does_its_session(stack: ExitStack, tmp_path: Path) -> None:
    group = Path("/proc/self/autogroup")
    code = f"import os; print(os.nice(0), open({str(group)!r}).read() if {group.exists()} else '')"
    before = os.nice(0)
    command = Command((sys.executable, "-c", code), tmp_path, {}, niceness=7)
    process = FunctionProcess(command)
    stack.callback(process.close)
    own, _, of_session = read_line(process).partition(" ")
    assert int(own) == min(before + 7, 19)
    if group.exists():
        assert of_session.endswith(" nice 7")
    assert os.nice(0) == before
