"""Live metrics on CloudWatch, for processes; functions tell theirs in their logs (EMF)."""

from collections.abc import Mapping
from typing import Any

from movierec.aws.session import client, translated
from movierec.errors import MetricsError
from movierec.metrics import NAMESPACE, Metric, require_numbers


class CloudWatchSink:
    """`movierec.ports.MetricSink`. Whoever publishes needs `cloudwatch:PutMetricData`."""

    def __init__(self) -> None:
        self._cloudwatch = client("cloudwatch")

    def publish(self, values: Mapping[Metric, float], dimensions: Mapping[str, str]) -> None:
        """Publish values as of now, in one call; without values none is made."""
        require_numbers(values)
        by = [{"Name": name, "Value": value} for name, value in dimensions.items()]
        data: list[dict[str, Any]] = [
            {"MetricName": metric.name, "Unit": metric.unit, "Dimensions": by, "Value": value}
            for metric, value in values.items()
        ]
        if not data:
            return
        names = ", ".join(metric.name for metric in values)
        with translated(f"publish {names}", {}, MetricsError):
            self._cloudwatch.put_metric_data(Namespace=NAMESPACE, MetricData=data)
