"""A sandbox with real function processes, without LocalStack."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from lambda_process_executor.environment import Place, function_environment
from lambda_process_executor.interpreters import Interpreter, find
from lambda_process_executor.invocation import Invocation, Outcome, Spec
from lambda_process_executor.platform_log import Text
from lambda_process_executor.process import Command
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
            disk_mb: int = 512,
            init_timeout_s: float = 10.0,
            runtime: str = "awslambdaric",
        ) -> Sandbox:
            (tmp_path / "app.py").write_text(code)
            place = Place(
                tmp_path,
                None,
                interpreter.packages,
                tmp_path / "tmp",
                interpreter.executable.parent,
            )

            def command(api: str) -> Command:
                given = {"AWS_LAMBDA_FUNCTION_NAME": "f", "AWS_LAMBDA_FUNCTION_VERSION": "3"}
                env = function_environment(given, {}, place, runtime="python3.13", api=api)
                argv = (str(interpreter.executable), "-m", runtime, "app.handler")
                return Command(argv, tmp_path, env)

            spec = Spec(
                "f", "3", "python:3.13", memory_mb, timeout_s, 1_000_000, tmp_path / "tmp",
                command, Text(), disk_mb, init_timeout_s,
            )  # fmt: skip
            sandbox = Sandbox(spec)
            stack.callback(sandbox.stop, now=True)
            return sandbox

        yield make


def invoke(sandbox: Sandbox, event: object = None, request_id: str = "r1") -> Outcome:
    arn = "arn:aws:lambda:us-east-1:000000000000:function:f:live"
    return sandbox.invoke(Invocation(request_id, arn, json.dumps(event).encode()))


def answer(outcome: Outcome) -> object:
    assert not outcome.is_error, outcome.log
    return json.loads(outcome.payload)


COUNT = "n = 0\ndef handler(event, context):\n    global n\n    n += 1\n    return n\n"


def test_a_warm_environment_keeps_its_memory(make: Make) -> None:
    sandbox = make(COUNT)
    assert sandbox.init() is None
    assert [answer(invoke(sandbox)) for _ in range(3)] == [1, 2, 3]


def test_the_context_is_the_invocations(make: Make) -> None:
    sandbox = make(
        "def handler(e, c):\n    return [c.aws_request_id, c.invoked_function_arn, "
        "c.get_remaining_time_in_millis()]\n",
        timeout_s=20,
    )
    request_id, arn, left_ms = json.loads(invoke(sandbox, request_id="r7").payload)
    assert (request_id, arn.rpartition(":")[2]) == ("r7", "live")
    assert 10_000 < left_ms <= 20_000


def test_init_time_is_reported_once(make: Make) -> None:
    sandbox = make(COUNT)
    sandbox.init()
    first, second = invoke(sandbox), invoke(sandbox)
    assert first.report.init_duration_ms is not None
    assert first.report.init_duration_ms > first.report.duration_ms
    assert second.report.init_duration_ms is None
    assert "Init Duration" in first.log
    assert "Init Duration" not in second.log


def test_output_belongs_to_the_invocation_that_wrote_it(make: Make) -> None:
    sandbox = make("print('init')\ndef handler(e, c):\n    print(e)\n")
    sandbox.init()
    outcomes = [invoke(sandbox, f"event {n}") for n in range(3)]
    assert [outcome.output for outcome in outcomes] == [
        "init\nevent 0\n",
        "event 1\n",
        "event 2\n",
    ]


def test_the_log_frames_the_output(make: Make) -> None:
    sandbox = make("def handler(e, c):\n    print('no newline', end='')\n")
    sandbox.init()
    invoke(sandbox)
    lines = invoke(sandbox).log.splitlines()
    assert [line.split()[0] for line in lines] == ["START", "no", "END", "REPORT"]


def test_megabytes_of_output_neither_block_nor_are_lost(make: Make) -> None:
    code = "import sys\ndef handler(e, c):\n    sys.stdout.write('é' * e + '\\n')\n"
    sandbox = make(code)
    outcome = invoke(sandbox, 4_000_000)
    assert outcome.output == "é" * 4_000_000 + "\n"


def test_a_timeout_kills_answers_and_starts_afresh(make: Make) -> None:
    sandbox = make(
        "import time\n" + COUNT.replace("n += 1", "n += 1; time.sleep(event)"), timeout_s=1
    )
    sandbox.init()
    assert answer(invoke(sandbox, 0)) == 1
    late = invoke(sandbox, 60)
    assert json.loads(late.payload)["errorMessage"].endswith("Task timed out after 1.00 seconds")
    assert late.report.status == "timeout"
    assert answer(invoke(sandbox, 0)) == 1


def test_a_timeout_reaches_a_runtime_that_ignores_signals(make: Make) -> None:
    code = (
        "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "def handler(e, c):\n    while True: pass\n"
    )
    started = time.monotonic()
    assert invoke(make(code, timeout_s=1)).report.status == "timeout"
    assert time.monotonic() - started < 10


def test_a_crash_is_an_exit_error_and_the_next_call_starts_afresh(make: Make) -> None:
    code = COUNT.replace("n += 1", "n += 1; print('last words')\n    if event: os._exit(event)")
    sandbox = make("import os\n" + code)
    sandbox.init()
    assert answer(invoke(sandbox)) == 1
    crashed = invoke(sandbox, 3)
    assert json.loads(crashed.payload)["errorType"] == "Runtime.ExitError"
    assert "last words" in crashed.output
    assert "exit status 3" in crashed.log
    assert answer(invoke(sandbox)) == 1


def test_a_process_that_died_between_two_calls_is_replaced(make: Make) -> None:
    code = COUNT.replace("n += 1", "n += 1; threading.Timer(0.05, os._exit, (1,)).start()")
    sandbox = make("import os, threading\n" + code)
    sandbox.init()
    assert answer(invoke(sandbox)) == 1
    assert sandbox.warden_pid is not None
    wait_for_end(sandbox.warden_pid)
    assert answer(invoke(sandbox)) == 1


def wait_for_end(pid: int) -> None:
    deadline = time.monotonic() + 20
    while "State:\tZ" not in Path(f"/proc/{pid}/status").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("code", "error_type"),
    [
        ("import not_there", "Runtime.ImportModuleError"),
        ("x = 1", "Runtime.HandlerNotFound"),
        ("def broken(:", "Runtime.UserCodeSyntaxError"),
        ("1 / 0", "ZeroDivisionError"),
        ("import os; os._exit(4)", "Runtime.ExitError"),
    ],
)
def test_a_failed_init_is_tried_again_and_then_told(make: Make, code: str, error_type: str) -> None:
    sandbox = make(code)
    fault = sandbox.init()
    assert fault is not None
    assert fault.error_type == error_type
    outcome = invoke(sandbox)
    assert json.loads(outcome.payload)["errorType"] == error_type
    assert "Phase: init" in outcome.log
    assert "Phase: invoke" in outcome.log
    assert outcome.report.error_type == error_type


def test_an_init_that_heals_serves(make: Make) -> None:
    code = (
        "import pathlib\nmark = pathlib.Path(__file__).with_name('mark')\n"
        "if not mark.exists():\n    mark.touch()\n    1 / 0\n" + COUNT
    )
    sandbox = make(code)
    assert sandbox.init() is not None
    assert answer(invoke(sandbox)) == 1


def test_an_exception_is_the_functions_own_error(make: Make) -> None:
    sandbox = make("def handler(e, c):\n    raise ValueError('boo')\n")
    outcome = invoke(sandbox)
    assert outcome.is_error
    assert json.loads(outcome.payload)["errorMessage"] == "boo"
    assert "[ERROR] ValueError: boo" in outcome.output
    assert outcome.report.status == "success"


def test_too_much_memory_is_killed(make: Make) -> None:
    code = (
        "import time\ndef handler(e, c):\n    kept = []\n"
        "    while True:\n        kept.append(bytearray(8_000_000)); time.sleep(0.01)\n"
    )
    outcome = invoke(make(code, memory_mb=128))
    assert json.loads(outcome.payload)["errorType"] == "Runtime.OutOfMemory"
    assert outcome.report.max_memory_used_mb == 128


def test_memory_of_the_whole_tree_counts(make: Make) -> None:
    code = (
        "import subprocess, sys\nHOG = 'import time; x = bytearray(90_000_000); time.sleep(60)'\n"
        "def handler(e, c):\n    hogs = [subprocess.Popen([sys.executable, '-c', HOG])"
        " for _ in range(2)]\n    hogs[0].wait()\n"
    )
    assert invoke(make(code, memory_mb=128)).report.error_type == "Runtime.OutOfMemory"


def test_a_mapped_file_is_not_held_against_the_limit(make: Make, tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(b"x" * 200_000_000)
    code = (
        "import mmap, time\ndef handler(e, c):\n"
        "    with open('data', 'rb') as f, mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ) as m:\n"
        "        total = sum(m[i] for i in range(0, len(m), 4096)); time.sleep(0.3)\n"
        "        return total\n"
    )
    assert answer(invoke(make(code, memory_mb=128))) == ord("x") * -(-200_000_000 // 4096)


def test_an_answer_over_the_limit_is_refused_and_the_next_call_served(make: Make) -> None:
    sandbox = make("def handler(e, c):\n    return 'x' * e\n")
    large = invoke(sandbox, 2_000_000)
    assert json.loads(large.payload)["errorType"] == "Function.ResponseSizeTooLarge"
    assert answer(invoke(sandbox, 900_000)) == "x" * 900_000


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


def test_an_init_that_takes_too_long_is_repeated_within_the_invocation(make: Make) -> None:
    """10 s, then once more at the first invocation, under the function's own timeout.

    https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html, "Init phase".
    """
    code = (
        "import pathlib, time\nmark = pathlib.Path(__file__).with_name('mark')\n"
        "if not mark.exists():\n    mark.touch()\n    time.sleep(60)\n" + COUNT
    )
    sandbox = make(code, init_timeout_s=0.7)
    fault = sandbox.init()
    assert fault is not None
    assert fault.status == "timeout"
    outcome = invoke(sandbox)
    assert answer(outcome) == 1
    assert "Phase: init\tStatus: timeout" in outcome.log


def test_an_init_that_never_ends_uses_up_the_functions_timeout(make: Make) -> None:
    """https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html."""
    sandbox = make("import time\ntime.sleep(60)\n", timeout_s=1, init_timeout_s=0.5)
    sandbox.init()
    outcome = invoke(sandbox)
    assert json.loads(outcome.payload)["errorType"] == "Sandbox.Timedout"
    assert "Phase: invoke\tStatus: timeout" in outcome.log


def test_a_full_temporary_folder_ends_the_invocation(make: Make) -> None:
    """https://docs.aws.amazon.com/lambda/latest/dg/configuration-ephemeral-storage.html."""
    code = (
        "import pathlib, tempfile, time\ndef handler(e, c):\n"
        "    path = pathlib.Path(tempfile.gettempdir()) / 'large'\n"
        "    path.write_bytes(b'x' * e * 1024 * 1024)\n    time.sleep(1)\n    return 'fits'\n"
    )
    sandbox = make(code, disk_mb=8)
    full = invoke(sandbox, 9)
    assert json.loads(full.payload)["errorType"] == "Runtime.EphemeralStorageFull"
    assert "No space left on device" in full.log
    assert answer(invoke(sandbox, 7)) == "fits"


