"""LocalStack ends by itself, soon, whatever functions do."""

import os
import signal
import textwrap
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, suppress
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from tests.conftest import Emulator

    Start = Callable[..., AbstractContextManager[Emulator]]

# LocalStack stops a few versions at a time, one for each of its six threads or so, and has given
# up after 5 s: with these it would not reach the last.
IDLE = 48
# Far more than it takes; the keep-alive is 10 minutes.
ENDED_S = 60

CODE = textwrap.dedent("""
    import os, pathlib, tempfile, time
    def stay():
        pathlib.Path(tempfile.gettempdir(), "stays").touch()
        time.sleep(600)
    if os.environ.get("IN_INIT"): stay()
    def handler(event, context):
        if event == "child" and os.fork() == 0:
            os.setsid()
            time.sleep(600)
        if event == "memory": b"x" * 600_000_000
        if event == "time out": time.sleep(600)
        if event == "stay": stay()
""")


def call(emulator: "Emulator", name: str, event: str) -> None:
    with suppress(BotoCoreError, ClientError):
        emulator.invoke(name, event)


def test_the_emulator_ends_with_functions_idle_running_and_in_init(start_emulator: "Start") -> None:
    """No timer, poller or invocation holds it, and every version is stopped."""
    with (
        start_emulator(LAMBDA_KEEPALIVE_MS="600000", DEBUG="1") as emulator,
        ThreadPoolExecutor(4) as pool,
    ):
        for number in range(IDLE):
            emulator.create(f"idle{number}", CODE, Timeout=1 + number)
        emulator.create("running", CODE, Timeout=600)
        environment = {"Variables": {"IN_INIT": "1"}}
        emulator.create("in-init", CODE, Timeout=600, Environment=environment)
        events = ["time out", "child", "memory", *["none"] * (IDLE - 3)]
        list(pool.map(lambda n: call(emulator, f"idle{n}", events[n]), range(IDLE)))
        emulator.client("lambda").invoke(
            FunctionName="running", InvocationType="Event", Payload=b'"stay"'
        )
        pool.submit(call, emulator, "running", "stay")
        pool.submit(call, emulator, "in-init", "stay")
        staying = emulator.environments().glob
        emulator.wait(lambda: len(list(staying("*/stays"))) == 3, "three of them stay")
        # Not the supervisor, which would kill it at last and say nothing of that.
        os.kill(emulator.runtime_pid(), signal.SIGTERM)
        assert emulator.supervisor.wait(ENDED_S) == 0
    assert "Shutdown not complete" not in emulator.log()
