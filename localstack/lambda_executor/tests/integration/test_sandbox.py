"""A sandbox with real function processes, without LocalStack."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from lambda_process_executor.environment_variables import function_environment
from lambda_process_executor.error_responses import ExecutorError
from lambda_process_executor.function_process import Command
from lambda_process_executor.invocation import Invocation, Outcome, Spec
from lambda_process_executor.path_layout import HostFolders, host_layout
from lambda_process_executor.platform_log import PlatformLog, Report, Text
from lambda_process_executor.python_interpreters import Interpreter, find
from lambda_process_executor.sandbox import Sandbox

Make = Callable[..., Sandbox]


@pytest.fixture
def interpreter(runtime: Path) -> Interpreter:
    return find("python3.13", {"LAMBDA_PROCESS_PYTHON_3_13": str(runtime)})


@pytest.fixture
def make(tmp_path: Path, interpreter: Interpreter) -> Iterator[Make]:
    with ExitStack() as stack:

        def make(
            code: str,
            *,
            timeout_s: float = 20.0,
            memory_mb: int = 256,
            init_timeout_s: float = 10.0,
            log: PlatformLog | None = None,
        ) -> Sandbox:
            (tmp_path / "app.py").write_text(code)
            layout = host_layout(HostFolders(tmp_path, None, tmp_path / "tmp"), interpreter)

            def command(api: str) -> Command:
                given = {
                    "AWS_LAMBDA_FUNCTION_NAME": "f",
                    "AWS_LAMBDA_FUNCTION_VERSION": "3",
                    "_HANDLER": "app.handler",
                }
                env = function_environment(given, {}, layout, runtime="python3.13", api=api)
                argv = (str(layout.python), str(layout.bootstrap))
                return Command(argv, tmp_path, env)

            spec = Spec(
                "f", "3", "python:3.13", memory_mb, timeout_s, 1_000_000, tmp_path / "tmp",
                command, log or Text(), init_timeout_s=init_timeout_s,
            )  # fmt: skip
            sandbox = Sandbox(spec)
            stack.callback(sandbox.stop, now=True)
            return sandbox

        yield make


def invoke(sandbox: Sandbox, event: object = None) -> Outcome:
    arn = "arn:aws:lambda:us-east-1:000000000000:function:f:live"
    return sandbox.invoke(Invocation("r1", arn, json.dumps(event).encode()))


def answer(outcome: Outcome) -> object:
    assert not outcome.is_error, outcome.log
    return json.loads(outcome.payload)


COUNT = (
    "import os, pathlib\nn = 0\npathlib.Path('subreaper').write_text(str(os.getppid()))\n"
    "def handler(event, context):\n    global n\n    n += 1\n    return n\n"
)


def subreaper(folder: Path) -> int:
    """Return the process above all of the function's that COUNT was started with last."""
    return int((folder / "subreaper").read_text())


def test_output_belongs_to_the_invocation_that_wrote_it(make: Make) -> None:
    sandbox = make("print('init')\ndef handler(e, c):\n    print(e)\n")
    sandbox.init()
    outcomes = [invoke(sandbox, f"event {n}") for n in range(3)]
    assert [outcome.output for outcome in outcomes] == [
        "init\nevent 0\n",
        "event 1\n",
        "event 2\n",
    ]


def test_megabytes_of_output_neither_block_nor_are_lost(make: Make) -> None:
    code = "import sys\ndef handler(e, c):\n    sys.stdout.write('é' * e + '\\n')\n"
    sandbox = make(code)
    outcome = invoke(sandbox, 4_000_000)
    assert outcome.output == "é" * 4_000_000 + "\n"


def test_a_timeout_reaches_a_runtime_that_ignores_signals(make: Make) -> None:
    code = (
        "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "def handler(e, c):\n    while True: pass\n"
    )
    started = time.monotonic()
    assert invoke(make(code, timeout_s=1)).report.status == "timeout"
    assert time.monotonic() - started < 10


def test_a_process_that_died_between_two_calls_is_replaced(make: Make, tmp_path: Path) -> None:
    code = COUNT.replace("n += 1", "n += 1; threading.Timer(0.05, os._exit, (1,)).start()")
    sandbox = make("import threading\n" + code)
    sandbox.init()
    assert answer(invoke(sandbox)) == 1
    wait_for_end(subreaper(tmp_path))
    assert answer(invoke(sandbox)) == 1


