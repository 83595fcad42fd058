"""The model in production, as the live alias of the API's function says."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from movierec import settings
from movierec.aws.session import client, translated
from movierec.errors import ConfigError, ObjectNotFoundError, StoreError, UnavailableError

if TYPE_CHECKING:  # boto3-stubs is not shipped
    from mypy_boto3_lambda.client import LambdaClient

_BY_CODE: Final = {
    "ResourceNotFoundException": ObjectNotFoundError,
    "ServiceException": UnavailableError,
    "TooManyRequestsException": UnavailableError,
    "AccessDeniedException": ConfigError,
}


@dataclass(frozen=True, slots=True)
class LiveModel:
    """Asks Lambda which model the alias's version is pinned to; during a canary, the stable one."""

    function: str
    """Empty: there is no API yet."""
    aws: "LambdaClient" = field(default_factory=lambda: client("lambda"))

    def __call__(self) -> str | None:
        """Return the model's version, None before the first release.

        Raises UnavailableError, ConfigError, StoreError.
        """
        if not self.function:
            return None
        try:
            with translated(f"describe {self.function}", _BY_CODE, StoreError):
                found = self.aws.get_function_configuration(
                    FunctionName=self.function, Qualifier=settings.LIVE_ALIAS
                )
        except ObjectNotFoundError:
            return None
        return found.get("Environment", {}).get("Variables", {}).get(settings.MODEL_VERSION) or None
