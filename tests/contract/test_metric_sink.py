"""What every metric sink promises: held to the fake and to CloudWatch alike."""

import math
import time
from datetime import UTC, datetime, timedelta

import pytest
from localstack_client.session import Session

from movierec.aws.cloudwatch_metrics import CloudWatchSink
from movierec.aws.session import client
from movierec.errors import MetricsError, UnavailableError
from movierec.metrics import INGEST_LAG, INGEST_LAG_SECONDS, NAMESPACE
from movierec.testing.memory import MemorySink

WITHIN_S = 20


class InMemory:
    def __init__(self):
        self.sink = MemorySink()

    def values(self, metric, dimensions):
        return [
            values[metric]
            for values, by in self.sink.published
            if metric in values and by == dimensions
        ]


class OnCloudWatch:
    def __init__(self):
        self.sink = CloudWatchSink()
        self.cloudwatch = Session().client("cloudwatch")

    def values(self, metric, dimensions):
        """Return the extremes and the number of what was published, as alarms would see it."""
        now = datetime.now(UTC)
        asked = {
            "Namespace": NAMESPACE,
            "MetricName": metric.name,
            "Dimensions": [{"Name": k, "Value": v} for k, v in dimensions.items()],
            "StartTime": now - timedelta(hours=1),
            "EndTime": now + timedelta(minutes=1),
            "Period": 3600 * 2,
            "Statistics": ["Minimum", "Maximum", "SampleCount"],
            "Unit": metric.unit,
        }
        found = self.cloudwatch.get_metric_statistics(**asked)["Datapoints"]
        return sorted({v for point in found for v in (point["Minimum"], point["Maximum"])})


@pytest.fixture(params=["memory", "cloudwatch"])
def place(request):
    if request.param == "memory":
        return InMemory()
    request.getfixturevalue("emulated_aws")
    return OnCloudWatch()


def seen(place, metric, dimensions, count):
    deadline_s = time.monotonic() + WITHIN_S
    while len(place.values(metric, dimensions)) < count and time.monotonic() < deadline_s:
        time.sleep(0.1)
    return sorted(place.values(metric, dimensions))


def test_each_value_arrives_by_its_own_name_and_dimensions(place):
    mine, other = {"service": "sink-test"}, {"service": "sink-test-2"}

    place.sink.publish({INGEST_LAG: 7, INGEST_LAG_SECONDS: 0.5}, mine)
    place.sink.publish({INGEST_LAG: 9}, mine)

    assert seen(place, INGEST_LAG, mine, 2) == [7, 9]
    assert seen(place, INGEST_LAG_SECONDS, mine, 1) == [0.5]
    assert place.values(INGEST_LAG, other) == []


def test_nothing_to_publish_is_nothing_published(place):
    place.sink.publish({}, {"service": "sink-test-3"})

    assert place.values(INGEST_LAG, {"service": "sink-test-3"}) == []


def test_a_value_that_is_no_number_is_refused(place):
    with pytest.raises(MetricsError):
        place.sink.publish({INGEST_LAG: math.nan}, {"service": "sink-test-4"})


def test_nobody_at_home_is_said(monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    client.cache_clear()

    with pytest.raises(UnavailableError, match="publish IngestLag"):
        CloudWatchSink().publish({INGEST_LAG: 1}, {})
    client.cache_clear()
