"""boto3 clients, and botocore's errors in this product's words."""

import functools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,  # noqa: A004  botocore's own name
    HTTPClientError,
)

from movierec.errors import ConfigError, MovierecError, UnavailableError

# Two quick retries ride out a restarting endpoint; a caller with a deadline of its own (the
# proxy's is 400 ms) must not sit through botocore's default of four with exponential waits.
_CONFIG: Final = Config(
    retries={"max_attempts": 3, "mode": "standard"},
    connect_timeout=5,
    read_timeout=60,
    # The CRC trailer costs a pass over each body; what must not change carries a sha256 of ours.
    request_checksum_calculation="when_required",
    response_checksum_validation="when_required",
)


@functools.cache
def client(service: str) -> Any:  # noqa: ANN401  one door for every service's own client type
    """Return the process's client for a service, made at the first call.

    Region, credentials and `AWS_ENDPOINT_URL` come from the environment, as boto3 reads them.
    Raises ConfigError when they make no sense.
    """
    session: Any = boto3.session.Session()
    try:
        return session.client(service, config=_CONFIG)
    except (BotoCoreError, ValueError) as exc:  # no region; an endpoint that is no URL
        raise ConfigError(f"{service}: {exc}; check the AWS_ variables, or unset them") from exc


@contextmanager
def translated(
    what: str,
    by_code: Mapping[str, type[MovierecError]],
    default: type[MovierecError],
) -> Iterator[None]:
    """Turn botocore's errors into ours: `by_code` picks the class, `default` takes the rest.

    `what` says what was attempted on what (`get s3://bucket/key`) and starts the message.
    Raises UnavailableError when nobody answers.
    """
    try:
        yield
    except ClientError as exc:
        error = exc.response.get("Error", {})
        code = error.get("Code", "Unknown")
        detail = error.get("Message", "no message")
        raise _said(by_code.get(code, default), f"{what}: {code}: {detail}") from exc
    except (ConnectionError, HTTPClientError) as exc:
        raise _said(UnavailableError, f"{what}: no answer ({exc})") from exc
    except BotoCoreError as exc:
        raise _said(default, f"{what}: {exc}") from exc


def _said(kind: type[MovierecError], message: str) -> MovierecError:
    return kind(f"{message}; {kind.next_step}" if kind.next_step else message)
