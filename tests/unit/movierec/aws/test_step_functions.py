import json

import pytest

from movierec.aws.step_functions import Progressed, failure, progressed
from movierec.errors import TrainingError, UsageError

ARN = "arn:aws:states:us-east-1:000000000000:execution:movierec-retrain:run-1"


def entered(state):
    return {"type": "TaskStateEntered", "stateEnteredEventDetails": {"name": state}}


def left(state):
    return {"type": "TaskStateExited", "stateExitedEventDetails": {"name": state}}


def failed(cause, error="States.TaskFailed"):
    return {"type": "TaskFailed", "taskFailedEventDetails": {"error": error, "cause": cause}}


def raised(kind, message):
    return failed(json.dumps({"errorType": kind, "errorMessage": message}), kind)


def test_states_are_told_as_they_are_entered_and_left():
    history = [entered("Build"), {"type": "TaskSucceeded"}, left("Build"), entered("Train")]
    assert list(progressed(history)) == [
        Progressed("Build", entered=True),
        Progressed("Build", entered=False),
        Progressed("Train", entered=True),
    ]


def test_a_state_that_was_left_by_its_catch_has_failed():
    history = [entered("Train"), raised("ValueError", "x"), left("Train"), entered("Tell")]
    told = list(progressed(history))
    assert told[1] == Progressed("Train", entered=False, failed=True)
    assert not told[2].failed


def test_a_state_that_succeeded_at_another_attempt_has_not_failed():
    history = [entered("Train"), failed("x"), {"type": "TaskSucceeded"}, left("Train")]
    assert list(progressed(history))[-1] == Progressed("Train", entered=False)


def test_a_failure_is_told_in_the_functions_own_words():
    error = failure(ARN, "FAILED", [entered("Build"), raised("DatasetError", "no events yet")])
    assert isinstance(error, TrainingError)
    assert str(error) == (
        "retraining ended as FAILED: DatasetError: no events yet (execution run-1)"
    )


def test_a_refused_parameter_is_the_callers_mistake():
    error = failure(ARN, "FAILED", [raised("UsageError", "no such parameter: x")])
    assert isinstance(error, UsageError)
    assert "no such parameter: x" in str(error)


@pytest.mark.parametrize(
    ("history", "words"),
    [
        ([], "no cause given; see its log group"),
        ([failed("plain text")], "plain text"),
        ([failed("", "Lambda.TooManyRequests")], "Lambda.TooManyRequests"),
        ([failed("[1]", "States.Timeout")], "[1]"),
    ],
)
def test_a_failure_without_words_says_what_there_is(history, words):
    assert words in str(failure(ARN, "FAILED", history))
