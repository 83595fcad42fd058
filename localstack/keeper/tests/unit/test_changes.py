"""Which services are saved when."""

import pytest

from localstack_keeper.changes import Changes, is_look


@pytest.mark.parametrize(
    "operation",
    ["GetObject", "ListQueues", "DescribeAlarms", "HeadBucket", "BatchGetItem", "FilterLogEvents"],
)
def test_a_look_changes_nothing(operation: str) -> None:
    assert is_look(operation)


@pytest.mark.parametrize(
    "operation",
    ["PutObject", "ReceiveMessage", "Invoke", "GetActivityTask", "Listen", "TestState", "Heading"],
)
def test_anything_else_may(operation: str) -> None:
    assert not is_look(operation)


def test_a_changed_service_is_saved_twice_and_then_no_more() -> None:
    """What a request sets off may end after the first."""
    changes = Changes()
    changes.mark("lambda", "CreateFunction")
    changes.mark("sqs", "ListQueues")
    assert [changes.take() for _ in range(3)] == [{"lambda"}, {"lambda"}, set()]
