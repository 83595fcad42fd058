"""A real interpreter with awslambdaric, and a real LocalStack on a free port."""

import base64
import io
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from lambda_process_executor.path_layout import SWITCH, aws_layout_works
from lambda_process_executor.python_interpreters import find

EMULATOR_FOLDER = Path(__file__).parents[2]
SOURCES = Path(__file__).parents[1] / "src"
READY_S = 60
PATIENCE = {"Delay": 0.05, "MaxAttempts": 200}

Client = Any
"""boto3's clients have no types of their own."""


def pytest_configure() -> None:
    """Have SIGINT and SIGQUIT as in the foreground, here and in the tests' children.

    A job in a shell's background begins with both ignored, and children inherit that.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:  # under nohup(1): for the tests alone
        signal.signal(signal.SIGHUP, lambda _number, _frame: None)


def runtime_python() -> Path:
    named = os.environ.get("LAMBDA_PROCESS_PYTHON_3_13")
    python = Path(named) if named else EMULATOR_FOLDER / "runtime/.venv/bin/python"
    if not python.exists():
        pytest.skip(f"no interpreter with awslambdaric at {python}: README.md says how it is made")
    return python


@pytest.fixture(scope="session")
def runtime() -> Path:
    return runtime_python()


@dataclass(frozen=True)
class Answer:
    """What an invocation gave back."""

    payload: Any
    error: str | None
    log: str
    version: str
    took_ms: float


@dataclass(frozen=True)
class Emulator:
    """A running LocalStack: its processes, its folder, its clients."""

    port: int
    folder: Path
    supervisor: "subprocess.Popen[bytes]"
    clients: dict[str, Client] = field(default_factory=dict)
    making: threading.Lock = field(default_factory=threading.Lock)

    @property
    def url(self) -> str:
        """The one address of every service."""
        return f"http://127.0.0.1:{self.port}"

    def client(self, service: str) -> Client:
        """Return the boto3 client of this emulator, and of nothing else."""
        with self.making:
            if service not in self.clients:
                self.clients[service] = self._new_client(service)
            return self.clients[service]

    def close(self) -> None:
        """Close every connection that a client still has."""
        for client in self.clients.values():
            client.close()
        self.clients.clear()

    def _new_client(self, service: str) -> Client:
        return boto3.session.Session().client(
            service,
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",  # noqa: S106 - LocalStack takes any
            config=Config(
                retries={"total_max_attempts": 1}, read_timeout=120, max_pool_connections=50
            ),
        )

    def log(self) -> str:
        """Return what the emulator has logged."""
        return (self.folder / "log").read_text()

    def wait(self, look: Callable[[], object], what: str) -> None:
        """Wait until `look` finds something."""
        wait_until(look, what)

    def create(self, name: str, files: Mapping[str, str] | str, **settings: object) -> None:
        """Create a function of some files (or of app.py alone) and wait until it is active."""
        client = self.client("lambda")
        client.create_function(
            **{
                "FunctionName": name,
                "Runtime": "python3.13",
                "Role": "arn:aws:iam::000000000000:role/lambda",
                "Handler": "app.handler",
                "Code": {"ZipFile": archive(files)},
                "Timeout": 10,
                "MemorySize": 256,
                **settings,
            }
        )
        client.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig=PATIENCE)

    def configure(self, name: str, **settings: object) -> None:
        """Change a function's settings and wait until that is done."""
        client = self.client("lambda")
        client.update_function_configuration(FunctionName=name, **settings)
        client.get_waiter("function_updated_v2").wait(FunctionName=name, WaiterConfig=PATIENCE)

    def deploy(self, name: str, files: Mapping[str, str] | str) -> None:
        """Give a function other code and wait until that is done."""
        client = self.client("lambda")
        client.update_function_code(FunctionName=name, ZipFile=archive(files))
        client.get_waiter("function_updated_v2").wait(FunctionName=name, WaiterConfig=PATIENCE)

    def publish(self, name: str) -> str:
        """Publish a version of a function and return its number."""
        version: str = self.client("lambda").publish_version(FunctionName=name)["Version"]
        return version

    @staticmethod
    def archive(files: Mapping[str, str]) -> bytes:
        """Return a zip of some files."""
        return archive(files)

    def publish_layer(self, name: str, files: Mapping[str, str]) -> str:
        """Publish a layer of some files and return its version's ARN."""
        layer = self.client("lambda").publish_layer_version(
            LayerName=name, Content={"ZipFile": archive(files)}
        )
        arn: str = layer["LayerVersionArn"]
        return arn

    def messages(self, group: str) -> list[str]:
        """Return what CloudWatch Logs has of a log group so far, in order."""
        try:
            events = self.client("logs").filter_log_events(logGroupName=group)["events"]
        except ClientError:  # not there before its first event
            return []
        return [event["message"].rstrip("\n") for event in events]

    def statistics(self, namespace: str, metric: str, **dimensions: str) -> dict[str, float]:
        """Return sum, count, least and most of one metric's last ten minutes; {} if none."""
        now = datetime.now(UTC)
        points = self.client("cloudwatch").get_metric_statistics(
            Namespace=namespace,
            MetricName=metric,
            Dimensions=[{"Name": name, "Value": value} for name, value in dimensions.items()],
            StartTime=now - timedelta(minutes=10),
            EndTime=now + timedelta(minutes=1),
            Period=3600,
            Statistics=["Sum", "SampleCount", "Minimum", "Maximum"],
        )["Datapoints"]
        # LocalStack asks its store once for each statistic, and a metric may arrive in between.
        if not points or any("Sum" not in p or "Maximum" not in p for p in points):
            return {}
        return {
            "sum": sum(point["Sum"] for point in points),
            "count": sum(point["SampleCount"] for point in points),
            "least": min(point["Minimum"] for point in points),
            "most": max(point["Maximum"] for point in points),
        }

    def environments(self) -> Path:
        """Return where the /tmp of each execution environment is on this machine, by its id."""
        folder = self.folder / f"tmp/lambda-process-{os.getuid()}"
        return folder / str(self.runtime_pid()) / "environments"

    def runtime_pid(self) -> int:
        """Return the supervisor's child, which is LocalStack itself."""
        pid = self.supervisor.pid
        return int(Path(f"/proc/{pid}/task/{pid}/children").read_text())

    def invoke(self, name: str, event: object = None, **settings: object) -> Answer:
        """Invoke a function and wait for its answer."""
        started = time.perf_counter()
        answer = self.client("lambda").invoke(
            FunctionName=name, Payload=json.dumps(event), LogType="Tail", **settings
        )
        took_ms = (time.perf_counter() - started) * 1000
        return Answer(
            json.loads(answer["Payload"].read()),
            answer.get("FunctionError"),
            base64.b64decode(answer["LogResult"]).decode(),
            answer["ExecutedVersion"],
            took_ms,
        )


