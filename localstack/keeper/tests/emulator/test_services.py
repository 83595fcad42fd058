"""Every service: made, killed and started, stopped and started, compared each time, and used."""

import json
import os
import signal
import time
import urllib.request
from collections.abc import Iterator

import pytest
from botocore.exceptions import ClientError
from tests.every_service import EveryService
from tests.harness import Emulator, invoke, wait_until

pytestmark = pytest.mark.first


@pytest.fixture(scope="session")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EveryService]:
    """Return all services of an emulator that was killed, started, stopped and started."""
    emulator = Emulator(tmp_path_factory.mktemp("services"))
    try:
        emulator.start()
        services = EveryService(emulator)
        services.before = services.describe()
        emulator.wait_saved()
        services.restart(signal.SIGKILL)
        services.restart(signal.SIGTERM)
        services.drain("heard")
        yield services
        emulator.stop()
        assert "Traceback" not in emulator.log()
    finally:
        emulator.finish()


HOW = pytest.mark.parametrize("how", ["SIGKILL", "SIGTERM"])


@HOW
def test_all_that_is_described_is_as_before(services: EveryService, how: str) -> None:
    for name, before in services.before.items():
        assert services.after[how][name] == before, name


@HOW
def test_no_service_was_left_out(services: EveryService, how: str) -> None:
    for trouble in ("is not restored", "does not go on", "set aside", "is not saved"):
        assert trouble not in services.logs[how]


def test_messages_are_there_and_invisible_ones_visible(services: EveryService) -> None:
    assert services.drain("plain") == ["waiting"]
    assert [message["Body"] for message in services.receive("held")] == ["received"]
    assert services.drain("line.fifo") == ["0", "1", "2"]
    assert "1 messages were invisible" in services.logs["SIGKILL"]


def test_who_received_a_message_before_can_delete_it(services: EveryService) -> None:
    url = services.queue_url("held")
    services.client("sqs").delete_message(QueueUrl=url, ReceiptHandle=services.ids["receipt"])
    attributes = services.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
    assert attributes["Attributes"]["ApproximateNumberOfMessages"] == "0"
    assert attributes["Attributes"]["ApproximateNumberOfMessagesNotVisible"] == "0"


def test_a_topic_delivers(services: EveryService) -> None:
    services.client("sns").publish(TopicArn=services.ids["topic"], Message="news")
    wait_until(lambda: services.hears("news"), "the message is delivered")


def test_an_alias_splits_by_its_weights(services: EveryService) -> None:
    answers = [json.loads(invoke(services.emulator, "f:live")["body"]) for _ in range(20)]
    assert {version for version, _ in answers} == {"1", "2"}
    assert {word for _, word in answers} == {"layered"}


def test_a_function_can_be_published_again(services: EveryService) -> None:
    lambda_ = services.client("lambda")
    lambda_.update_function_configuration(FunctionName="f", Description=f"{os.urandom(4).hex()}")
    lambda_.get_waiter("function_updated_v2").wait(
        FunctionName="f", WaiterConfig={"Delay": 0.1, "MaxAttempts": 300}
    )
    version = lambda_.publish_version(FunctionName="f")["Version"]
    assert int(version) > 2
    assert json.loads(invoke(services.emulator, f"f:{version}")["body"])[0] == version


def test_an_api_answers_from_its_deployment(services: EveryService) -> None:
    url = f"{services.emulator.url}/_aws/execute-api/{services.ids['api']}/stage/"
    with urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310 - ours
        assert json.loads(answer.read())[1] == "layered"


def test_a_running_execution_is_aborted_with_a_reason(services: EveryService) -> None:
    machines = services.client("stepfunctions")
    found = machines.describe_execution(executionArn=services.ids["waits"])
    assert (found["status"], found["error"]) == ("ABORTED", "Emulator.Restarted")
    assert "while this execution was running" in found["cause"]
    history = machines.get_execution_history(executionArn=services.ids["waits"])["events"]
    assert history[-1]["type"] == "ExecutionAborted"
    assert "1 executions were running" in services.logs["SIGKILL"]


def test_a_state_machine_executes(services: EveryService) -> None:
    machines = services.client("stepfunctions")
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


def test_a_rule_fires_on_its_pattern(services: EveryService) -> None:
    services.client("events").put_events(
        Entries=[{"Source": "test", "DetailType": "any", "Detail": "{}"}]
    )
    wait_until(lambda: services.hears('{"from":"pattern"}'), "the rule fires")


def test_a_rule_can_be_changed_and_removed(services: EveryService) -> None:
    events = services.client("events")
    events.disable_rule(Name="pattern")
    events.enable_rule(Name="pattern")
    events.put_rule(Name="new", EventPattern=json.dumps({"source": ["other"]}))
    events.delete_rule(Name="new")


@pytest.mark.last  # a minute passes with the other tests
def test_a_rule_fires_on_its_schedule(services: EveryService) -> None:
    wait_until(lambda: services.hears('{"from":"minutely"}'), "the rule fires", 130)


def test_an_alarm_acts(services: EveryService) -> None:
    def acted() -> bool:
        services.put_metric(1.0)
        return services.hears('"NewStateValue": "ALARM"')

    wait_until(acted, "the alarm's action")


def test_a_log_goes_on(services: EveryService) -> None:
    stream = {"logGroupName": "group", "logStreamName": "stream"}
    services.client("logs").put_log_events(
        **stream, logEvents=[{"timestamp": int(time.time() * 1000), "message": "more"}]
    )
    found = services.client("logs").filter_log_events(logGroupName="group")["events"]
    assert [event["message"] for event in found][:2] == ["line", "more"]


def test_a_role_takes_a_policy(services: EveryService) -> None:
    iam = services.client("iam")
    statement = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_role_policy(RoleName="role", PolicyName="late", PolicyDocument=policy)
    assert iam.list_role_policies(RoleName="role")["PolicyNames"] == ["late"]
    assert len(iam.list_policies(Scope="AWS", MaxItems=10)["Policies"]) == 10


def test_a_parameter_gets_its_next_version(services: EveryService) -> None:
    ssm = services.client("ssm")
    assert ssm.put_parameter(Name="/a/b", Value="next", Overwrite=True)["Version"] == 2
    history = ssm.get_parameter_history(Name="/a/b")["Parameters"]
    assert [parameter["Value"] for parameter in history] == ["value", "next"]


def test_a_network_takes_more(services: EveryService) -> None:
    ec2 = services.client("ec2")
    group = ec2.create_security_group(GroupName="g", Description="d", VpcId=services.ids["vpc"])
    subnet = ec2.create_subnet(VpcId=services.ids["vpc"], CidrBlock="10.9.2.0/24")["Subnet"]
    found = ec2.describe_security_groups(GroupIds=[group["GroupId"]])["SecurityGroups"]
    assert [subnet["VpcId"], found[0]["VpcId"]] == [services.ids["vpc"]] * 2
    with pytest.raises(ClientError, match="Conflict"):
        ec2.create_subnet(VpcId=services.ids["vpc"], CidrBlock="10.9.1.0/24")
