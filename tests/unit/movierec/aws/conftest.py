"""Fixture: a release lab on moto's Lambda."""

from collections.abc import Iterator

import boto3
import pytest
from moto import mock_aws

from tests.unit.movierec.aws.lambda_function_lab import FUNCTION, Lab, zipped


@pytest.fixture
def lab() -> Iterator[Lab]:
    """Return one whose function was deployed, and never released."""
    with mock_aws(config={"lambda": {"use_docker": False}}):
        role = boto3.client("iam").create_role(RoleName="r", AssumeRolePolicyDocument="{}")
        boto3.client("lambda").create_function(
            FunctionName=FUNCTION,
            Runtime="python3.13",
            Role=role["Role"]["Arn"],
            Handler="app.app",
            Code={"ZipFile": zipped(b"1")},
            Environment={"Variables": {"KEPT": "yes"}},
        )
        yield Lab()
