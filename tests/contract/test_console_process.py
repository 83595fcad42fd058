"""The console as a process: its address, its refusals, its end, and a system that is not there."""

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from console.system import System
from movierec import settings
from movierec.errors import ConfigError, UnavailableError
from movierec.stack import loopback_ports

ROOT = Path(__file__).parents[2]
TOKEN = "0123456789abcdef0123456789abcdef"
WITHIN_S = 60


@contextmanager
def started(command, **env):
    """Run a console until the block ends; yield its process and the file of what it says."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "MOVIEREC_"))}
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=clean | env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(WITHIN_S)
        assert process.stdout is not None
        process.stdout.close()


def answered(url, host=""):
    """Return the status and text of a page, once the server is there."""
    asked = urllib.request.Request(url, headers={"Host": host} if host else {})  # noqa: S310  ours
    deadline_s = time.monotonic() + WITHIN_S
    while True:
        try:
            with urllib.request.urlopen(asked, timeout=WITHIN_S) as answer:  # noqa: S310  ours
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as exc:
            with exc:
                return exc.code, exc.read().decode()
        except OSError:
            assert time.monotonic() < deadline_s, "it does not come up"
            time.sleep(0.05)


def test_a_console_without_a_system_says_which_settings_lack_and_ends_on_sigterm():
    port = loopback_ports.free_port()
    command = [sys.executable, "-m", "console", f"--port={port}"]
    with started(command) as process:
        status, text = answered(f"http://127.0.0.1:{port}/")

        assert status == HTTPStatus.OK
        for name in (settings.LAKE_BUCKET, settings.API_FUNCTION, settings.INGEST_URL):
            assert f"{name} is not set" in text
        assert (
            answered(f"http://127.0.0.1:{port}/", "evil.example")[0]
            == HTTPStatus.MISDIRECTED_REQUEST
        )
        process.send_signal(signal.SIGTERM)
        assert process.wait(WITHIN_S) in (0, 128 + signal.SIGTERM, -signal.SIGTERM)


def test_another_address_without_a_token_is_refused():
    with started([sys.executable, "-m", "console", "--host=0.0.0.0"]) as process:
        said, _ = process.communicate(timeout=WITHIN_S)
        assert process.returncode != 0
        assert "MOVIEREC_CONSOLE_TOKEN" in said
        assert "Traceback" not in said


def test_the_command_becomes_the_console_and_says_where_it_is():
    port = loopback_ports.free_port()
    command = [sys.executable, "-m", "movierec.cli.main", "console", f"--port={port}", "--operate"]
    env = {settings.LAKE_BUCKET: "lake", "AWS_REGION": "us-east-1", "MOVIEREC_RUN": "none-such"}
    with started(command, **env, MOVIEREC_CONSOLE_TOKEN=TOKEN) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith(f"console: http://127.0.0.1:{port}/")
        status, text = answered(f"http://127.0.0.1:{port}/")
        assert (status, "Sign in" in text) == (HTTPStatus.OK, True)
    assert not (ROOT / "var" / "none-such").exists()


# What the worker says ------------------------------------------------------------------------


@pytest.fixture
def worker():
    """Answer as an ingest worker: set `status` and `body` of the class."""

    class Worker(BaseHTTPRequestHandler):
        status, body = 200, b'{"lag_s": 1.5}'

        def do_GET(self):
            self.send_response(self.status)
            self.end_headers()
            self.wfile.write(self.body)

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Worker)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield Worker, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def ingest(url):
    return System.from_env({settings.INGEST_URL: url}).ingest()


def test_a_worker_is_asked_for_its_health(worker):
    assert ingest(worker[1]) == {"lag_s": 1.5}


def test_a_worker_that_fails_says_so_itself(worker):
    answer, url = worker
    answer.status, answer.body = 503, b'{"failing": "no lake"}'

    assert ingest(url) == {"failing": "no lake"}


def test_what_is_no_worker_is_named(worker):
    answer, url = worker
    answer.status, answer.body = 404, b"no such page"
    with pytest.raises(UnavailableError, match=f"404; {settings.INGEST_URL} may name another"):
        ingest(url)


def test_a_worker_that_is_not_there_is_named_with_what_to_do():
    with pytest.raises(UnavailableError, match=r"does not answer .*MOVIEREC_INGEST_URL"):
        ingest(f"http://127.0.0.1:{loopback_ports.free_port()}")
    with pytest.raises(ConfigError, match=f"{settings.INGEST_URL} is not set"):
        System.from_env({}).ingest()
