"""A secret is read by its ARN, and a missing one is a fault of the configuration."""

import pytest
from moto import mock_aws

from movierec.aws.secrets_manager import secret
from movierec.aws.session import client
from movierec.errors import ConfigError


@pytest.fixture
def manager():
    client.cache_clear()
    with mock_aws():
        yield client("secretsmanager")
    client.cache_clear()


def test_a_secrets_text_is_read_by_its_arn(manager):
    arn = manager.create_secret(Name="key", SecretString=" sk-1\n")["ARN"]
    assert secret(arn) == "sk-1"


def test_a_secret_that_is_missing_or_no_text_is_named(manager):
    binary = manager.create_secret(Name="binary", SecretBinary=b"\x00")["ARN"]
    for arn in (binary, f"{binary}x"):
        with pytest.raises(ConfigError, match="binary"):
            secret(arn)
