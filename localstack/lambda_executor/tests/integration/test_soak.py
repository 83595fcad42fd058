"""Invocation after invocation, of which many fail: nothing may be left over.

300 in the ordinary run, as many as LAMBDA_PROCESS_SOAK says otherwise:

    LAMBDA_PROCESS_SOAK=10000 ../.venv/bin/python -m pytest -s tests/integration/test_soak.py
"""

import json
import os
import random
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lambda_process_executor.limit_monitor import descendants, usage_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from tests.conftest import Emulator

    Start = Callable[..., AbstractContextManager[Emulator]]

INVOCATIONS: Final = int(os.environ.get("LAMBDA_PROCESS_SOAK", "300"))
ROUNDS: Final = 2
CALLERS: Final = 6
# Per cent of the calls. A timeout takes three seconds and a crash a cold start, so there are few.
WEIGHTS: Final = {
    "answer": 82, "raise": 8, "exit": 3, "kill": 2, "fork": 2, "time out": 1, "large": 1, "junk": 1,
}  # fmt: skip
EXPECTED: Final = {
    "answer": None, "fork": None, "junk": None, "raise": "ValueError", "exit": "Runtime.ExitError",
    "kill": "Runtime.ExitError", "time out": "Sandbox.Timedout",
    "large": "Function.ResponseSizeTooLarge",
}  # fmt: skip

# What LocalStack itself keeps of an invocation (its log and its metrics, in memory or SQLite);
# a leaked environment would be ten times that.
KEPT_BYTES_EACH: Final = 40_000
WARM_UP_MB: Final = 30
# Connections of LocalStack to itself: each of its clients keeps up to 10 (botocore's default).
POOLS: Final = 40
# CloudWatch is a SQLite file, opened anew by each thread that asks, and closed by the collector.
DATABASES: Final = 40

CODE = textwrap.dedent("""
    import os, pathlib, signal, tempfile, time
    def handler(event, context):
        if event == "raise": raise ValueError("asked for")
        if event == "exit": os._exit(3)
        if event == "kill": os.kill(os.getpid(), signal.SIGKILL)
        if event == "time out": time.sleep(60)
        if event == "large": return "x" * 6_400_000
        if event == "junk": (pathlib.Path(tempfile.mkdtemp()) / "junk").write_bytes(b"x" * 100_000)
        if event == "fork" and os.fork() == 0:
            os.setsid()
            time.sleep(600)
        print("event", event)
        return os.getpid()
""")


@dataclass(frozen=True)
class Holdings:
    """What LocalStack has: processes below it, descriptors, threads, memory, folders.

    `listening` counts the ports that it listens on: one of its own, one for each environment.
    `sockets` are all others, its own connections among them; `pipes` are pipes and selectors, and
    `files` what has a path.
    """

    processes: int
    listening: int
    sockets: int
    pipes: int
    files: int
    threads: int
    folders: int
    memory_mb: int


def holdings(emulator: "Emulator") -> Holdings:
    pid = emulator.runtime_pid()
    proc, environments = Path(f"/proc/{pid}"), emulator.environments()
    descriptors = [target for fd in (proc / "fd").iterdir() if (target := link_of(fd))]
    sockets = {target for target in descriptors if target.startswith("socket:")}
    return Holdings(
        processes=len(list(descendants(pid))),
        listening=len(sockets & listening_inodes(pid)),
        sockets=len(sockets - listening_inodes(pid)),
        pipes=sum(target.startswith(("pipe:", "anon_inode:")) for target in descriptors),
        files=sum(target.startswith("/") for target in descriptors),
        threads=len(list((proc / "task").iterdir())),
        folders=len(list(environments.iterdir())) if environments.exists() else 0,
        memory_mb=usage_of(pid).held_bytes // 1_000_000,
    )


def link_of(fd: Path) -> str:
    try:
        return str(fd.readlink())
    except FileNotFoundError:  # closed meanwhile
        return ""


def listening_inodes(pid: int) -> set[str]:
    """Return `socket:[<inode>]` of every listening TCP socket (proc_net(5): state 0A)."""
    rows = [line.split() for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]]
    return {f"socket:[{row[9]}]" for row in rows if row[3] == "0A"}


def soak(emulator: "Emulator", count: int, seed: int) -> None:
    """Invoke at random, several at a time; each failure has to be the one that was asked for."""
    drawn = random.Random(seed).choices(list(WEIGHTS), list(WEIGHTS.values()), k=count)
    kinds = [*WEIGHTS, *drawn]

    def call(kind: str) -> None:
        answer = emulator.invoke("soaked", kind)
        payload = answer.payload
        found = payload["errorType"] if isinstance(payload, dict) else None
        assert found == EXPECTED[kind], (kind, payload, answer.log)

    with ThreadPoolExecutor(CALLERS) as pool:
        list(pool.map(call, kinds))


def test_nothing_is_left_after_many_invocations(start_emulator: "Start") -> None:
    with start_emulator(LAMBDA_KEEPALIVE_MS="1000") as emulator:
        emulator.create("soaked", CODE, Timeout=3, MemorySize=512)
        started = time.monotonic()
        seen = [held_after(emulator, INVOCATIONS // ROUNDS, seed) for seed in range(ROUNDS)]
        took_s = time.monotonic() - started
    # Shown with -s.
    sys.stdout.write(json.dumps({"took_s": round(took_s), "held": [asdict(h) for h in seen]}))
    assert {(held.processes, held.folders) for held in seen} == {(0, 0)}
    # The first round is LocalStack's own start: services, pools of threads and of connections.
    first, last = seen[0], seen[-1]
    assert last.listening == first.listening
    assert last.pipes == first.pipes
    assert last.files <= first.files + DATABASES
    assert last.sockets <= first.sockets + POOLS
    assert last.threads <= first.threads + CALLERS
    kept_mb = INVOCATIONS * KEPT_BYTES_EACH / 1_000_000
    assert last.memory_mb <= first.memory_mb + WARM_UP_MB + kept_mb


def held_after(emulator: "Emulator", count: int, seed: int) -> Holdings:
    soak(emulator, count, seed)
    wait_until_idle(emulator)
    return holdings(emulator)


def wait_until_idle(emulator: "Emulator") -> None:
    """Wait until every environment's keep-alive has passed."""
    emulator.wait(lambda: holdings(emulator).processes == 0, "every environment has ended")
    emulator.wait(lambda: holdings(emulator).folders == 0, "every folder has gone")