def archive(files: Mapping[str, str] | str) -> bytes:
    """Return a zip of some files, each of them executable."""
    named = {"app.py": files} if isinstance(files, str) else files
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as zipped:
        for name, text in named.items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr = 0o755 << 16
            zipped.writestr(entry, text)
    return buffer.getvalue()


def wait_until(look: Callable[[], object], what: str, timeout_s: float = 30) -> None:
    """Ask `look` again and again until it finds something, or the deadline has come."""
    deadline = time.monotonic() + timeout_s
    while not look():
        assert time.monotonic() < deadline, f"{what}: not within {timeout_s} s"
        time.sleep(0.1)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


@contextmanager
def running_emulator(folder: Path, **extra: str) -> Iterator[Emulator]:
    """Start LocalStack as localstack/README.md says, in an environment made for it."""
    port = free_port()
    for name in ("tmp", "cache", "home"):
        (folder / name).mkdir()
    env = {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": str(folder / "home"),
        "XDG_CACHE_HOME": str(folder / "cache"),
        "TMPDIR": str(folder / "tmp"),
        "FILESYSTEM_ROOT": str(folder / "filesystem"),
        "GATEWAY_LISTEN": f"127.0.0.1:{port}",
        "DNS_ADDRESS": "0",
        "SKIP_SSL_CERT_DOWNLOAD": "1",
        "DISABLE_EVENTS": "1",
        "EAGER_SERVICE_LOADING": "0",
        "IN_MEMORY_CLIENT": "1",
        "LAMBDA_RUNTIME_EXECUTOR": "process",
        "LAMBDA_PROCESS_PYTHON_3_13": str(runtime_python()),
        SWITCH: os.environ.get(SWITCH, "1"),
        # What is tested is this folder, whatever state of it is installed.
        "PYTHONPATH": str(SOURCES),
        **extra,
    }
    command = Path(sys.executable).with_name("localstack-supervisor")
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [command], env=env, cwd=folder, stdout=log, stderr=log, start_new_session=True
        )
    emulator = Emulator(port, folder, process)
    try:
        wait_until(lambda: is_ready(emulator), "LocalStack is ready", READY_S)
        yield emulator
    finally:
        emulator.close()
        process.terminate()  # a killed one has ended already
        process.wait(60)


def is_ready(emulator: Emulator) -> bool:
    assert emulator.supervisor.poll() is None, emulator.log()
    try:
        with socket.create_connection(("127.0.0.1", emulator.port), timeout=5):
            return "Ready." in emulator.log()
    except OSError:
        return False


@pytest.fixture(scope="session")
def aws_paths(runtime: Path) -> bool:
    """Whether functions see AWS's paths on this machine."""
    interpreter = find("python3.13", {"LAMBDA_PROCESS_PYTHON_3_13": str(runtime)})
    return aws_layout_works(interpreter, os.environ)


@pytest.fixture
def needs_aws_paths(aws_paths: bool) -> None:  # noqa: FBT001
    if not aws_paths:
        pytest.skip("no mount namespaces here: README.md says what differs without them")


@pytest.fixture(scope="session")
def emulator(runtime: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    del runtime  # skips where there is none
    with running_emulator(tmp_path_factory.mktemp("emulator")) as emulator:
        yield emulator


@pytest.fixture
def start_emulator(tmp_path: Path) -> Callable[..., AbstractContextManager[Emulator]]:
    """Give a test an emulator of its own, to do harm to; settings of LocalStack may be given."""
    return lambda **extra: running_emulator(tmp_path, **extra)
