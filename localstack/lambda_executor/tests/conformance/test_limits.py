"""What ends an invocation: time, memory, storage, sizes, exits, and code that cannot be loaded."""

import json
import os
import select
import textwrap
from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from tests.conftest import Emulator

COUNT = "n = 0\ndef handler(event, context):\n    global n\n    n += 1\n    HERE\n    return n\n"
SIX_MB = 6 * 1024 * 1024
GONE_WITHIN_S = 2


def gone(handle: int) -> bool:
    ready, _, _ = select.select([handle], [], [], GONE_WITHIN_S)
    os.close(handle)
    return bool(ready)


def test_a_timeout_is_told_and_the_next_call_starts_afresh(emulator: "Emulator") -> None:
    """A function that runs into its timeout is stopped, and answer and log say after how long.

    https://docs.aws.amazon.com/lambda/latest/dg/configuration-timeout.html
    """
    code = "import time\n" + COUNT.replace("HERE", "time.sleep(event)")
    emulator.create("late", code, Timeout=1)
    assert emulator.invoke("late", 0).payload == 1
    late = emulator.invoke("late", 30)
    assert (late.error, late.payload["errorType"]) == ("Unhandled", "Sandbox.Timedout")
    assert late.payload["errorMessage"].endswith("Task timed out after 1.00 seconds")
    assert "Task timed out after 1.00 seconds" in late.log
    assert "Duration: 1000.00 ms" in late.log
    assert late.log.rstrip().endswith("Status: timeout")
    assert emulator.invoke("late", 0).payload == 1


def test_too_much_memory_is_killed(emulator: "Emulator") -> None:
    """A function that needs more than its memory is killed: Runtime.OutOfMemory in its report.

    https://docs.aws.amazon.com/lambda/latest/dg/troubleshooting-invocation.html
    """
    grow = "kept = []\n    while event: kept.append(bytearray(8_000_000)); time.sleep(0.01)"
    emulator.create("greedy", "import time\n" + COUNT.replace("HERE", grow), MemorySize=128)
    answer = emulator.invoke("greedy", 1)
    assert (answer.error, answer.payload["errorType"]) == ("Unhandled", "Runtime.OutOfMemory")
    assert "signal: killed" in answer.payload["errorMessage"]
    assert "Max Memory Used: 128 MB" in answer.log
    assert "Status: error\tError Type: Runtime.OutOfMemory" in answer.log
    assert emulator.invoke("greedy", 0).payload == 1


def test_memory_is_that_of_the_whole_tree(emulator: "Emulator") -> None:
    """The memory setting is what all of the function's processes have together.

    https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory_usage.html
    """
    code = """
        import subprocess, sys
        HOG = "import time; x = bytearray(90_000_000); time.sleep(60)"
        def handler(event, context):
            hogs = [subprocess.Popen([sys.executable, "-c", HOG]) for _ in range(2)]
            hogs[0].wait()
    """
    emulator.create("hogs", textwrap.dedent(code), MemorySize=128)
    assert emulator.invoke("hogs").payload["errorType"] == "Runtime.OutOfMemory"


def test_the_temporary_folders_size_is_the_functions_setting(emulator: "Emulator") -> None:
    """The folder /tmp holds 512 MB, or what EphemeralStorage says; more is refused.

    https://docs.aws.amazon.com/lambda/latest/dg/configuration-ephemeral-work_folder.html
    """
    code = """
        import os, tempfile, time
        def handler(event, context):
            size_mb, stay_s = event
            with open(tempfile.gettempdir() + "/x", "wb") as file:
                os.posix_fallocate(file.fileno(), 0, size_mb * 1024 * 1024)
            time.sleep(stay_s)
    """
    emulator.create("disk-more", textwrap.dedent(code), EphemeralStorage={"Size": 600})
    assert emulator.invoke("disk-more", [550, 0.5]).error is None
    emulator.create("disk-usual", textwrap.dedent(code))
    full = emulator.invoke("disk-usual", [550, 9])
    assert full.payload["errorType"] == "Runtime.EphemeralStorageFull"
    assert "No space left on device" in full.log


