"""Alarms as CloudWatch describes them."""

from datetime import UTC, datetime

import pytest
from moto import mock_aws

from movierec import settings
from movierec.aws.cloudwatch_alarms import CloudWatchAlarmStates
from movierec.aws.session import client
from movierec.errors import ConfigError


@pytest.fixture
def cloudwatch():
    with mock_aws():
        client.cache_clear()
        yield client("cloudwatch")
    client.cache_clear()


def put(cloudwatch, name, state):
    cloudwatch.put_metric_alarm(
        AlarmName=name,
        AlarmDescription=f"what {name} means",
        Namespace="movierec",
        MetricName="Error",
        Statistic="Average",
        ComparisonOperator="GreaterThanThreshold",
        Threshold=0.1,
        Period=60,
        EvaluationPeriods=1,
    )
    cloudwatch.set_alarm_state(AlarmName=name, StateValue=state, StateReason=f"{name} said so")


def test_alarms_have_their_state_and_reason(cloudwatch):
    before = datetime.now(UTC)
    for name, state in [("slow", "OK"), ("errors", "ALARM"), ("lag", "INSUFFICIENT_DATA")]:
        put(cloudwatch, f"movierec-{name}", state)
    put(cloudwatch, "another-teams", "ALARM")

    found = CloudWatchAlarmStates.from_env({settings.API_FUNCTION: "movierec-api"}).alarms()

    assert [(alarm.name, alarm.state) for alarm in found] == [
        ("movierec-errors", "alarm"),
        ("movierec-lag", "no data"),
        ("movierec-slow", "ok"),
    ]
    assert found[0].description == "what movierec-errors means"
    assert found[0].reason == "movierec-errors said so"
    assert found[0].since >= before


def test_without_the_apis_name_it_says_which_setting_lacks():
    with pytest.raises(ConfigError, match=settings.API_FUNCTION):
        CloudWatchAlarmStates.from_env({})
