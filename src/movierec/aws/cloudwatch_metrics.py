"""Publish a process's live metrics to CloudWatch; functions emit theirs in their logs (EMF)."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from movierec.aws.session import client, translated
from movierec.errors import MetricsError
from movierec.metrics import NAMESPACE, Metric, require_numbers

if TYPE_CHECKING:  # boto3-stubs is not shipped
    from mypy_boto3_cloudwatch.type_defs import DimensionTypeDef, MetricDatumTypeDef


class CloudWatchSink:
    """`movierec.ports.MetricSink`; it needs the permission `cloudwatch:PutMetricData`."""

    def __init__(self) -> None:
        self._cloudwatch = client("cloudwatch")

    def publish(self, values: Mapping[Metric, float], dimensions: Mapping[str, str]) -> None:
        """Publish values as of now, in one call; without values none is made."""
        require_numbers(values)
        by: list[DimensionTypeDef] = [
            {"Name": name, "Value": value} for name, value in dimensions.items()
        ]
        data: list[MetricDatumTypeDef] = [
            {"MetricName": metric.name, "Unit": metric.unit, "Dimensions": by, "Value": value}
            for metric, value in values.items()
        ]
        if not data:
            return
        names = ", ".join(metric.name for metric in values)
        with translated(f"publish {names}", {}, MetricsError):
            self._cloudwatch.put_metric_data(Namespace=NAMESPACE, MetricData=data)
