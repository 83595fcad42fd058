"""Which model is in production, as Lambda's API answers."""

import boto3
import pytest
from botocore.stub import Stubber

from movierec.aws.live_model import LiveModel
from movierec.errors import ConfigError

ASKED = {"FunctionName": "api", "Qualifier": "live"}


@pytest.fixture
def aws():
    return boto3.client(
        "lambda", region_name="eu-west-1", aws_access_key_id="x", aws_secret_access_key="x"
    )


def test_the_alias_says_which_model_is_live(aws):
    with Stubber(aws) as stub:
        found = {"Environment": {"Variables": {"MODEL_VERSION": "m1"}}}
        stub.add_response("get_function_configuration", found, ASKED)
        assert LiveModel("api", aws)() == "m1"


@pytest.mark.parametrize("found", [{}, {"Environment": {"Variables": {}}}])
def test_a_version_that_serves_the_newest_model_is_pinned_to_none(aws, found):
    with Stubber(aws) as stub:
        stub.add_response("get_function_configuration", found, ASKED)
        assert LiveModel("api", aws)() is None


def test_before_the_first_release_there_is_none(aws):
    with Stubber(aws) as stub:
        stub.add_client_error("get_function_configuration", "ResourceNotFoundException")
        assert LiveModel("api", aws)() is None
    assert LiveModel("", aws)() is None


def test_a_missing_permission_is_an_error_of_ours(aws):
    with Stubber(aws) as stub:
        stub.add_client_error("get_function_configuration", "AccessDeniedException")
        with pytest.raises(ConfigError):
            LiveModel("api", aws)()
