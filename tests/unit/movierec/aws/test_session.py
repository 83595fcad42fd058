import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError

from movierec.aws.session import client, translated
from movierec.errors import BucketNotFoundError, ConfigError, StoreError, UnavailableError

BY_CODE = {"NoSuchBucket": BucketNotFoundError}


def refusal(code):
    return ClientError({"Error": {"Code": code, "Message": "says why"}}, "GetObject")


@pytest.mark.parametrize(
    ("error", "expected", "words"),
    [
        (refusal("NoSuchBucket"), BucketNotFoundError, "get s3://b/k: NoSuchBucket: says why"),
        (refusal("SlowDown"), StoreError, "SlowDown"),
        (EndpointConnectionError(endpoint_url="http://x"), UnavailableError, "movierec status"),
        (NoCredentialsError(), StoreError, "credentials"),
    ],
)
def test_an_error_of_botocore_becomes_ours_with_what_was_attempted(error, expected, words):
    with (
        pytest.raises(expected, match=words) as caught,
        translated("get s3://b/k", BY_CODE, StoreError),
    ):
        raise error
    assert caught.value.__cause__ is error


def test_other_errors_pass_as_they_are():
    with pytest.raises(KeyError), translated("anything", BY_CODE, StoreError):
        raise KeyError


@pytest.mark.parametrize("variable", ["AWS_ENDPOINT_URL", "AWS_DEFAULT_REGION"])
def test_variables_that_make_no_sense_are_a_mistake_in_the_configuration(variable, monkeypatch):
    monkeypatch.setenv(variable, "no such thing")
    client.cache_clear()
    with pytest.raises(ConfigError, match="AWS_ variables"):
        client("lambda")