def test_a_client_context_reaches_the_function(make: Make) -> None:
    """https://docs.aws.amazon.com/lambda/latest/dg/python-context.html, client_context."""
    sandbox = make(
        "def handler(e, c):\n    return [c.client_context.custom, c.client_context.env]\n"
    )
    given = json.dumps({"custom": {"k": "v"}, "env": {"locale": "de"}})
    arn = "arn:aws:lambda:us-east-1:000000000000:function:f"
    outcome = sandbox.invoke(Invocation("r1", arn, b"null", client_context=given))
    assert answer(outcome) == [{"k": "v"}, {"locale": "de"}]


STREAMING = """
import http.client, os
def call(method, path, body=None, headers={}):
    connection = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
    connection.request(method, "/2018-06-01/runtime/" + path, body, headers)
    answer = connection.getresponse()
    return answer, answer.read()
while True:
    event, _ = call("GET", "invocation/next")
    path = f"invocation/{event.headers['Lambda-Runtime-Aws-Request-Id']}/"
    MODE
"""


def test_a_streamed_answer_is_refused_with_the_reason(make: Make) -> None:
    """https://docs.aws.amazon.com/lambda/latest/dg/runtimes-custom.html, response streaming."""
    say = "call('POST', path + 'response', iter([b'a', b'b']), "
    header = "{'Lambda-Runtime-Function-Response-Mode': 'streaming'}"
    outcome = invoke(make(STREAMING.replace("MODE", f"{say}{header})"), runtime="app"))
    assert outcome.is_error
    found = json.loads(outcome.payload)
    assert found["errorType"] == "Runtime.StreamingNotSupported"
    assert "response streaming" in found["errorMessage"]


def test_the_error_type_of_a_runtimes_header_is_told(make: Make) -> None:
    """https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html, initialization error."""
    say = "call('POST', 'init/error', b'{}', {'Lambda-Runtime-Function-Error-Type': 'My.Reason'})"
    code = STREAMING.partition("while")[0] + say + "\nraise SystemExit(1)\n"
    fault = make(code, runtime="app").init()
    assert fault is not None
    assert fault.error_type == "My.Reason"
