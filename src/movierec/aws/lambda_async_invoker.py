"""Asynchronous invocations of a Lambda function."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from movierec.aws.lambda_function import BY_CODE
from movierec.aws.session import client, translated
from movierec.errors import ReleaseError


@dataclass(frozen=True, slots=True)
class LambdaAsyncInvoker:
    """`movierec.releases.ports.AsyncInvoker` on a Lambda function's queue of events.

    https://docs.aws.amazon.com/lambda/latest/dg/invocation-async.html
    """

    name: str
    aws: Any = field(default_factory=lambda: client("lambda"))

    def invoke(self, event: Mapping[str, Any]) -> None:
        """Queue an event; Lambda retries it by itself."""
        with translated(f"invoke {self.name}", BY_CODE, ReleaseError):
            self.aws.invoke(
                FunctionName=self.name, InvocationType="Event", Payload=json.dumps(event).encode()
            )
