"""However LocalStack ends, nothing of a function outlives it, and nothing measured is lost."""

import json
import os
import select
import signal
import sqlite3
import textwrap
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from tests.conftest import Emulator

    Start = Callable[[], AbstractContextManager[Emulator]]

# AWS: "Shutdown phase", 2 s at most.
SURVIVAL_S = 2.0
STOP_S = 30.0

DAEMONS = textwrap.dedent("""
    import os, signal, subprocess, time
    def handler(event, context):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        read, write = os.pipe()
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                os.write(write, str(os.getpid()).encode())
                time.sleep(600)
            os._exit(0)
        sleep = subprocess.Popen(["sleep", "600"])
        print(event)
        return [os.getpid(), os.getppid(), sleep.pid, int(os.read(read, 20))]
""")


def ended(handle: int, within_s: float) -> bool:
    ready, _, _ = select.select([handle], [], [], max(0.0, within_s))
    os.close(handle)
    return bool(ready)


def survivors(emulator: "Emulator", functions: list[int], number: signal.Signals) -> int:
    """End LocalStack with a signal; return how many of the processes outlive it by too long."""
    handles = [os.pidfd_open(pid) for pid in functions]
    localstack = os.pidfd_open(emulator.runtime_pid())
    signal.pidfd_send_signal(localstack, number)
    assert ended(localstack, STOP_S)
    deadline = time.monotonic() + SURVIVAL_S
    return sum(not ended(handle, deadline - time.monotonic()) for handle in handles)


def metric(value: int) -> str:
    """Return an EMF document."""
    metrics = {"Namespace": "last", "Dimensions": [[]], "Metrics": [{"Name": "N"}]}
    given = {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [metrics]}
    return json.dumps({"_aws": given, "N": value})


def keep_metrics(emulator: "Emulator") -> Path:
    """Link CloudWatch's file to a name that LocalStack does not remove when it stops."""
    [path] = emulator.folder.rglob("metrics.db")
    kept = emulator.folder / "kept.db"
    kept.hardlink_to(path)
    return kept


def total(kept: Path) -> float:
    """Return the sum of the metric in CloudWatch's file."""
    database = sqlite3.connect(f"file:{kept}?mode=ro", uri=True)
    rows = database.execute("SELECT sum FROM AGGREGATED_METRICS WHERE namespace = 'last'")
    found = sum(float(value) for (value,) in rows)
    database.close()
    return found


BUSY = textwrap.dedent("""
    import os, pathlib, tempfile, time
    def handler(event, context):
        said = pathlib.Path(tempfile.gettempdir(), "busy")
        said.write_text(f"{os.getpid()} {os.getppid()}\\n")
        time.sleep(600)
""")


@contextmanager
def in_the_middle_of_an_invocation(emulator: "Emulator") -> Iterator[list[int]]:
    """Invoke a function that goes on and on; give its processes, and expect no answer of it."""
    emulator.create("busy", BUSY, Timeout=600)

    def invoke() -> None:
        with suppress(BotoCoreError, ClientError):
            emulator.invoke("busy")

    def said() -> str:
        texts = [path.read_text() for path in emulator.environments().glob("*/busy")]
        return "".join(text for text in texts if text.endswith("\n"))

    with ThreadPoolExecutor(1) as pool:
        pool.submit(invoke)
        emulator.wait(said, "it runs")
        yield [int(pid) for pid in said().split()]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_no_process_outlives_the_emulator(start_emulator: "Start", number: signal.Signals) -> None:
    """At an environment's end its processes are killed within 2 s: function, subreaper, daemons.

    In the middle of an invocation and between two. What was measured just before is in CloudWatch
    where LocalStack was asked to stop.

    https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html
    """
    with start_emulator() as emulator, in_the_middle_of_an_invocation(emulator) as busy:
        emulator.create("daemons", DAEMONS)
        emulator.invoke("daemons", metric(1))
        emulator.wait(lambda: emulator.statistics("last", "N"), "CloudWatch has the first")
        kept = keep_metrics(emulator)
        idle = emulator.invoke("daemons", metric(2)).payload
        assert survivors(emulator, idle + busy, number) == 0
        assert total(kept) == (3 if number is signal.SIGTERM else 1)
