"""boto3 clients, and the translation of botocore's errors into ours."""

import functools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, cast, overload

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,  # noqa: A004  botocore's own name
    HTTPClientError,
)

from movierec.errors import ConfigError, MovierecError, UnavailableError

if TYPE_CHECKING:  # boto3-stubs is not shipped
    from mypy_boto3_apigateway.client import APIGatewayClient
    from mypy_boto3_cloudwatch.client import CloudWatchClient
    from mypy_boto3_lambda.client import LambdaClient
    from mypy_boto3_s3.client import S3Client
    from mypy_boto3_sns.client import SNSClient
    from mypy_boto3_stepfunctions.client import SFNClient

# Two quick retries bridge a restarting endpoint; botocore's default of four with exponential
# backoff exceeds the deadline of callers (the proxy's is 400 ms).
_CONFIG: Final = Config(
    retries={"max_attempts": 3, "mode": "standard"},
    connect_timeout=5,
    read_timeout=60,
    # The CRC trailer costs a pass over each body; sealed files have our own sha256.
    request_checksum_calculation="when_required",
    response_checksum_validation="when_required",
)


class _Clients(Protocol):
    @overload
    def __call__(self, service: Literal["apigateway"]) -> "APIGatewayClient": ...
    @overload
    def __call__(self, service: Literal["cloudwatch"]) -> "CloudWatchClient": ...
    @overload
    def __call__(self, service: Literal["lambda"]) -> "LambdaClient": ...
    @overload
    def __call__(self, service: Literal["s3"]) -> "S3Client": ...
    @overload
    def __call__(self, service: Literal["sns"]) -> "SNSClient": ...
    @overload
    def __call__(self, service: Literal["stepfunctions"]) -> "SFNClient": ...
    @overload
    def __call__(self, service: str) -> Any: ...  # noqa: ANN401  a service without stubs here
    def cache_clear(self) -> None:
        """Drop the cached clients, after a change of the environment."""
        ...


@functools.cache
def _client(service: str) -> Any:  # noqa: ANN401  typed by _Clients
    return _made(service, _CONFIG)


def _made(service: str, config: Config) -> Any:  # noqa: ANN401  a client of any service
    session: Any = boto3.session.Session()
    try:
        return session.client(service, config=config)
    except (BotoCoreError, ValueError) as exc:  # no region; an endpoint that is no URL
        raise ConfigError(f"{service}: {exc}; check the AWS_ variables, or unset them") from exc


client: Final = cast("_Clients", _client)
"""Return the process's client for a service, created at the first call.

Region, credentials and `AWS_ENDPOINT_URL` come from the environment, as boto3 reads them. Raises
ConfigError when they are invalid.
"""


def patient_lambda(within_s: float) -> "LambdaClient":
    """Return a client for synchronous calls that last, each sent once.

    A network forgets a connection that is silent for minutes, unless it is kept alive. Raises
    ConfigError.
    """
    made: LambdaClient = _made("lambda", _CONFIG.merge(_patience(within_s)))
    return made


def _patience(within_s: float) -> Config:
    return Config(read_timeout=within_s, retries={"total_max_attempts": 1}, tcp_keepalive=True)


@contextmanager
def translated(
    what: str,
    by_code: Mapping[str, type[MovierecError]],
    default: type[MovierecError],
) -> Iterator[None]:
    """Translate botocore's errors into ours: `by_code` maps codes to classes, others to `default`.

    `what` names the attempt and its object (`get s3://bucket/key`) and starts the message.
    Raises UnavailableError when the endpoint does not answer.
    """
    try:
        yield
    except ClientError as exc:
        error = exc.response.get("Error", {})
        code = error.get("Code", "Unknown")
        detail = error.get("Message", "no message")
        raise _with_next_step(by_code.get(code, default), f"{what}: {code}: {detail}") from exc
    except (ConnectionError, HTTPClientError) as exc:
        raise _with_next_step(UnavailableError, f"{what}: no answer ({exc})") from exc
    except BotoCoreError as exc:
        raise _with_next_step(default, f"{what}: {exc}") from exc


def _with_next_step(kind: type[MovierecError], message: str) -> MovierecError:
    return kind(f"{message}; {kind.next_step}" if kind.next_step else message)
