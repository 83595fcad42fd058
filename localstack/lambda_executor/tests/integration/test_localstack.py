"""What this package is in LocalStack, and what it repairs there."""

import os
import socket
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest
from botocore.exceptions import ClientError

from lambda_process_executor.path_layout import SWITCH

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from tests.conftest import Emulator


def test_the_process_executor_is_the_one_in_use(emulator: "Emulator") -> None:
    """LocalStack only warns about an unknown executor, and takes Docker."""
    emulator.create(
        "parent",
        "import os\ndef handler(e, c):\n"
        "    return open(f'/proc/{os.getppid()}/cmdline').read().split('\\0')\n",
    )
    assert any(
        part.endswith("lambda_process_executor/subreaper.py")
        for part in emulator.invoke("parent").payload
    )
    assert "Falling back" not in emulator.log()


def test_the_listed_plugin_is_this_one() -> None:
    [found] = entry_points(group="localstack.lambda.runtime_executor", name="process")
    assert found.load().__name__ == "ProcessExecutorPlugin"


def test_nothing_is_listened_on_but_the_host_that_gateway_listen_names(
    emulator: "Emulator",
) -> None:
    """Whoever reaches the emulator can have any code run here."""
    emulator.create("open", "def handler(e, c):\n    return e\n")
    emulator.invoke("open")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", emulator.port), timeout=5)
    connections = psutil.Process(emulator.runtime_pid()).net_connections("inet")
    listening = [found.laddr for found in connections if not found.raddr]
    assert emulator.port in {address.port for address in listening}
    assert {address.ip for address in listening} == {"127.0.0.1"}


def test_a_function_reaches_the_emulator_with_boto3_and_no_setting(emulator: "Emulator") -> None:
    emulator.client("s3").create_bucket(Bucket="from-inside")
    emulator.create(
        "inside",
        "import boto3\ndef handler(e, c):\n"
        "    boto3.client('s3').put_object(Bucket='from-inside', Key='k', Body=b'v')\n"
        "    return [b['Name'] for b in boto3.client('s3').list_buckets()['Buckets']]\n",
    )
    assert "from-inside" in emulator.invoke("inside").payload


def test_a_function_that_may_take_long_steps_back_for_others(emulator: "Emulator") -> None:
    code = "import os\ndef handler(e, c):\n    return os.nice(0)\n"
    emulator.create("quick", code, Timeout=60)
    emulator.create("long", code, Timeout=61)
    own = os.nice(0)
    assert emulator.invoke("quick").payload == own
    assert emulator.invoke("long").payload == own + 5


def test_without_mounts_a_function_has_the_same_folders_elsewhere(
    start_emulator: "Callable[..., AbstractContextManager[Emulator]]",
) -> None:
    """The way of machines whose kernel gives no mount namespaces."""
    code = (
        "import deep, os, tempfile\ndef handler(e, c):\n"
        "    open(tempfile.gettempdir() + '/new', 'w').close()\n"
        "    return [os.getcwd(), os.environ['LAMBDA_TASK_ROOT'], tempfile.gettempdir()]\n"
    )
    with start_emulator(**{SWITCH: "0"}) as emulator:
        layer = emulator.publish_layer("deep", {"python/deep.py": ""})
        emulator.create("elsewhere", code, Layers=[layer])
        folder, task, scratch = emulator.invoke("elsewhere").payload
        assert folder == task != "/var/task"
        assert Path(scratch).parent == emulator.environments()
        assert (Path(scratch) / "new").exists()


@pytest.fixture
def two_versions(emulator: "Emulator") -> str:
    """Return a function with versions 1 and 2, which answer with their number."""
    emulator.create("weighed", "def handler(e, c):\n    return c.function_version\n")
    assert emulator.publish("weighed") == "1"
    emulator.configure("weighed", Description="another")
    assert emulator.publish("weighed") == "2"
    return "weighed"


def test_an_alias_splits_by_weights_that_can_be_changed(
    emulator: "Emulator", two_versions: str
) -> None:
    """https://docs.aws.amazon.com/lambda/latest/dg/configuring-alias-routing.html."""
    client, alias = emulator.client("lambda"), {"FunctionName": two_versions, "Name": "live"}
    half = {"AdditionalVersionWeights": {"2": 0.5}}
    wrong = {"AdditionalVersionWeights": {"1": 0.1, "2": 0.1}}
    client.create_alias(**alias, FunctionVersion="1", RoutingConfig=half)
    answers = [emulator.invoke(two_versions, Qualifier="live") for _ in range(40)]
    assert {answer.payload for answer in answers} == {"1", "2"}
    assert all(answer.payload == answer.version for answer in answers)
    client.update_alias(**alias, RoutingConfig={"AdditionalVersionWeights": {}})
    assert {emulator.invoke(two_versions, Qualifier="live").payload for _ in range(10)} == {"1"}
    assert client.update_alias(**alias, RoutingConfig=half)["RoutingConfig"] == half
    answers = [emulator.invoke(two_versions, Qualifier="live") for _ in range(40)]
    assert {answer.payload for answer in answers} == {"1", "2"}
    with pytest.raises(ClientError, match="AdditionalVersionWeights"):
        client.update_alias(**alias, RoutingConfig=wrong)
