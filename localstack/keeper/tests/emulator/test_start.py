"""When it starts, when it refuses to, and when it is not there at all."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.harness import ROLE, Emulator, create_function, invoke, wait_until


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    emulator = Emulator(tmp_path_factory.mktemp("emulator"), is_forked=True)
    yield emulator
    emulator.finish()


def test_without_a_folder_it_does_nothing(tmp_path: Path) -> None:
    emulator = Emulator(tmp_path / "emulator", KEEPER_FOLDER="")
    try:
        emulator.start()
        emulator.client("sqs").create_queue(QueueName="forgotten")
        emulator.client("s3").create_bucket(Bucket="forgotten")
        emulator.stop()
        assert "keeper" not in emulator.log()
        assert not emulator.state.exists()
    finally:
        emulator.finish()


def test_the_second_on_a_folder_refuses_and_the_first_goes_on(
    emulator: Emulator, tmp_path: Path
) -> None:
    emulator.start()
    second = Emulator(tmp_path, KEEPER_FOLDER=str(emulator.state))
    second.launch()
    assert second.wait_end() != 0
    assert "another emulator keeps its state there" in second.log()
    assert f"process {emulator.pid}" in second.log()
    emulator.client("sqs").create_queue(QueueName="kept")
    emulator.stop()


def test_a_start_that_is_stopped_midway_loses_nothing(emulator: Emulator) -> None:
    emulator.launch()
    wait_until(lambda: "keeper: S3 has" in emulator.log(), "the restore has begun", 60)
    emulator.stop()
    emulator.start()
    urls = emulator.client("sqs").list_queues()["QueueUrls"]
    assert [url.rpartition("/")[2] for url in urls] == ["kept"]
    emulator.stop()


def test_a_damaged_generation_is_set_aside_and_the_one_before_used(emulator: Emulator) -> None:
    emulator.start()
    emulator.client("ssm").put_parameter(Name="p", Value="v", Type="String")
    emulator.stop()
    newest = max((emulator.state / "generations").glob("[0-9]*"))
    for path in newest.glob("*.store"):
        data = path.read_bytes()
        path.unlink()  # what has not changed is the one before's file too
        path.write_bytes(data[:-1])
    emulator.start()
    assert f"generation {int(newest.name)} does not load" in emulator.log()
    assert "set aside as" in emulator.log()
    urls = emulator.client("sqs").list_queues()["QueueUrls"]
    assert [url.rpartition("/")[2] for url in urls] == ["kept"]
    emulator.stop()


def test_what_was_saved_by_request_is_there_after_a_kill(tmp_path: Path) -> None:
    seldom = Emulator(tmp_path, is_forked=True, KEEPER_INTERVAL_S="3600")
    try:
        seldom.start()
        seldom.client("ssm").put_parameter(Name="asked", Value="v", Type="String")
        before = seldom.state_of_keeper()
        after = seldom.state_of_keeper("POST")
        assert after["generation"] == before["generation"] + 1
        seldom.restart(signal.SIGKILL)
        assert seldom.client("ssm").get_parameter(Name="asked")["Parameter"]["Value"] == "v"
    finally:
        seldom.finish()


def test_what_another_version_wrote_is_refused(emulator: Emulator) -> None:
    named = emulator.state / "keeper.json"
    ours = named.read_text()
    named.write_text(json.dumps(json.loads(ours) | {"localstack": "4.13.1"}))
    emulator.launch()
    assert emulator.wait_end() != 0
    assert "written by LocalStack 4.13.1" in emulator.log()
    assert "start the version that wrote it" in emulator.log()
    named.write_text(ours)


def test_a_journal_that_is_damaged_in_the_middle_is_refused(emulator: Emulator) -> None:
    emulator.start()
    emulator.client("s3").create_bucket(Bucket="some")
    emulator.client("s3").put_object(Bucket="some", Key="k", Body=b"x")
    emulator.stop()
    path = max((emulator.state / "s3").glob("journal-*.log"), key=lambda path: path.stat().st_size)
    whole = path.read_bytes()
    path.write_bytes(whole[:20] + b"?" + whole[21:])
    emulator.launch()
    assert emulator.wait_end() != 0
    assert f"{path} is damaged at byte 0" in emulator.log()
    path.write_bytes(whole)


def test_a_function_that_was_becoming_active_is_active_after_a_kill(emulator: Emulator) -> None:
    """A request's consequences are saved even if no other request follows."""
    emulator.start()
    create_function(emulator, "late", "def handler(event, context):\n    return 'here'\n")
    emulator.wait_saved()
    emulator.restart(signal.SIGKILL)
    assert invoke(emulator, "late") == "here"


def test_an_execution_that_ends_by_itself_has_ended_after_a_kill(emulator: Emulator) -> None:
    machines = emulator.client("stepfunctions")
    waits = {"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 2, "End": True}}}
    arn = machines.create_state_machine(name="waits", definition=json.dumps(waits), roleArn=ROLE)[
        "stateMachineArn"
    ]
    started = machines.start_execution(stateMachineArn=arn)["executionArn"]

    def status() -> str:
        found = emulator.client("stepfunctions").describe_execution(executionArn=started)
        return str(found["status"])

    wait_until(lambda: status() == "SUCCEEDED", "the execution ends")
    emulator.wait_saved()
    emulator.restart(signal.SIGKILL)
    assert status() == "SUCCEEDED"
