import pytest

from lambda_process_executor.lambda_metrics import Caller, Finished, Throttled, measurements

ARN = "arn:aws:lambda:eu-west-1:123456789012:function:"


def test_the_arn_tells_account_region_function_and_resource() -> None:
    assert Caller.of(ARN + "f:live", "3") == Caller("123456789012", "eu-west-1", "f", "f:live", "3")


@pytest.mark.parametrize(
    ("resource", "sets"),
    [
        ("f", [["FunctionName"], ["FunctionName", "Resource"]]),
        ("f:$LATEST", [["FunctionName"], ["FunctionName", "Resource"]]),
        ("f:3", [["FunctionName"], ["FunctionName", "Resource"]]),
        (
            "f:live",
            [
                ["FunctionName"],
                ["FunctionName", "Resource"],
                ["FunctionName", "Resource", "ExecutedVersion"],
            ],
        ),
    ],
)
def test_only_an_alias_adds_the_executed_version(resource: str, sets: list[list[str]]) -> None:
    caller = Caller.of(ARN + resource, "3")
    assert [[name for name, _ in pairs] for pairs in caller.dimension_sets] == sets


def test_every_set_gets_every_metric_and_the_account_its_concurrency() -> None:
    caller = Caller.of(ARN + "f:live", "3")
    found = list(measurements(Finished(caller, 7.9, 2, is_error=True, duration_ms=12.345)))
    by_version = {
        m.series.name: m.values for m in found if ("ExecutedVersion", "3") in m.series.dimensions
    }
    assert by_version == {
        "Invocations": (1.0,),
        "Errors": (1.0,),
        "Throttles": (0.0,),
        "Duration": (12.35,),
        "ConcurrentExecutions": (2.0,),
    }
    assert [m.series.name for m in found if not m.series.dimensions] == ["ConcurrentExecutions"]
    assert {m.series.second for m in found} == {7}


def test_a_success_counts_as_no_error_so_that_an_average_is_a_rate() -> None:
    event = Finished(Caller.of(ARN + "f", "1"), 7.0, 1, is_error=False, duration_ms=1.0)
    found = measurements(event)
    assert {m.values for m in found if m.series.name == "Errors"} == {(0.0,)}


def test_a_throttled_invocation_is_no_invocation() -> None:
    found = list(measurements(Throttled(Caller.of(ARN + "f", "1"), 7.0)))
    assert {m.series.name for m in found} == {"Throttles"}
