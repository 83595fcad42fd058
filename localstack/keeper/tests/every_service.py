"""Something of every service: made once, described before and after each restart."""

import json
import signal
import time
from collections.abc import Callable
from typing import Any

from tests.harness import ROLE, Client, Emulator, archive, create_function, wait_until

ACCOUNT = "000000000000"
ASSUME = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": "lambda.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
    ],
}
ANSWER = (
    "import json, shared\n"
    "def handler(event, context):\n"
    "    body = [context.function_version, shared.WORD]\n"
    "    return {'statusCode': 200, 'body': json.dumps(body)}\n"
)
WAITS = {"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 600, "End": True}}}


class EveryService:
    """Something of each service, as it was before the restart."""

    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator
        self.ids: dict[str, Any] = {}
        self.before: dict[str, object] = {}
        self.after: dict[str, dict[str, object]] = {}
        """What all looked like after a restart, by how it ended before."""
        self.logs: dict[str, str] = {}
        self.heard: list[str] = []
        """What came to the queue of that name since the last restart."""
        for make in (
            self._queues, self._topic, self._settings, self._logs, self._metrics,
            self._function, self._api, self._machines, self._rules,
        ):  # fmt: skip
            make()

    def client(self, service: str) -> Client:
        """Return a client of the run that is up."""
        return self.emulator.client(service)

    def queue_url(self, name: str) -> str:
        """Return a queue's address in the run that is up: its port differs."""
        url: str = self.client("sqs").get_queue_url(QueueName=name)["QueueUrl"]
        return url

    def receive(self, name: str, **settings: object) -> list[dict[str, Any]]:
        """Receive what a queue has."""
        settings = {"MaxNumberOfMessages": 10, "WaitTimeSeconds": 1, **settings}
        url = self.queue_url(name)
        found: list[dict[str, Any]] = (
            self.client("sqs").receive_message(QueueUrl=url, **settings).get("Messages", [])
        )
        return found

    def drain(self, name: str) -> list[str]:
        """Receive and delete what a queue has; return the bodies."""
        messages = self.receive(name)
        for message in messages:
            self.client("sqs").delete_message(
                QueueUrl=self.queue_url(name), ReceiptHandle=message["ReceiptHandle"]
            )
        return [message["Body"] for message in messages]

    def hears(self, what: str) -> bool:
        """Return whether something has come to the queue that rules, topics and alarms send to."""
        self.heard += self.drain("heard")
        return any(what in body for body in self.heard)

    def restart(self, how: signal.Signals) -> None:
        """End it and start it again, and describe all services."""
        self.emulator.restart(how)
        self.after[how.name] = self.describe()
        self.logs[how.name] = self.emulator.log()

    def _queues(self) -> None:
        sqs = self.client("sqs")
        for name in ("plain", "held", "heard"):
            sqs.create_queue(QueueName=name, Attributes={"VisibilityTimeout": "600"})
        sqs.create_queue(QueueName="line.fifo", Attributes={"FifoQueue": "true"})
        sqs.send_message(QueueUrl=self.queue_url("plain"), MessageBody="waiting")
        sqs.send_message(QueueUrl=self.queue_url("held"), MessageBody="received")
        for n in range(3):
            sqs.send_message(
                QueueUrl=self.queue_url("line.fifo"),
                MessageBody=str(n),
                MessageGroupId="g",
                MessageDeduplicationId=str(n),
            )
        [held] = self.receive("held")
        self.ids["receipt"] = held["ReceiptHandle"]

    def _topic(self) -> None:
        sns = self.client("sns")
        self.ids["topic"] = sns.create_topic(Name="topic")["TopicArn"]
        sns.subscribe(
            TopicArn=self.ids["topic"],
            Protocol="sqs",
            Endpoint=f"arn:aws:sqs:us-east-1:{ACCOUNT}:heard",
            Attributes={"RawMessageDelivery": "true"},
        )

    def _settings(self) -> None:
        self.client("iam").create_role(RoleName="role", AssumeRolePolicyDocument=json.dumps(ASSUME))
        self.client("ssm").put_parameter(Name="/a/b", Value="value", Type="String")
        vpc = self.client("ec2").create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
        self.client("ec2").create_subnet(VpcId=vpc, CidrBlock="10.9.1.0/24")
        self.ids["vpc"] = vpc

    def _logs(self) -> None:
        logs = self.client("logs")
        logs.create_log_group(logGroupName="group")
        logs.create_log_stream(logGroupName="group", logStreamName="stream")
        now_ms = int(time.time() * 1000)
        logs.put_log_events(
            logGroupName="group",
            logStreamName="stream",
            logEvents=[{"timestamp": now_ms, "message": "line"}],
        )

    def _metrics(self) -> None:
        cloudwatch = self.client("cloudwatch")
        self.ids["began"] = int(time.time())
        self.put_metric(0.0)
        cloudwatch.put_metric_alarm(
            AlarmName="alarm",
            Namespace="kept",
            MetricName="errors",
            Statistic="Maximum",
            Period=10,
            EvaluationPeriods=1,
            Threshold=0.5,
            ComparisonOperator="GreaterThanThreshold",
            TreatMissingData="notBreaching",
            AlarmActions=[self.ids["topic"]],
        )

    def put_metric(self, value: float) -> None:
        """Put one value of the metric that the alarm looks at."""
        self.client("cloudwatch").put_metric_data(
            Namespace="kept", MetricData=[{"MetricName": "errors", "Value": value}]
        )

    def _function(self) -> None:
        lambda_ = self.client("lambda")
        layer = lambda_.publish_layer_version(
            LayerName="layer", Content={"ZipFile": archive("WORD = 'layered'", "python/shared.py")}
        )["LayerVersionArn"]
        self.ids["function"] = create_function(
            self.emulator, "f", ANSWER, Layers=[layer], Environment={"Variables": {"A": "b"}}
        )
        assert lambda_.publish_version(FunctionName="f")["Version"] == "1"
        lambda_.update_function_configuration(FunctionName="f", Description="second")
        lambda_.get_waiter("function_updated_v2").wait(
            FunctionName="f", WaiterConfig={"Delay": 0.1, "MaxAttempts": 300}
        )
        assert lambda_.publish_version(FunctionName="f")["Version"] == "2"
        lambda_.create_alias(
            FunctionName="f",
            Name="live",
            FunctionVersion="1",
            RoutingConfig={"AdditionalVersionWeights": {"2": 0.5}},
        )

    def _api(self) -> None:
        gateway = self.client("apigateway")
        api = gateway.create_rest_api(name="api")["id"]
        root = gateway.get_resources(restApiId=api)["items"][0]["id"]
        method = {"restApiId": api, "resourceId": root, "httpMethod": "GET"}
        gateway.put_method(**method, authorizationType="NONE")
        gateway.put_integration(
            **method,
            type="AWS_PROXY",
            integrationHttpMethod="POST",
            uri="arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/"
            f"{self.ids['function']}:live/invocations",
        )
        gateway.create_deployment(restApiId=api, stageName="stage")
        self.ids["api"] = api

    def _machines(self) -> None:
        machines = self.client("stepfunctions")
        passes = {"StartAt": "P", "States": {"P": {"Type": "Pass", "Result": 7, "End": True}}}
        for name, definition in (("passes", passes), ("waits", WAITS)):
            arn = machines.create_state_machine(
                name=name, definition=json.dumps(definition), roleArn=ROLE
            )["stateMachineArn"]
            self.ids[name] = machines.start_execution(stateMachineArn=arn)["executionArn"]
        wait_until(lambda: self._status("passes") == "SUCCEEDED", "the execution ends")

    def _status(self, name: str) -> str:
        machines = self.client("stepfunctions")
        status: str = machines.describe_execution(executionArn=self.ids[name])["status"]
        return status

    def _rules(self) -> None:
        events = self.client("events")
        events.put_rule(Name="pattern", EventPattern=json.dumps({"source": ["test"]}))
        events.put_rule(Name="minutely", ScheduleExpression="rate(1 minute)")
        for rule in ("pattern", "minutely"):
            events.put_targets(
                Rule=rule,
                Targets=[
                    {
                        "Id": "t",
                        "Arn": f"arn:aws:sqs:us-east-1:{ACCOUNT}:heard",
                        "Input": json.dumps({"from": rule}),
                    }
                ],
            )

    def describe(self) -> dict[str, object]:
        """Return what all services say of what they have."""
        descriptions: dict[str, Callable[[], object]] = {
            "sqs": lambda: self.client("sqs").get_queue_attributes(
                QueueUrl=self.queue_url("line.fifo"), AttributeNames=["All"]
            ),
            "sns": lambda: self.client("sns").list_subscriptions()["Subscriptions"],
            "iam": lambda: self.client("iam").get_role(RoleName="role")["Role"],
            "ssm": lambda: self.client("ssm").get_parameter(Name="/a/b")["Parameter"],
            "ec2": lambda: [
                self.client("ec2").describe_vpcs(VpcIds=[self.ids["vpc"]])["Vpcs"],
                self.client("ec2").describe_subnets()["Subnets"],
            ],
            "logs": lambda: self.client("logs").filter_log_events(logGroupName="group")["events"],
            "cloudwatch": lambda: _without(
                self.client("cloudwatch").describe_alarms()["MetricAlarms"], "State"
            ),
            "metrics": lambda: [
                self.client("cloudwatch").list_metrics(Namespace="kept")["Metrics"],
                self._describe_statistics(),
            ],
            "lambda": self._describe_lambda,
            "apigateway": lambda: [
                self.client("apigateway").get_rest_apis()["items"],
                self.client("apigateway").get_stages(restApiId=self.ids["api"])["item"],
                self.client("apigateway").get_deployments(restApiId=self.ids["api"])["items"],
            ],
            "stepfunctions": self._describe_machines,
            "events": lambda: [
                self.client("events").list_rules()["Rules"],
                self.client("events").list_targets_by_rule(Rule="pattern")["Targets"],
            ],
        }
        return {name: _plain(describe()) for name, describe in descriptions.items()}

    def _describe_statistics(self) -> object:
        return self.client("cloudwatch").get_metric_statistics(
            Namespace="kept", MetricName="errors", Statistics=["Sum", "SampleCount"], Period=3600,
            StartTime=self.ids["began"] - 3600, EndTime=self.ids["began"] + 3600,
        )["Datapoints"]  # fmt: skip

    def _describe_lambda(self) -> object:
        lambda_ = self.client("lambda")
        return [
            _without(lambda_.list_versions_by_function(FunctionName="f")["Versions"], "RevisionId"),
            lambda_.list_aliases(FunctionName="f")["Aliases"],
            lambda_.list_layers()["Layers"],
        ]

    def _describe_machines(self) -> object:
        machines = self.client("stepfunctions")
        return [
            machines.list_state_machines()["stateMachines"],
            machines.describe_execution(executionArn=self.ids["passes"]),
            machines.get_execution_history(executionArn=self.ids["passes"])["events"],
        ]


def _without(items: list[dict[str, object]], prefix: str) -> list[dict[str, object]]:
    return [
        {name: value for name, value in item.items() if not name.startswith(prefix)}
        for item in items
    ]


def _plain(found: object) -> object:
    return json.loads(json.dumps(found, default=str), object_hook=_no_metadata)


def _no_metadata(found: dict[str, object]) -> dict[str, object]:
    found.pop("ResponseMetadata", None)
    return found
