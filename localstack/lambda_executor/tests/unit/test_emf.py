import json

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lambda_process_executor.emf import UNITS, measurements
from lambda_process_executor.measurements import Measurement, Series


def document(root: dict[str, object], *directives: dict[str, object], at_ms: int = 5_000) -> str:
    return json.dumps({"_aws": {"Timestamp": at_ms, "CloudWatchMetrics": directives}, **root})


def directive(
    *metrics: dict[str, object], dimensions: tuple[list[str], ...] = (["Version"],)
) -> dict[str, object]:
    return {"Namespace": "shop", "Dimensions": dimensions, "Metrics": metrics}


def read(line: str) -> list[Measurement]:
    return list(measurements(line, now=9.5))


def test_a_metric_goes_to_every_dimension_set_with_its_unit_and_second() -> None:
    line = document(
        {"Version": "7", "Route": "/x", "Slow": 1},
        directive(
            {"Name": "Slow", "Unit": "Count"},
            dimensions=(["Version"], ["Version", "Route"], []),
        ),
    )
    sets = ((("Version", "7"),), (("Version", "7"), ("Route", "/x")), ())
    assert read(line) == [Measurement(Series("shop", "Slow", s, "Count", 5), (1.0,)) for s in sets]


def test_an_array_is_several_values_of_one_metric() -> None:
    [found] = read(document({"Version": "7", "Ms": [3, 1, 3]}, directive({"Name": "Ms"})))
    assert found.values == (3.0, 1.0, 3.0)


def test_a_missing_unit_is_none_and_a_missing_time_is_now() -> None:
    line = json.dumps(
        {"_aws": {"CloudWatchMetrics": [directive({"Name": "N"})]}, "Version": "7", "N": 2}
    )
    [found] = read(line)
    assert (found.series.unit, found.series.second) == ("None", 9)


def test_storage_resolution_is_kept() -> None:
    line = document({"Version": "7", "N": 2}, directive({"Name": "N", "StorageResolution": 1}))
    assert [found.series.resolution_s for found in read(line)] == [1]


def test_several_directives_and_several_lines_all_count() -> None:
    one = directive({"Name": "A"})
    two = directive({"Name": "B"}, {"Name": "A"})
    line = document({"Version": "7", "A": 1, "B": 2}, one, two)
    assert [m.series.name for m in read(f"plain\n{line}\n{line}\n")] == ["A", "B", "A"] * 2


def test_what_breaks_the_specification_is_a_log_line_only() -> None:
    good = directive({"Name": "N"})
    bad = [
        '{"_aws": broken',
        '["_aws"]',
        '{"_aws": 1}',
        '{"_aws": {"CloudWatchMetrics": {}}}',
        '{"_aws": {"CloudWatchMetrics": [1]}}',
        document({"Version": "7"}, good),
        document({"Version": "7", "N": "2"}, good),
        document({"Version": "7", "N": True}, good),
        document({"Version": "7", "N": float("nan")}, good),
        document({"Version": "7", "N": float("inf")}, good),
        document({"Version": "7", "N": [1] * 101}, good),
        document({"Version": 7, "N": 2}, good),
        document({"N": 2}, good),
        document({"Version": "7", "N": 2}, {**good, "Namespace": ""}),
        document({"Version": "7", "N": 2}, {**good, "Metrics": [1, {"Name": 1}, {}]}),
        document({"Version": "7", "N": 2}, {**good, "Dimensions": [["Version"] * 31, "x"]}),
        document({"Version": "7", "N": 2}, directive({"Name": "N", "Unit": "Parsecs"})),
        document({"Version": "7", "N": 2}, directive({"Name": "N", "StorageResolution": 5})),
    ]
    assert [line for line in bad if read(line)] == []


def test_units_are_cloudwatchs_twenty_seven() -> None:
    assert len(UNITS) == 27


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


directives = st.fixed_dictionaries(
    {"Namespace": json_values, "Dimensions": json_values, "Metrics": json_values}
)
metadata = st.fixed_dictionaries(
    {"Timestamp": json_values, "CloudWatchMetrics": st.lists(directives)}
)


# How fast inputs come says more about the machine's other work than about this strategy.
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.fixed_dictionaries({"_aws": json_values | metadata}))
def test_no_document_raises(root: dict[str, object]) -> None:
    read(json.dumps(root))


@given(st.text())
def test_no_line_raises(line: str) -> None:
    read('"_aws"' + line)
    read(line)
