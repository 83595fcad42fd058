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


@dataclass(slots=True)
class _Sum:
    """What CloudWatch keeps of many values (its StatisticSet)."""

    count: int = 0
    total: float = 0.0
    least: float = math.inf
    most: float = -math.inf

    def add(self, values: tuple[float, ...]) -> None:
        self.count += len(values)
        self.total += sum(values)
        self.least = min(self.least, *values)
        self.most = max(self.most, *values)


class Batch:
    """Measurements of one account and region, each series summed up.

    Sums, because LocalStack stores a row for every single value and reads them all at each
    evaluation of an alarm; it knows no percentiles, which alone would need the values.
    """

    def __init__(self) -> None:
        self._sums: dict[Series, _Sum] = {}

    def add(self, measurement: Measurement) -> None:
        """Add a measurement's values to its series."""
        self._sums.setdefault(measurement.series, _Sum()).add(measurement.values)

    def requests(self) -> Iterator[tuple[str, list[dict[str, object]]]]:
        """Yield namespace and MetricData of each PutMetricData request that is due."""
        by_namespace: dict[str, list[dict[str, object]]] = {}
        for series, summed in self._sums.items():
            by_namespace.setdefault(series.namespace, []).append(_datum(series, summed))
        for namespace, data in by_namespace.items():
            for part in batched(data, MAX_DATA, strict=False):
                yield namespace, list(part)


def _datum(series: Series, summed: _Sum) -> dict[str, object]:
    return {
        "MetricName": series.name,
        "Dimensions": [{"Name": name, "Value": value} for name, value in series.dimensions],
        "Timestamp": datetime.fromtimestamp(series.second, UTC),
        "StatisticValues": {
            "SampleCount": float(summed.count),
            "Sum": summed.total,
            "Minimum": summed.least,
            "Maximum": summed.most,
        },
        "Unit": series.unit,
        "StorageResolution": series.resolution_s,
    }
