"""Embedded Metric Format in a function's output."""

import json
import sqlite3
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Emulator

# Prints what it is sent, as a function's own code would.
PRINT = "def handler(event, context):\n    for line in event:\n        print(line)\n"


def document(root: dict[str, object], *directives: dict[str, object], **metadata: object) -> str:
    given = {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": directives, **metadata}
    return json.dumps({"_aws": given, **root})


def directive(
    namespace: str, *metrics: dict[str, object], sets: tuple[list[str], ...] = (["V"],)
) -> dict[str, object]:
    metrics = metrics or ({"Name": "N"},)
    return {"Namespace": namespace, "Dimensions": sets, "Metrics": metrics}


Log = tuple[str, str]
"""The name of the function that wrote it, and its whole log."""


@pytest.fixture(scope="module")
def log(emulator: "Emulator") -> Log:
    """Invoke a function once that prints the documents of every case; wait until they are in."""
    emulator.create("printer", PRINT)
    lines = [*sets(), *arrays(), *units(), *times(), *several(), *whole(), *INVALID.values()]
    answer = emulator.invoke("printer", [*lines, document({"N": 1}, directive("last", sets=([],)))])
    assert answer.error is None
    emulator.wait(lambda: emulator.statistics("last", "N"), "the last metric")
    return "printer", answer.log


def stored(folder: "Path", namespace: str) -> list[dict[str, object]]:
    """Return CloudWatch's rows of a namespace: what its API does not tell."""
    [path] = folder.rglob("metrics.db")
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as database:
        database.row_factory = sqlite3.Row
        tables = ("SINGLE_METRICS", "AGGREGATED_METRICS")
        queries = [f"SELECT * FROM {table} WHERE namespace = ?" for table in tables]  # noqa: S608
        found = [dict(row) for query in queries for row in database.execute(query, [namespace])]
    database.close()
    return found


def sets() -> list[str]:
    given: tuple[list[str], ...] = (["V"], ["V", "Route"], [])
    line = document({"V": "7", "Route": "/x", "N": 2}, directive("sets", sets=given))
    return [line, "text", line]


def test_a_metric_goes_to_every_dimension_set(emulator: "Emulator", log: Log) -> None:
    """Every DimensionSet makes a metric of its own, the empty one a metric without dimensions.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
    """
    del log  # came with the metrics
    for dimensions in ({"V": "7"}, {"V": "7", "Route": "/x"}, {}):
        found = emulator.statistics("sets", "N", **dimensions)
        assert (found["sum"], found["count"]) == (4, 2)
    assert emulator.statistics("sets", "N", Route="/x") == {}


def arrays() -> list[str]:
    metrics = directive("arrays", {"Name": "Few"}, {"Name": "Many"})
    return [document({"V": "7", "Few": [3, 1.5, 3], "Many": list(range(100))}, metrics)]


def test_an_array_is_several_values(emulator: "Emulator", log: Log) -> None:
    """A metric's target is a number or an array of up to 100 numbers.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
    """
    del log
    few = {"sum": 7.5, "count": 3, "least": 1.5, "most": 3}
    assert emulator.statistics("arrays", "Few", V="7") == few
    many = {"sum": 4950, "count": 100, "least": 0, "most": 99}
    assert emulator.statistics("arrays", "Many", V="7") == many


def units() -> list[str]:
    metrics = directive(
        "units",
        {"Name": "Took", "Unit": "Milliseconds", "StorageResolution": 1},
        {"Name": "Rate", "Unit": "Bytes/Second", "StorageResolution": 60},
        {"Name": "Plain"},
    )
    return [document({"V": "7", "Took": 1, "Rate": 2, "Plain": 3}, metrics)]


def test_unit_and_resolution_are_kept(emulator: "Emulator", log: Log) -> None:
    """Unit is one of CloudWatch's, None where unset; StorageResolution is 60 where unset, or 1.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
    """
    del log
    found = {
        row["metric_name"]: (row["unit"], row["storage_resolution"])
        for row in stored(emulator.folder, "units")
    }
    assert found == {
        "Took": ("Milliseconds", 1), "Rate": ("Bytes/Second", 60), "Plain": ("None", 60)
    }  # fmt: skip


THEN = int(time.time()) - 3 * 3600


def times() -> list[str]:
    return [document({"V": "7", "N": 1}, directive("times"), Timestamp=THEN * 1000)]


def test_the_document_s_time_is_the_metric_s(emulator: "Emulator", log: Log) -> None:
    """Timestamp dates the metrics, not the time at which they arrive.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
    """
    del log
    assert [row["timestamp"] for row in stored(emulator.folder, "times")] == [THEN]


def several() -> list[str]:
    root = {"V": "7", "A": 1, "B": 2, "other": {"members": "are ignored"}}
    first = directive("first", {"Name": "A"})
    second = directive("second", {"Name": "A"}, {"Name": "B"})
    return [document(root, first, second)]


def test_several_directives_of_a_document_all_count(emulator: "Emulator", log: Log) -> None:
    """CloudWatchMetrics is an array; a target may be of several metrics in several namespaces.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
    """
    del log
    assert emulator.statistics("first", "A", V="7")["sum"] == 1
    assert emulator.statistics("second", "A", V="7")["sum"] == 1
    assert emulator.statistics("second", "B", V="7")["sum"] == 2
    assert emulator.statistics("first", "B", V="7") == {}


def whole() -> list[str]:
    return [
        document({"V": value, "N": number}, directive("whole"))
        for value, number in (("1", 1), ("12", 5))
    ]


def test_metrics_are_told_apart_by_whole_values(emulator: "Emulator", log: Log) -> None:
    """CloudWatch takes each unique combination of dimensions for a separate metric.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch_concepts.html
    """
    del log
    assert emulator.statistics("whole", "N", V="1")["sum"] == 1
    assert emulator.statistics("whole", "N", V="12")["sum"] == 5


N_OF_7 = {"V": "7", "N": 1}
MANY: list[dict[str, object]] = [{"Name": "N"}] * 101
INVALID = {
    "the line is not one JSON object": document(N_OF_7, directive("invalid")) + "}",
    "_aws.CloudWatchMetrics is not an array": '{"_aws": {"Timestamp": 1}}',
    "_aws.Timestamp is not milliseconds": document(N_OF_7, directive("invalid"), Timestamp=None),
    "Namespace is not a text": document(N_OF_7, directive("")),
    "Metrics is not an array of": document(N_OF_7, directive("invalid", *MANY)),
    "a dimension set is not an array of": document(
        N_OF_7, directive("invalid", sets=(["V"] * 31,))
    ),
    "dimension V: no text": document({"V": 7, "N": 1}, directive("invalid")),
    "metric N: no number": document({"V": "7", "N": "1"}, directive("invalid")),
    "metric N: CloudWatch has no unit": document(
        N_OF_7, directive("invalid", {"Name": "N", "Unit": "Parsecs"})
    ),
    "metric N: StorageResolution 5": document(
        N_OF_7, directive("invalid", {"Name": "N", "StorageResolution": 5})
    ),
}


def test_what_is_invalid_is_reported_and_changes_nothing(emulator: "Emulator", log: Log) -> None:
    """What breaks a MUST of the specification is no metric, and the emulator's log tells it.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
    """
    name, _ = log
    assert stored(emulator.folder, "invalid") == []
    told = [line for line in emulator.log().splitlines() if f"function {name}, embedded" in line]
    assert [reason for reason in INVALID if not any(reason in line for line in told)] == []
    assert len(told) == len(INVALID)


def test_a_document_stays_a_line_of_the_log(emulator: "Emulator", log: Log) -> None:
    """Metrics are extracted from log events, which stay in the log, valid or not.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format.html
    """
    name, tail = log
    assert INVALID["metric N: StorageResolution 5"] in tail
    lines = [*INVALID.values(), "text"]
    emulator.wait(
        lambda: set(lines) <= set(emulator.messages(f"/aws/lambda/{name}")), "the lines are there"
    )
