"""Entry point of a Lambda function: dependencies made once, the request id in every log line."""

import functools
import os
from collections.abc import Callable, Mapping
from typing import Any, Protocol

type Event = Mapping[str, Any]
type Response = dict[str, Any]


class Context(Protocol):
    """The part of Lambda's context object that handlers use.

    https://docs.aws.amazon.com/lambda/latest/dg/python-context.html
    """

    aws_request_id: str

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds left before the function's timeout."""
        ...


class Log(Protocol):
    """The part of a Powertools Logger that this module uses."""

    def append_keys(self, **additional_keys: object) -> None:
        """Add keys to every later log line."""
        ...


class Dependencies(Protocol):
    """A function's dependencies, with its logger among them."""

    @property
    def logger(self) -> Log:
        """Return the function's logger."""
        ...


def lambda_handler[D: Dependencies](
    wire: Callable[[Mapping[str, str]], D], respond: Callable[[Event, D, Context], Response]
) -> Callable[[Event, Context], Response]:
    """Return a handler that calls `respond` with the dependencies that `wire` makes.

    They are made from the environment at the first call, and reused while it is warm. A failure is
    a MovierecError, whose class name a state machine can match.
    """
    dependencies = functools.cache(lambda: wire(os.environ))

    def handler(event: Event, context: Context) -> Response:
        found = dependencies()
        found.logger.append_keys(function_request_id=context.aws_request_id)
        return respond(event, found, context)

    return handler
