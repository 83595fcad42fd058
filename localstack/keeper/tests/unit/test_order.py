"""In which order services come back."""

from localstack_keeper.snapshots import restore_order


def test_functions_come_after_their_code_and_before_those_who_call_them() -> None:
    names = ["events", "cloudwatch", "lambda", "apigateway", "sqs", "iam", "stepfunctions", "s3"]
    assert restore_order(names) == [
        "iam", "s3", "sqs", "lambda", "apigateway", "stepfunctions", "events", "cloudwatch",
    ]  # fmt: skip
