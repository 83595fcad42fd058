"""Which services are saved when."""

import pytest

from localstack_keeper.dirty_services import DirtyServices, is_read_only


@pytest.mark.parametrize(
    "operation",
    ["GetObject", "ListQueues", "DescribeAlarms", "HeadBucket", "BatchGetItem", "FilterLogEvents"],
)
def test_a_read_only_operation_changes_nothing(operation: str) -> None:
    assert is_read_only(operation)


@pytest.mark.parametrize(
    "operation",
    ["PutObject", "ReceiveMessage", "Invoke", "GetActivityTask", "Listen", "TestState", "Heading"],
)
def test_anything_else_may(operation: str) -> None:
    assert not is_read_only(operation)


def test_a_changed_service_is_saved_twice_and_then_no_more() -> None:
    """What a request sets off may end after the first."""
    dirty = DirtyServices()
    dirty.mark("lambda", "CreateFunction")
    dirty.mark("sqs", "ListQueues")
    assert [dirty.take() for _ in range(3)] == [{"lambda"}, {"lambda"}, set()]
