"""A real LocalStack that is started again and again on one state folder."""

import io
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

EMULATOR_FOLDER = Path(__file__).parents[2]
SOURCES = Path(__file__).parents[1] / "src"
READY_S = 120
SUPERVISOR_S = 5
"""LocalStack's supervisor kills what has not ended then."""
ROLE = "arn:aws:iam::000000000000:role/any"

Client = Any
"""boto3's clients have no types of their own."""


class Fork:
    """A LocalStack that another process has forked, with as much of `Popen` as is needed."""

    def __init__(self, pid: int, log: Path) -> None:
        self.pid = pid
        self._exit = Path(f"{log}.exit")

    def poll(self) -> int | None:
        """Return its exit code, None while it runs."""
        if _group(self.pid):
            return None
        return int(self._exit.read_text()) if self._exit.exists() else -signal.SIGKILL

    def send_signal(self, how: int) -> None:
        """Send it a signal."""
        os.kill(self.pid, how)

    def wait(self, timeout_s: float) -> int:
        """Wait for its end and return its exit code."""
        wait_until(lambda: self.poll() is not None, f"process {self.pid} ends", timeout_s)
        code = self.poll()
        assert code is not None
        return code


class Emulator:
    """LocalStack on a free port; state in `folder`/state, most else in a folder of each run.

    A forked one is the same from its first line on, but has its imports from a process that stays:
    its settings are the same in all runs.
    """

    def __init__(self, folder: Path, *, is_forked: bool = False, **settings: str) -> None:
        self.folder = folder
        self.state = folder / "state"
        self.runs = 0
        self.is_forked = is_forked
        self._settings = settings
        self._port = 0
        self._forks: subprocess.Popen[str] | None = None
        self._process: subprocess.Popen[bytes] | Fork | None = None
        self._clients: dict[str, Client] = {}

    def start(self, **settings: str) -> None:
        """Start it and wait until it says that it is ready."""
        self.launch(**settings)
        wait_until(self._is_ready, "LocalStack is ready", READY_S)

    def launch(self, **settings: str) -> None:
        """Start it, and wait for nothing."""
        self.runs += 1
        self._port = self._port or free_port()
        run = self.run_folder
        for path in (run / "tmp", run / "home", self.folder / "cache"):
            path.mkdir(parents=True, exist_ok=True)
        if self.is_forked:
            assert not settings
            self._process = self._fork(run / "log")
            return
        command = [Path(sys.executable).with_name("localstack-supervisor")]
        with (run / "log").open("wb") as log:
            self._process = subprocess.Popen(
                command, env=self._environment(run) | self._settings | settings, cwd=run,
                stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip

    def _fork(self, log: Path) -> Fork:
        if self._forks is None:
            command = [sys.executable, str(Path(__file__).with_name("forks.py"))]
            env = self._environment(self.run_folder) | self._settings
            with log.with_name("forks").open("wb") as errors:
                self._forks = subprocess.Popen(
                    command, env=env, cwd=self.folder, text=True,
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
                )  # fmt: skip
        log.touch()
        requests, replies = self._forks.stdin, self._forks.stdout
        assert requests is not None
        assert replies is not None
        requests.write(f"{log}\n")
        requests.flush()
        return Fork(int(replies.readline()), log)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """End it, supervisor and all, and return its exit code."""
        process = self._process
        assert process is not None
        self.close_clients()
        if process.poll() is None:
            os.killpg(process.pid, how) if how == signal.SIGKILL else process.send_signal(how)
        if self.is_forked and not ends_within(process, SUPERVISOR_S):
            os.killpg(process.pid, signal.SIGKILL)
        code = process.wait(60)
        wait_until(lambda: not _group(process.pid), "its processes are gone")
        self._process = None
        return code

    def kill(self) -> None:
        """Kill it with all of its processes, while clients may be talking to it."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGKILL)

    def restart(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End it and start it again."""
        self.stop(how)
        self.start()

    def finish(self) -> None:
        """End it if it still runs."""
        if self._process is not None:
            self.stop(signal.SIGKILL)
        if self._forks is not None:
            self._forks.communicate()
        shutil.rmtree(self.folder, ignore_errors=True)

    def wait_end(self) -> int:
        """Wait for it to end by itself and return its exit code."""
        assert self._process is not None
        code = self._process.wait(READY_S)
        self._process = None
        return code

    @property
    def url(self) -> str:
        """The one address of every service."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def run_folder(self) -> Path:
        """The folder of this run."""
        return self.folder / f"run{self.runs}"

    @property
    def pid(self) -> int:
        """LocalStack itself: the supervisor's child, if there is one."""
        assert self._process is not None
        pid = self._process.pid
        if self.is_forked:
            return pid
        return int(Path(f"/proc/{pid}/task/{pid}/children").read_text())

    def log(self) -> str:
        """Return what this run has logged."""
        return (self.run_folder / "log").read_text()

    def client(self, service: str) -> Client:
        """Return the boto3 client of this run, and of nothing else."""
        if service not in self._clients:
            self._clients[service] = boto3.session.Session().client(
                service,
                endpoint_url=self.url,
                region_name="us-east-1",
                aws_access_key_id="test",
                aws_secret_access_key="test",  # noqa: S106 - LocalStack takes any
                config=Config(
                    retries={"total_max_attempts": 1},
                    read_timeout=60,
                    max_pool_connections=20,
                    s3={"addressing_style": "path"},
                ),
            )
        return self._clients[service]

    def close_clients(self) -> None:
        """Close every connection that a client still has."""
        for client in self._clients.values():
            client.close()
        self._clients.clear()

    def wait_saved(self) -> None:
        """Wait until the newest generation has all that there is."""
        wait_until(lambda: not self.state_of_keeper()["unsaved"], "all is saved")

    def state_of_keeper(self, method: str = "GET") -> dict[str, Any]:
        """Return what keeper says of itself; POST has it save first."""
        asked = urllib.request.Request(f"{self.url}/_localstack/keeper", method=method)  # noqa: S310 - ours
        with urllib.request.urlopen(asked, timeout=30) as answer:  # noqa: S310 - ours
            said: dict[str, Any] = json.loads(answer.read())
            return said

    def _is_ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log()
        return "\nReady." in self.log()

    def _environment(self, run: Path) -> dict[str, str]:
        return {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "HOME": str(run / "home"),
            "XDG_CACHE_HOME": str(self.folder / "cache"),
            "TMPDIR": str(run / "tmp"),
            "FILESYSTEM_ROOT": str(run / "filesystem"),
            "GATEWAY_LISTEN": f"127.0.0.1:{self._port}",
            "DNS_ADDRESS": "0",
            "SKIP_SSL_CERT_DOWNLOAD": "1",
            "DISABLE_EVENTS": "1",
            "EAGER_SERVICE_LOADING": "0",
            "IN_MEMORY_CLIENT": "1",
            "LAMBDA_RUNTIME_EXECUTOR": "process",
            "LAMBDA_PROCESS_PYTHON_3_13": str(EMULATOR_FOLDER / "runtime/.venv/bin/python"),
            "PYTHONPATH": str(SOURCES),
            "KEEPER_FOLDER": str(self.state),
            "KEEPER_INTERVAL_S": "0.5",
        }


def ends_within(process: Any, timeout_s: float) -> bool:  # noqa: ANN401 - Popen or Fork
    deadline = time.monotonic() + timeout_s
    while process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    return process.poll() is not None


def _group(group: int) -> list[int]:
    """Return the processes of a group that are not dead already."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, of = path.read_text().rpartition(")")[2].split()[:3]
        except OSError:  # gone since it was listed
            continue
        if int(of) == group and state != "Z":
            found.append(int(path.parent.name))
    return found


def wait_until(condition: Callable[[], object], what: str, timeout_s: float = 30) -> None:
    """Wait until a condition holds. Fails after the deadline."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {timeout_s} s"
        time.sleep(0.05)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def archive(source: str, name: str = "app.py") -> bytes:
    """Return a zip of one file."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as zipped:
        zipped.writestr(name, source)
    return buffer.getvalue()


def create_function(emulator: Emulator, name: str, source: str, **settings: object) -> str:
    """Create a function of one app.py, wait until it is active, and return its ARN."""
    client = emulator.client("lambda")
    made = client.create_function(
        FunctionName=name,
        Runtime="python3.13",
        Role=ROLE,
        Handler="app.handler",
        Code={"ZipFile": archive(source)},
        Timeout=20,
        **settings,
    )
    client.get_waiter("function_active_v2").wait(
        FunctionName=name, WaiterConfig={"Delay": 0.1, "MaxAttempts": 300}
    )
    arn: str = made["FunctionArn"]
    return arn


def invoke(emulator: Emulator, name: str, event: object = None, **settings: object) -> Any:  # noqa: ANN401
    """Invoke a function and return its answer."""
    answer = emulator.client("lambda").invoke(
        FunctionName=name, Payload=json.dumps(event), **settings
    )
    body = json.loads(answer["Payload"].read())
    assert "FunctionError" not in answer, body
    return body
