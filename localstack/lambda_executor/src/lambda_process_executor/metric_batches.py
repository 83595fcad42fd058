"""Batches of measurements for CloudWatch (AWS: API reference, PutMetricData)."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import batched
from typing import Final

# PutMetricData's own limit.
MAX_DATA: Final = 1000

Dimensions = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Series:
    """Everything that tells one metric's second from another's.

    `second` is seconds since the epoch, `resolution_s` 1 or 60.
    """

    namespace: str
    name: str
    dimensions: Dimensions
    unit: str
    second: int
    resolution_s: int = 60


@dataclass(frozen=True, slots=True)
class Measurement:
    """Some values of a series, at least one."""

    series: Series
    values: tuple[float, ...]


class Batch:
    """Measurements of one account and region, each series summed up.

    Sums, because LocalStack stores a row for every single value and reads them all at each
    evaluation of an alarm; it knows no percentiles, which alone would need the values.
    """

    def __init__(self) -> None:
        self._sums: dict[Series, dict[str, float]] = {}

    def add(self, measurement: Measurement) -> None:
        """Add a measurement's values to its series."""
        values, series = measurement.values, measurement.series
        known = self._sums.setdefault(series, {"SampleCount": 0.0, "Sum": 0.0})
        known["SampleCount"] += len(values)
        known["Sum"] += sum(values)
        known["Minimum"] = min(known.get("Minimum", math.inf), *values)
        known["Maximum"] = max(known.get("Maximum", -math.inf), *values)

    def requests(self) -> Iterator[tuple[str, list[dict[str, object]]]]:
        """Yield namespace and MetricData of each PutMetricData request that is due."""
        by_namespace: dict[str, list[dict[str, object]]] = {}
        for series, summed in self._sums.items():
            by_namespace.setdefault(series.namespace, []).append(_datum(series, summed))
        for namespace, data in by_namespace.items():
            for part in batched(data, MAX_DATA, strict=False):
                yield namespace, list(part)


def _datum(series: Series, summed: dict[str, float]) -> dict[str, object]:
    return {
        "MetricName": series.name,
        "Dimensions": [{"Name": name, "Value": value} for name, value in series.dimensions],
        "Timestamp": datetime.fromtimestamp(series.second, UTC),
        "StatisticValues": summed,
        "Unit": series.unit,
        "StorageResolution": series.resolution_s,
    }
