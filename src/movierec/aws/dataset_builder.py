"""The function that builds data sets, called and waited for."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from movierec import settings
from movierec.aws.lambda_function import BY_CODE
from movierec.aws.session import patient_lambda, translated
from movierec.errors import (
    ConfigError,
    DatasetError,
    MovierecError,
    ReleaseNotFoundError,
    UsageError,
)

if TYPE_CHECKING:  # boto3-stubs is not shipped
    from mypy_boto3_lambda.client import LambdaClient

# A Lambda's longest timeout, and a cold start.
_WITHIN_S: Final = 960.0


@dataclass(frozen=True, slots=True)
class DatasetBuilder:
    """The Lambda function `functions/build_dataset`."""

    name: str
    aws: "LambdaClient" = field(default_factory=lambda: patient_lambda(_WITHIN_S))

    def rebuild(self, dataset_id: str) -> Mapping[str, Any]:
        """Return what building a data set again has shown; see the function's own docstring.

        Raises UsageError without such a data set, DatasetError when the function fails, ConfigError
        without the function, and UnavailableError.
        """
        try:
            with translated(f"invoke {self.name}", BY_CODE, DatasetError):
                answer = self.aws.invoke(
                    FunctionName=self.name, Payload=json.dumps({"rebuild": dataset_id}).encode()
                )
                body = answer["Payload"].read()
        except ReleaseNotFoundError as exc:
            raise ConfigError(
                f"there is no function {self.name}: `movierec up` makes it; elsewhere name it in"
                f" {settings.BUILD_FUNCTION}"
            ) from exc
        found: dict[str, Any] = json.loads(body)
        if answer.get("FunctionError"):
            raise _error(found)
        return found


def _error(found: Mapping[str, Any]) -> MovierecError:
    kind, message = found.get("errorType"), str(found.get("errorMessage", found))
    return UsageError(message) if kind == UsageError.__name__ else DatasetError(message)
