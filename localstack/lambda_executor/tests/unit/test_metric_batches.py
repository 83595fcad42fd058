from datetime import UTC, datetime

from lambda_process_executor.emf import Measurement, Series
from lambda_process_executor.metrics_publisher import MAX_DATA, Batch


def series(name: str = "N", namespace: str = "shop") -> Series:
    return Series(namespace, name, (("Version", "7"),), "Count", 5)


def test_a_series_is_summed_up() -> None:
    batch = Batch()
    for values in ((1.0,), (2.0, 1.0), (-4.0,)):
        batch.add(Measurement(series(), values))
    assert list(batch.requests()) == [
        (
            "shop",
            [
                {
                    "MetricName": "N",
                    "Dimensions": [{"Name": "Version", "Value": "7"}],
                    "Timestamp": datetime.fromtimestamp(5, UTC),
                    "StatisticValues": {
                        "SampleCount": 4.0,
                        "Sum": 0.0,
                        "Minimum": -4.0,
                        "Maximum": 2.0,
                    },
                    "Unit": "Count",
                    "StorageResolution": 60,
                }
            ],
        )
    ]


def test_a_request_holds_one_namespace_and_no_more_data_than_cloudwatch_takes() -> None:
    batch = Batch()
    for number in range(MAX_DATA + 1):
        batch.add(Measurement(series(f"N{number}"), (1.0,)))
    batch.add(Measurement(series(namespace="other"), (1.0,)))
    sizes = [(namespace, len(data)) for namespace, data in batch.requests()]
    assert sizes == [("shop", MAX_DATA), ("shop", 1), ("other", 1)]


def test_an_empty_batch_makes_no_request() -> None:
    assert list(Batch().requests()) == []