def wait_for_end(pid: int) -> None:
    deadline = time.monotonic() + 20
    while "State:\tZ" not in Path(f"/proc/{pid}/status").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_mapped_file_is_not_held_against_the_limit(make: Make, tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(b"x" * 200_000_000)
    code = (
        "import mmap, time\ndef handler(e, c):\n"
        "    with open('data', 'rb') as f, mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ) as m:\n"
        "        total = sum(m[i] for i in range(0, len(m), 4096)); time.sleep(0.3)\n"
        "        return total\n"
    )
    assert answer(invoke(make(code, memory_mb=128))) == ord("x") * -(-200_000_000 // 4096)


def test_a_temporary_folder_lives_and_ends_with_its_environment(make: Make, tmp_path: Path) -> None:
    sandbox = make(
        "import tempfile, pathlib\ndef handler(e, c):\n"
        "    p = pathlib.Path(tempfile.gettempdir()) / 'kept'\n"
        "    seen = p.exists()\n    p.touch()\n    return [str(p.parent), seen]\n"
    )
    assert answer(invoke(sandbox)) == [str(tmp_path / "tmp"), False]
    assert answer(invoke(sandbox)) == [str(tmp_path / "tmp"), True]
    sandbox.stop(now=True)
    assert not (tmp_path / "tmp").exists()


def test_stopping_lets_a_running_invocation_finish(make: Make, tmp_path: Path) -> None:
    sandbox = make(
        "import pathlib, time\ndef handler(e, c):\n    pathlib.Path('began').touch()\n"
        "    while not pathlib.Path('go').exists(): time.sleep(0.01)\n    return 'done'\n"
    )
    thread, outcomes = invoke_in_thread(sandbox, tmp_path / "began")
    sandbox.stop(now=False)
    (tmp_path / "go").touch()
    thread.join(20)
    assert [answer(outcome) for outcome in outcomes] == ["done"]
    assert not (tmp_path / "tmp").exists()


def test_stopping_now_ends_a_running_invocation(make: Make, tmp_path: Path) -> None:
    sandbox = make(
        "import pathlib, time\ndef handler(e, c):\n    pathlib.Path('began').touch()\n"
        "    time.sleep(600)\n",
        timeout_s=600,
    )
    thread, outcomes = invoke_in_thread(sandbox, tmp_path / "began")
    sandbox.stop(now=True)
    thread.join(20)
    assert [outcome.report.error_type for outcome in outcomes] == ["Runtime.ExitError"]


def test_an_environment_that_was_stopped_runs_nothing(make: Make, tmp_path: Path) -> None:
    sandbox = make(COUNT)
    sandbox.init()
    sandbox.stop(now=False)
    with pytest.raises(ExecutorError, match="has ended"):
        invoke(sandbox)
    assert not Path(f"/proc/{subreaper(tmp_path)}").exists()


def test_a_stop_in_the_moment_of_the_answer_is_not_forgotten(make: Make, tmp_path: Path) -> None:
    """Too late to be seen by the invocation, too early to find the environment at rest."""

    class Stopping(Text):
        def report(self, request_id: str, report: Report) -> str:
            sandbox.stop(now=False)
            return super().report(request_id, report)

    sandbox = make(COUNT, log=Stopping())
    assert answer(invoke(sandbox)) == 1
    assert not Path(f"/proc/{subreaper(tmp_path)}").exists()
    assert not (tmp_path / "tmp").exists()


def invoke_in_thread(sandbox: Sandbox, began: Path) -> tuple[threading.Thread, list[Outcome]]:
    """Invoke in a thread, and return once the handler has said that it runs."""
    outcomes: list[Outcome] = []
    thread = threading.Thread(target=lambda: outcomes.append(invoke(sandbox)))
    thread.start()
    deadline = time.monotonic() + 20
    while not began.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return thread, outcomes


def test_an_init_that_never_ends_uses_up_the_functions_timeout(make: Make) -> None:
    """https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html."""
    sandbox = make("import time\ntime.sleep(60)\n", timeout_s=1, init_timeout_s=0.5)
    sandbox.init()
    outcome = invoke(sandbox)
    assert json.loads(outcome.payload)["errorType"] == "Sandbox.Timedout"
    assert "Phase: invoke\tStatus: timeout" in outcome.log
