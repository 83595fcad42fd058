"""`python -m proxy` as it is started for real: its own process, the emulator's S3 behind it."""

import json
import os
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from movierec.aws.delta_lake import DeltaLake

ROOT = Path(__file__).parents[2]


@pytest.fixture
def environment(emulated_aws, bucket):
    """Return an environment of the proxy's own, and nothing of ours."""
    paths = {"PATH": os.environ["PATH"], "PYTHONPATH": f"{ROOT}:{ROOT / 'src'}"}
    # Nobody listens on port 1: the API is dead.
    ours = {"MOVIEREC_LAKE_BUCKET": bucket, "MOVIEREC_API_URL": "http://127.0.0.1:1/live"}
    return paths | emulated_aws | ours


def listening_port(log):
    for line in log:
        event = json.loads(line)
        if event["event"] == "listening":
            return event["port"]
    pytest.fail("the proxy ended before it listened")


def test_it_serves_ships_and_ends_with_0_on_sigterm(tmp_path, environment):
    own = tmp_path / "proxy-1"
    own.mkdir()
    (own / "popular.json").write_text('{"movie_ids": ["a", "b"], "model_version": "m1"}')
    with subprocess.Popen(
        [sys.executable, "-m", "proxy", "--port", "0", "--folder", str(tmp_path)],
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        cwd=ROOT,
    ) as process:
        try:
            port = listening_port(process.stderr)
            url = f"http://127.0.0.1:{port}/recommend/42"
            with urllib.request.urlopen(url, timeout=30) as answer:
                assert answer.read() == b"a,b"
            process.terminate()
            _, log = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 0
    assert json.loads(log.splitlines()[-1])["event"] == "stopped"
    lake = DeltaLake.from_env(environment)
    assert lake.count("served", by="source") == {"fallback": 1}


def test_who_connects_while_it_is_restarted_waits_and_is_answered(tmp_path, environment):
    """The socket is its supervisor's, and is handed to each proxy in turn."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]

        def start():
            return subprocess.Popen(
                [sys.executable, "-m", "proxy", "--folder", str(tmp_path)],
                stderr=subprocess.PIPE,
                text=True,
                env={**environment, "MOVIEREC_LISTEN_FD": str(listening.fileno())},
                pass_fds=[listening.fileno()],
                cwd=ROOT,
            )

        with start() as first:
            assert listening_port(first.stderr) == port
            first.kill()
        with socket.create_connection(("127.0.0.1", port)) as early:
            early.sendall(b"GET /version HTTP/1.1\r\nHost: site\r\n\r\n")
            with start() as second:
                assert early.recv(100).startswith(b"HTTP/1.1 200 OK")
                second.kill()


def test_a_mistake_is_one_line_and_exit_code_2(tmp_path, environment):
    del environment["MOVIEREC_API_URL"]
    done = subprocess.run(
        [sys.executable, "-m", "proxy", "--folder", str(tmp_path)],
        capture_output=True,
        text=True,
        env=environment,
        cwd=ROOT,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("proxy: MOVIEREC_API_URL is not set")
    assert done.stderr.count("\n") == 1
