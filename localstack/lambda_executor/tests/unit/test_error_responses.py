import json

import pytest

from lambda_process_executor import error_responses


def test_a_timeout_names_request_and_seconds_in_answer_and_log() -> None:
    fault = error_responses.timed_out("r1", 3.0, "2026-01-02T03:04:05.678Z")
    assert json.loads(fault.payload) == {
        "errorType": "Sandbox.Timedout",
        "errorMessage": "RequestId: r1 Error: Task timed out after 3.00 seconds",
    }
    assert fault.notice == "2026-01-02T03:04:05.678Z r1 Task timed out after 3.00 seconds\n"
    assert fault.status == "timeout"


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (0, "Runtime exited without providing a reason"),
        (3, "Runtime exited with error: exit status 3"),
        (-9, "Runtime exited with error: signal: killed"),
        (-11, "Runtime exited with error: signal: segmentation fault"),
    ],
)
def test_an_exit_says_how_the_process_ended(code: int, said: str) -> None:
    fault = error_responses.exited("r1", code)
    assert json.loads(fault.payload) == {
        "errorType": "Runtime.ExitError",
        "errorMessage": f"RequestId: r1 Error: {said}",
    }
    assert "Runtime.ExitError" in fault.notice


def test_running_out_of_memory_has_a_type_of_its_own() -> None:
    assert (
        json.loads(error_responses.out_of_memory("r1").payload)["errorType"]
        == "Runtime.OutOfMemory"
    )


def test_a_too_large_answer_names_both_sizes() -> None:
    said = json.loads(error_responses.response_too_large(7, 6).payload)["errorMessage"]
    assert "7 bytes" in said
    assert "6 bytes" in said