def test_a_function_has_1024_descriptors(emulator: "Emulator") -> None:
    """A function can have 1,024 files, sockets and pipes open, and no more.

    https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
    """
    code = """
        import os
        def handler(event, context):
            kept = []
            try:
                while True: kept.append(os.open("/dev/null", os.O_RDONLY))
            except OSError as exc:
                return [exc.strerror, max(kept)]
            finally:
                for fd in kept: os.close(fd)
    """
    emulator.create("descriptors", textwrap.dedent(code))
    assert emulator.invoke("descriptors").payload == ["Too many open files", 1023]


@pytest.mark.skipif(os.geteuid() == 0, reason="the kernel does not count root's processes")
@pytest.mark.usefixtures("needs_aws_paths")
def test_a_function_has_1024_processes_and_threads(emulator: "Emulator") -> None:
    """A function can have 1,024 processes and threads, whatever else its user runs.

    https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
    """
    code = """
        import threading
        def handler(event, context):
            done, started = threading.Event(), []
            try:
                while len(started) < 2000:
                    thread = threading.Thread(target=done.wait)
                    thread.start()
                    started.append(thread)
            except RuntimeError as exc:
                return len(started)
            finally:
                done.set()
    """
    emulator.create("threads", textwrap.dedent(code), MemorySize=1024)
    assert 1000 < emulator.invoke("threads").payload < 1024


def test_output_without_end_does_not_stop_the_clock(emulator: "Emulator") -> None:
    """The timeout ends a function however busily it writes.

    https://docs.aws.amazon.com/lambda/latest/dg/configuration-timeout.html
    """
    code = "import os\ndef handler(e, c):\n    while True: os.write(1, b'x' * 65535 + b'\\n')\n"
    emulator.create("endless", code, Timeout=1)
    answer = emulator.invoke("endless")
    assert answer.payload["errorType"] == "Sandbox.Timedout"
    assert answer.took_ms < 6_000
    assert len(answer.log) == 4096


def test_a_synchronous_event_is_six_megabytes_at_most(emulator: "Emulator") -> None:
    """A larger one is refused with RequestTooLargeException (413) before the function runs.

    https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
    """
    emulator.create("size", "def handler(e, c):\n    return len(e)\n")
    assert emulator.invoke("size", "x" * (SIX_MB - 2)).payload == SIX_MB - 2
    with pytest.raises(ClientError, match="TooLarge") as refused:
        emulator.invoke("size", "x" * SIX_MB)
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 413


def test_an_asynchronous_event_is_one_megabyte_at_most(emulator: "Emulator") -> None:
    """1 MB since October 2025, where it was 256 kB before; a larger one is refused.

    https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
    """
    emulator.create("event-size", "def handler(e, c):\n    print('length', len(e))\n")
    client = emulator.client("lambda")

    def send(length: int) -> int:
        event = json.dumps("x" * (length - 2))
        said = client.invoke(FunctionName="event-size", InvocationType="Event", Payload=event)
        status: int = said["StatusCode"]
        return status

    assert send(1024 * 1024) == 202
    with pytest.raises(ClientError, match="TooLarge"):
        send(1024 * 1024 + 1)
    emulator.wait(
        lambda: f"length {1024 * 1024 - 2}" in emulator.messages("/aws/lambda/event-size"),
        "the event has been handled",
    )


def test_an_answer_is_six_megabytes_at_most(emulator: "Emulator") -> None:
    """A larger one is refused with Function.ResponseSizeTooLarge.

    https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
    """
    emulator.create("answer-size", "def handler(e, c):\n    return 'x' * e\n")
    assert len(emulator.invoke("answer-size", SIX_MB - 2).payload) == SIX_MB - 2
    answer = emulator.invoke("answer-size", SIX_MB + 2_000)
    assert answer.payload["errorType"] == "Function.ResponseSizeTooLarge"
    assert str(SIX_MB + 2_002) in answer.payload["errorMessage"]
    assert emulator.invoke("answer-size", 1).payload == "x"


