"""A proxy in a process of its own, killed as the kernel kills; the lake is Delta in a folder."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from aiohttp import ClientError, ClientSession

from movierec.aws.delta_lake import DeltaLake
from movierec.runtime import json_logging
from movierec.runtime.clock import SystemClock
from proxy.handler import Dependencies
from proxy.startup_shutdown import new_id, serve
from proxy.wiring import Settings

ROOT = Path(__file__).parents[2]

# Nobody listens on port 1: the API is dead, the list of a better time is there.
DEAD_API = "http://127.0.0.1:1/live"


def run(folder, flush_s):
    """Be the proxy, until SIGTERM; prints its port."""

    async def until_signalled():
        stop = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
        await serve(
            Settings(DEAD_API, Path(folder), port=0, flush_s=float(flush_s)),
            open_lake=lambda: DeltaLake(f"{folder}/lake"),
            deps=Dependencies(SystemClock(), time.monotonic, new_id),
            stop=stop,
            on_start=lambda port: print(port, flush=True),  # noqa: T201  for its parent
        )

    json_logging.to_stderr("proxy")
    asyncio.run(until_signalled())


@contextmanager
def proxy(folder, flush_s):
    """Start a proxy; yields its process and port, and leaves none behind."""
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": f"{ROOT}:{ROOT / 'src'}"}
    with (
        (folder / "log").open("a") as log,
        subprocess.Popen(
            [sys.executable, __file__, str(folder), str(flush_s)],
            stdout=subprocess.PIPE,
            stderr=log,
            env=environment,
            cwd=ROOT,
        ) as process,
    ):
        try:
            assert process.stdout is not None
            port = process.stdout.readline()
            assert port, (folder / "log").read_text()
            yield process, int(port)
        finally:
            process.kill()


@pytest.fixture
def folder(tmp_path):
    own = tmp_path / "proxy-1"
    own.mkdir()
    kept = {"movie_ids": ["a+1999", "b+2000"], "model_version": "m1"}
    (own / "popular.json").write_text(json.dumps(kept))
    return tmp_path


async def ask(port, answered, wanted):
    """Ask until `wanted` answers are there or the proxy is gone."""
    async with ClientSession() as session:
        while len(answered) < wanted:
            with suppress(ClientError):
                async with session.get(f"http://127.0.0.1:{port}/recommend/42") as response:
                    answered.append(response.headers["X-Recommendation-Id"])
                continue
            return


async def ask_and_kill(process, port, answered, wanted):
    """Kill the proxy while four clients are at it."""
    asking = [asyncio.create_task(ask(port, answered, 10**9)) for _ in range(4)]
    async with asyncio.timeout(60):
        while len(answered) < wanted:  # noqa: ASYNC110  answers come over sockets
            await asyncio.sleep(0.001)
    process.kill()
    await asyncio.gather(*asking)


def shipped(folder):
    rows = DeltaLake(f"{folder}/lake").query(
        "select recommendation_id id from served", {"served": None}
    )
    return rows.column("id").to_pylist()


def journal(folder):
    return sorted((folder / "proxy-1" / "journal").iterdir())


@pytest.mark.parametrize("flush_s", [3600, 0.02], ids=["before shipping", "while shipping"])
def test_a_killed_proxy_resumes_from_its_journal(folder, flush_s):
    """Killed three times under load: every answer that arrived is in the lake exactly once."""
    answered: list[str] = []
    for wanted in (50, 100, 150):
        with proxy(folder, flush_s) as (process, port):
            asyncio.run(ask_and_kill(process, port, answered, wanted))
            assert process.wait() == -signal.SIGKILL
    with proxy(folder, flush_s) as (process, port):
        asyncio.run(ask(port, answered, len(answered) + 1))
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    ids = shipped(folder)
    assert len(ids) == len(set(ids))
    assert set(answered) <= set(ids)
    assert len(ids) <= len(answered) + 3 * 4  # written, but killed before the answer arrived
    assert [path.stat().st_size for path in journal(folder)] == [0]


def test_a_second_process_on_the_folder_does_not_start(folder):
    with proxy(folder, 3600):
        second = subprocess.run(
            [sys.executable, __file__, str(folder), "3600"],
            env={"PATH": os.environ["PATH"], "PYTHONPATH": f"{ROOT}:{ROOT / 'src'}"},
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert second.returncode != 0
    assert "--proxy-id" in second.stderr


if __name__ == "__main__":
    run(*sys.argv[1:])
