"""Every service: made, killed and started, stopped and started, compared each time, and used."""

import json
import os
import signal
import time
import urllib.request
from collections.abc import Iterator

import pytest
from botocore.exceptions import ClientError
from tests.harness import Emulator, invoke, wait_until
from tests.world import World

pytestmark = pytest.mark.first


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Return a world that was killed, started, stopped and started."""
    emulator = Emulator(tmp_path_factory.mktemp("world"))
    try:
        emulator.start()
        world = World(emulator)
        world.before = world.look()
        emulator.wait_saved()
        world.restart(signal.SIGKILL)
        world.restart(signal.SIGTERM)
        world.drain("heard")
        yield world
        emulator.stop()
        assert "Traceback" not in emulator.log()
    finally:
        emulator.finish()


HOW = pytest.mark.parametrize("how", ["SIGKILL", "SIGTERM"])


@HOW
def test_all_that_is_described_is_as_before(world: World, how: str) -> None:
    for name, before in world.before.items():
        assert world.after[how][name] == before, name


@HOW
def test_no_service_was_left_out(world: World, how: str) -> None:
    for trouble in ("is not restored", "does not go on", "set aside", "is not saved"):
        assert trouble not in world.logs[how]


def test_messages_are_there_and_invisible_ones_visible(world: World) -> None:
    assert world.drain("plain") == ["waiting"]
    assert [message["Body"] for message in world.receive("held")] == ["received"]
    assert world.drain("line.fifo") == ["0", "1", "2"]
    assert "1 messages were invisible" in world.logs["SIGKILL"]


def test_who_received_a_message_before_can_delete_it(world: World) -> None:
    url = world.queue_url("held")
    world.client("sqs").delete_message(QueueUrl=url, ReceiptHandle=world.ids["receipt"])
    attributes = world.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
    assert attributes["Attributes"]["ApproximateNumberOfMessages"] == "0"
    assert attributes["Attributes"]["ApproximateNumberOfMessagesNotVisible"] == "0"


def test_a_topic_delivers(world: World) -> None:
    world.client("sns").publish(TopicArn=world.ids["topic"], Message="news")
    wait_until(lambda: world.hears("news"), "the message is delivered")


def test_an_alias_splits_by_its_weights(world: World) -> None:
    answers = [json.loads(invoke(world.emulator, "f:live")["body"]) for _ in range(20)]
    assert {version for version, _ in answers} == {"1", "2"}
    assert {word for _, word in answers} == {"layered"}


def test_a_function_can_be_published_again(world: World) -> None:
    lambda_ = world.client("lambda")
    lambda_.update_function_configuration(FunctionName="f", Description=f"{os.urandom(4).hex()}")
    lambda_.get_waiter("function_updated_v2").wait(
        FunctionName="f", WaiterConfig={"Delay": 0.1, "MaxAttempts": 300}
    )
    version = lambda_.publish_version(FunctionName="f")["Version"]
    assert int(version) > 2
    assert json.loads(invoke(world.emulator, f"f:{version}")["body"])[0] == version


def test_an_api_answers_from_its_deployment(world: World) -> None:
    url = f"{world.emulator.url}/_aws/execute-api/{world.ids['api']}/stage/"
    with urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310 - ours
        assert json.loads(answer.read())[1] == "layered"


def test_a_running_execution_is_aborted_with_a_reason(world: World) -> None:
    machines = world.client("stepfunctions")
    found = machines.describe_execution(executionArn=world.ids["waits"])
    assert (found["status"], found["error"]) == ("ABORTED", "Emulator.Restarted")
    assert "while this execution was running" in found["cause"]
    history = machines.get_execution_history(executionArn=world.ids["waits"])["events"]
    assert history[-1]["type"] == "ExecutionAborted"
    assert "1 executions were running" in world.logs["SIGKILL"]


def test_a_state_machine_executes(world: World) -> None:
    machines = world.client("stepfunctions")
    [arn] = [
        machine["stateMachineArn"]
        for machine in machines.list_state_machines()["stateMachines"]
        if machine["name"] == "passes"
    ]
    started = machines.start_execution(stateMachineArn=arn)["executionArn"]
    wait_until(
        lambda: machines.describe_execution(executionArn=started).get("output") == "7",
        "the execution ends",
    )


def test_a_rule_fires_on_its_pattern(world: World) -> None:
    world.client("events").put_events(
        Entries=[{"Source": "test", "DetailType": "any", "Detail": "{}"}]
    )
    wait_until(lambda: world.hears('{"from":"pattern"}'), "the rule fires")


def test_a_rule_can_be_changed_and_removed(world: World) -> None:
    events = world.client("events")
    events.disable_rule(Name="pattern")
    events.enable_rule(Name="pattern")
    events.put_rule(Name="new", EventPattern=json.dumps({"source": ["other"]}))
    events.delete_rule(Name="new")


@pytest.mark.last  # a minute passes with the other tests
def test_a_rule_fires_on_its_schedule(world: World) -> None:
    wait_until(lambda: world.hears('{"from":"minutely"}'), "the rule fires", 130)


def test_an_alarm_acts(world: World) -> None:
    def acted() -> bool:
        world.put_metric(1.0)
        return world.hears('"NewStateValue": "ALARM"')

    wait_until(acted, "the alarm's action")


def test_a_log_goes_on(world: World) -> None:
    stream = {"logGroupName": "group", "logStreamName": "stream"}
    world.client("logs").put_log_events(
        **stream, logEvents=[{"timestamp": int(time.time() * 1000), "message": "more"}]
    )
    found = world.client("logs").filter_log_events(logGroupName="group")["events"]
    assert [event["message"] for event in found][:2] == ["line", "more"]


def test_a_role_takes_a_policy(world: World) -> None:
    iam = world.client("iam")
    statement = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_role_policy(RoleName="role", PolicyName="late", PolicyDocument=policy)
    assert iam.list_role_policies(RoleName="role")["PolicyNames"] == ["late"]
    assert len(iam.list_policies(Scope="AWS", MaxItems=10)["Policies"]) == 10


def test_a_parameter_gets_its_next_version(world: World) -> None:
    ssm = world.client("ssm")
    assert ssm.put_parameter(Name="/a/b", Value="next", Overwrite=True)["Version"] == 2
    history = ssm.get_parameter_history(Name="/a/b")["Parameters"]
    assert [parameter["Value"] for parameter in history] == ["value", "next"]


def test_a_network_takes_more(world: World) -> None:
    ec2 = world.client("ec2")
    group = ec2.create_security_group(GroupName="g", Description="d", VpcId=world.ids["vpc"])
    subnet = ec2.create_subnet(VpcId=world.ids["vpc"], CidrBlock="10.9.2.0/24")["Subnet"]
    found = ec2.describe_security_groups(GroupIds=[group["GroupId"]])["SecurityGroups"]
    assert [subnet["VpcId"], found[0]["VpcId"]] == [world.ids["vpc"]] * 2
    with pytest.raises(ClientError, match="Conflict"):
        ec2.create_subnet(VpcId=world.ids["vpc"], CidrBlock="10.9.1.0/24")