@pytest.mark.parametrize(
    ("way", "said"),
    [
        ("sys.exit(0)", "Runtime exited without providing a reason"),
        ("sys.exit(3)", "Runtime exited with error: exit status 3"),
        ("os.kill(os.getpid(), 11)", "Runtime exited with error: signal: segmentation fault"),
    ],
)
def test_an_exit_is_told_and_the_next_call_starts_afresh(
    emulator: "Emulator", way: str, said: str
) -> None:
    """A runtime that exits is Runtime.ExitError with status or signal, and is started again.

    https://docs.aws.amazon.com/lambda/latest/dg/troubleshooting-invocation.html
    """
    name = "exit-" + "".join(filter(str.isalnum, way))
    code = "import os, sys\n" + COUNT.replace("HERE", f"if event: print('last words'); {way}")
    emulator.create(name, code)
    assert emulator.invoke(name, 0).payload == 1
    answer = emulator.invoke(name, 1)
    assert (answer.error, answer.payload["errorType"]) == ("Unhandled", "Runtime.ExitError")
    assert answer.payload["errorMessage"].endswith(said)
    assert "last words" in answer.log
    assert "Status: error\tError Type: Runtime.ExitError" in answer.log
    assert emulator.invoke(name, 0).payload == 1


@pytest.mark.parametrize(
    ("code", "error_type", "said"),
    [
        ("import not_there", "Runtime.ImportModuleError", "No module named 'not_there'"),
        ("x = 1", "Runtime.HandlerNotFound", "Handler 'handler' missing"),
        ("def broken(:", "Runtime.UserCodeSyntaxError", "invalid syntax"),
    ],
)
def test_code_that_cannot_be_loaded_is_told(
    emulator: "Emulator", code: str, error_type: str, said: str
) -> None:
    """The answer and the log have the runtime's own error type and message.

    https://docs.aws.amazon.com/lambda/latest/dg/troubleshooting-invocation.html
    """
    name = error_type.replace(".", "-")
    emulator.create(name, code)
    answer = emulator.invoke(name)
    assert (answer.error, answer.payload["errorType"]) == ("Unhandled", error_type)
    assert said in answer.payload["errorMessage"]
    assert said in answer.log


def test_a_module_that_is_not_there_is_told(emulator: "Emulator") -> None:
    """A handler that names no module of the package is Runtime.ImportModuleError.

    https://docs.aws.amazon.com/lambda/latest/dg/troubleshooting-invocation.html
    """
    emulator.create("misnamed", "", Handler="elsewhere.handler")
    answer = emulator.invoke("misnamed")
    assert answer.payload["errorType"] == "Runtime.ImportModuleError"
    assert "elsewhere" in answer.payload["errorMessage"]


@pytest.mark.parametrize("end", ["time.sleep(60)", "os._exit(1)"])
def test_forked_children_end_with_their_environment(emulator: "Emulator", end: str) -> None:
    """When Lambda resets an environment nothing of it runs on, daemons included.

    https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html
    """
    code = f"""
        import os, subprocess, time
        def handler(event, context):
            if event:
                {end}
            read, write = os.pipe()
            if os.fork() == 0:
                os.setsid()
                if os.fork() == 0:
                    os.write(write, str(os.getpid()).encode())
                    time.sleep(600)
                os._exit(0)
            return [int(os.read(read, 20)), subprocess.Popen(["sleep", "600"]).pid]
    """
    name = "forks-" + "".join(filter(str.isalnum, end))
    emulator.create(name, textwrap.dedent(code), Timeout=1)
    handles = [os.pidfd_open(pid) for pid in emulator.invoke(name).payload]
    emulator.invoke(name, 1)
    assert [gone(handle) for handle in handles] == [True, True]
