"""What this package is in LocalStack, and what it repairs there."""

from importlib.metadata import entry_points
from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from tests.conftest import Emulator


def test_the_process_executor_is_the_one_in_use(emulator: "Emulator") -> None:
    """LocalStack only warns about an unknown executor, and takes Docker."""
    emulator.create(
        "parent",
        "import os\ndef handler(e, c):\n"
        "    return open(f'/proc/{os.getppid()}/cmdline').read().split('\\0')\n",
    )
    assert any(
        part.endswith("lambda_process_executor/warden.py")
        for part in emulator.invoke("parent").payload
    )
    assert "Falling back" not in emulator.log()


def test_the_listed_plugin_is_this_one() -> None:
    [found] = entry_points(group="localstack.lambda.runtime_executor", name="process")
    assert found.load().__name__ == "ProcessExecutorPlugin"


def test_a_function_reaches_the_emulator_with_boto3_and_no_setting(emulator: "Emulator") -> None:
    emulator.client("s3").create_bucket(Bucket="from-inside")
    emulator.create(
        "inside",
        "import boto3\ndef handler(e, c):\n"
        "    boto3.client('s3').put_object(Bucket='from-inside', Key='k', Body=b'v')\n"
        "    return [b['Name'] for b in boto3.client('s3').list_buckets()['Buckets']]\n",
    )
    assert "from-inside" in emulator.invoke("inside").payload


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
