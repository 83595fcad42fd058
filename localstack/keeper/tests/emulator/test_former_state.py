"""The state of a former version, killed with acknowledged writes in its redo log alone."""

import json
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from tests.former import FIXTURES, unpack
from tests.harness import Emulator, invoke

BEFORE: dict[str, Any] = json.loads((FIXTURES / "killed.json").read_text())


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """Return an emulator that reads the former state, and then what it wrote itself."""
    emulator = Emulator(tmp_path_factory.mktemp("emulator"))
    unpack("killed", emulator.folder)
    try:
        emulator.start()
        assert not (emulator.state / "s3/redo").exists()
        for trouble in ("is not restored", "does not go on", "set aside", "Traceback"):
            assert trouble not in emulator.log()
        emulator.wait_saved()
        emulator.restart(signal.SIGKILL)
        yield emulator
    finally:
        emulator.finish()


def body(emulator: Emulator, bucket: str, key: str, **settings: str) -> bytes:
    answer = emulator.client("s3").get_object(Bucket=bucket, Key=key, **settings)
    with answer["Body"] as stream:
        data: bytes = stream.read()
        return data


def test_every_acknowledged_object_is_there(emulator: Emulator) -> None:
    s3 = emulator.client("s3")
    assert body(emulator, "plain", "settled") == b"settled\n" * 300
    assert body(emulator, "plain", "large") == b"large\n" * 300_000
    assert s3.head_object(Bucket="plain", Key="large")["Metadata"] == {"a": "b"}
    assert body(emulator, "plain", "unsettled") == b"unsettled\n" * 10_000
    assert body(emulator, "plain", "replaced") == b"again\n" * 5
    tags = s3.get_object_tagging(Bucket="plain", Key="replaced")["TagSet"]
    assert tags == [{"Key": "t", "Value": "1"}]
    listed = s3.list_objects_v2(Bucket="plain")["Contents"]
    assert "deleted" not in [found["Key"] for found in listed]
    versions = BEFORE["versions"]
    assert [body(emulator, "versioned", "v", VersionId=version) for version in versions] == [
        b"first", b"second",
    ]  # fmt: skip
    parts = s3.list_parts(Bucket="plain", Key="upload", UploadId=BEFORE["upload"])["Parts"]
    assert [part["PartNumber"] for part in parts] == [1, 2]


def test_every_service_is_as_it_was_saved(emulator: Emulator) -> None:
    assert invoke(emulator, "f", Qualifier="live") == ["answer", "1"]
    machines = emulator.client("stepfunctions")
    execution = machines.describe_execution(executionArn=BEFORE["execution"])
    assert (execution["status"], execution["output"]) == ("SUCCEEDED", "7")
    history = machines.get_execution_history(executionArn=BEFORE["execution"])["events"]
    assert len(history) == BEFORE["history"]
    waiting = machines.describe_execution(executionArn=BEFORE["waiting_execution"])
    assert waiting["status"] == "ABORTED"
    logs = emulator.client("logs").filter_log_events(logGroupName="group")["events"]
    assert [event["message"] for event in logs] == BEFORE["events"]
    key = emulator.client("kms").get_public_key(KeyId=BEFORE["key"])
    assert key["PublicKey"].hex() == BEFORE["public_key"]
    acm = emulator.client("acm")
    certificate = acm.describe_certificate(CertificateArn=BEFORE["certificate"])["Certificate"]
    assert certificate["DomainName"] == "example.test"
    parameter = emulator.client("ssm").get_parameter(Name="/said/by")["Parameter"]
    assert parameter["Value"] == "hamlet"
    [subscription] = emulator.client("sns").list_subscriptions()["Subscriptions"]
    assert subscription["TopicArn"] == BEFORE["topic"]
    [url] = emulator.client("sqs").list_queues()["QueueUrls"]
    assert url.endswith("/heard")
    [rule] = emulator.client("events").list_rules()["Rules"]
    assert rule["Name"] == "pattern"
    [alarm] = emulator.client("cloudwatch").describe_alarms()["MetricAlarms"]
    assert alarm["AlarmName"] == "alarm"
