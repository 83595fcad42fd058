import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lambda_process_executor import emf
from lambda_process_executor.emf import UNITS, Invalid, Measurement, Series


def document(
    root: dict[str, object], *directives: dict[str, object], at_ms: object = 999_999_995_250
) -> str:
    return json.dumps({"_aws": {"Timestamp": at_ms, "CloudWatchMetrics": directives}, **root})


def directive(
    *metrics: dict[str, object], dimensions: tuple[list[str], ...] = (["Version"],)
) -> dict[str, object]:
    return {"Namespace": "shop", "Dimensions": dimensions, "Metrics": metrics}


NOW = 1_000_000_000.5
SECOND = 999_999_995


def found_in(line: str) -> list[Measurement | Invalid]:
    return list(emf.read(line, now=NOW))


def read(line: str) -> list[Measurement]:
    return [found for found in found_in(line) if isinstance(found, Measurement)]


def reasons(line: str) -> list[str]:
    return [found.reason for found in found_in(line) if isinstance(found, Invalid)]


def test_a_metric_goes_to_every_dimension_set_with_its_unit_and_second() -> None:
    line = document(
        {"Version": "7", "Route": "/x", "Slow": 1},
        directive(
            {"Name": "Slow", "Unit": "Count"},
            dimensions=(["Version"], ["Version", "Route"], []),
        ),
    )
    sets = ((("Version", "7"),), (("Version", "7"), ("Route", "/x")), ())
    assert read(line) == [
        Measurement(Series("shop", "Slow", s, "Count", SECOND), (1.0,)) for s in sets
    ]


def test_an_array_is_several_values_of_one_metric() -> None:
    [found] = read(document({"Version": "7", "Ms": [3, 1, 3]}, directive({"Name": "Ms"})))
    assert found.values == (3.0, 1.0, 3.0)


def test_a_missing_unit_is_none() -> None:
    [found] = read(document({"Version": "7", "N": 2}, directive({"Name": "N"})))
    assert found.series.unit == "None"


def test_a_text_may_hold_what_python_takes_for_a_line_s_end() -> None:
    root = {"Version": "7", "N": 2, "said": "a\u2028b"}
    line = document(root, directive({"Name": "N"})).replace("\\u2028", "\u2028")
    assert len(read(f"{line}\n")) == 1


@pytest.mark.parametrize("at_ms", [None, "1", True, -1, 10**400, 10**20, 999_999_995])
def test_a_time_that_cloudwatch_would_not_take_is_told(at_ms: object) -> None:
    line = document({"Version": "7", "N": 2}, directive({"Name": "N"}), at_ms=at_ms)
    assert read(line) == []
    assert ["Timestamp" in reason for reason in reasons(line)] == [True]


def test_what_is_valid_beside_what_is_not_still_counts() -> None:
    line = document(
        {"Version": "7", "N": 2, "M": "many"},
        directive({"Name": "M"}, {"Name": "N"}, dimensions=(["Version"], ["Gone"])),
    )
    assert [found.series.dimensions for found in read(line)] == [(("Version", "7"),)]
    assert ["dimension Gone" in reasons(line)[0], "metric M" in reasons(line)[1]] == [True, True]


@pytest.mark.parametrize(
    "line", ['see "_aws"', '["_aws"]', '{"message": {"_aws": 1}}', '{"s": "\\"_aws\\""}']
)
def test_a_line_that_is_no_document_is_not_complained_of(line: str) -> None:
    assert found_in(line) == []


def test_storage_resolution_is_kept() -> None:
    line = document({"Version": "7", "N": 2}, directive({"Name": "N", "StorageResolution": 1}))
    assert [found.series.resolution_s for found in read(line)] == [1]


def test_several_directives_and_several_lines_all_count() -> None:
    one = directive({"Name": "A"})
    two = directive({"Name": "B"}, {"Name": "A"})
    line = document({"Version": "7", "A": 1, "B": 2}, one, two)
    assert [m.series.name for m in read(f"plain\n{line}\n{line}\n")] == ["A", "B", "A"] * 2


def test_what_breaks_the_specification_is_no_metric_and_is_told() -> None:
    good = directive({"Name": "N"})
    bad = [
        '{"_aws": broken',
        '{"_aws": 1}',
        '{"_aws": {"CloudWatchMetrics": {}}}',
        '{"_aws": {"CloudWatchMetrics": [1]}}',
        document({"Version": "7"}, good),
        document({"Version": "7", "N": "2"}, good),
        document({"Version": "7", "N": True}, good),
        document({"Version": "7", "N": 10**400}, good),
        document({"Version": "7", "N": []}, good),
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
    assert [line for line in bad if read(line) or not reasons(line)] == []


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
    found_in(json.dumps(root))


@given(st.text())
def test_no_line_raises(line: str) -> None:
    found_in('{"_aws"' + line)
    found_in(line)
