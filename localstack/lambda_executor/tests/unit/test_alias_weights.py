import pytest

from lambda_process_executor.alias_weights import fault


@pytest.mark.parametrize("weights", [{}, {"2": 0.0}, {"2": 0.05}, {"2": 1.0}])
def test_weights_that_aws_takes_are_taken(weights: dict[str, float]) -> None:
    assert fault(weights) is None


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        ({"2": 0.1, "3": 0.1}, "greater than 1"),
        ({"$LATEST": 0.1}, "no version number"),
        ({"2": 1.5}, "between 0.0 and 1.0"),
        ({"2": -0.1}, "between 0.0 and 1.0"),
    ],
)
def test_what_is_wrong_is_said(weights: dict[str, float], words: str) -> None:
    assert words in (fault(weights) or "")
