import pytest

from movierec.aws.step_functions import Progressed
from movierec.cli.retrain import pairs, show
from movierec.errors import TrainingError, UsageError
from movierec.stack.progress import Progress


class Steps:
    """A display that keeps the names of the steps and how they ended."""

    def __init__(self):
        self.ended = []

    def begin(self, name):
        self.name = name
        return _Step(name)

    def end(self, step, seconds, error):
        self.ended.append((step.name, error is None))


class _Step:
    def __init__(self, name):
        self.name = name

    def update(self, done=None, total=None, note=None):
        pass


def entered(state):
    return Progressed(state, entered=True)


def left(state, failed=False):
    return Progressed(state, entered=False, failed=failed)


def test_each_state_is_a_step_and_the_output_is_returned():
    steps = Steps()
    followed = [entered("Build"), left("Build"), entered("Train"), left("Train"), {"model": "m"}]
    assert show(Progress(steps), followed) == {"model": "m"}
    assert steps.ended == [("Build", True), ("Train", True)]


def test_a_state_that_failed_is_a_step_that_failed_and_so_is_what_was_under_way():
    steps = Steps()

    def followed():
        yield entered("Train")
        yield left("Train", failed=True)
        yield entered("Fail")
        raise TrainingError("no events yet")

    with pytest.raises(TrainingError, match="no events yet"):
        show(Progress(steps), followed())
    assert steps.ended == [("Train", False), ("Fail", False)]


def test_parameters_are_numbers_where_they_can_be():
    assert pairs(["factors=64", "alpha=0.5", "since=2026-01-01", "x=a=b"]) == {
        "factors": 64,
        "alpha": 0.5,
        "since": "2026-01-01",
        "x": "a=b",
    }


@pytest.mark.parametrize("text", ["", "factors", "=3"])
def test_a_parameter_without_a_name_or_value_is_refused(text):
    with pytest.raises(UsageError, match="NAME=VALUE"):
        pairs([text])
