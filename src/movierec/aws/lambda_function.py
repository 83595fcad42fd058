"""The API's function on Lambda: its versions, and the alias that routes requests to them.

Every change of the traffic split is one UpdateAlias call, which Lambda applies atomically.

https://docs.aws.amazon.com/lambda/latest/dg/configuring-alias-routing.html
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from movierec import settings
from movierec.aws import lambda_alias
from movierec.aws.session import client, translated
from movierec.errors import (
    ConfigError,
    MovierecError,
    ReleaseConflictError,
    ReleaseError,
    ReleaseNotFoundError,
    UnavailableError,
)
from movierec.releases.traffic_split import ALIAS, Alias, TrafficSplit

if TYPE_CHECKING:  # boto3-stubs is not shipped
    from mypy_boto3_lambda.client import LambdaClient

BY_CODE: Final[Mapping[str, type[MovierecError]]] = {
    "NotFoundException": ReleaseNotFoundError,
    "ResourceNotFoundException": ReleaseNotFoundError,
    "ConflictException": ReleaseConflictError,
    "ResourceConflictException": ReleaseConflictError,
    "PreconditionFailedException": ReleaseConflictError,
    "ServiceException": UnavailableError,
    "ServiceUnavailableException": UnavailableError,
    "TooManyRequestsException": UnavailableError,
    "AccessDeniedException": ConfigError,
    "ExpiredTokenException": ConfigError,
    "UnrecognizedClientException": ConfigError,
}
"""Errors for Lambda's and API Gateway's codes; any other code is a ReleaseError."""

# An update of a function's configuration takes a second on AWS, up to a minute with a VPC.
_SETTLED_WITHIN_S: Final = 120.0
_POLL_S: Final = 0.1

# Two versions with the same values of these are the same release: all that `cut` or Chalice sets.
_IDENTITY: Final = ("CodeSha256", "Environment", "Handler", "MemorySize", "Runtime", "Timeout")


@dataclass(slots=True)
class LambdaFunction:
    """`movierec.releases.ports.ServedFunction` on a Lambda function."""

    name: str
    sleep: Callable[[float], None] = time.sleep
    aws: "LambdaClient" = field(default_factory=lambda: client("lambda"))

    def alias(self) -> Alias | None:
        """Return the alias, None before the first release.

        Raises ReleaseNotFoundError when the function itself does not exist.
        """
        try:
            with self._errors(f"describe alias {ALIAS}"):
                found = self.aws.get_alias(FunctionName=self.name, Name=ALIAS)
        except ReleaseNotFoundError:
            self._latest()
            return None
        return Alias(
            lambda_alias.of_alias(found), lambda_alias.release_of(found), found["RevisionId"]
        )

    def update_alias(self, split: TrafficSplit, release_id: str, *, over: Alias | None) -> None:
        """Set the alias's traffic split, if its revision is still `over`'s."""
        if over is None:
            self._update_alias(self.aws.create_alias, split, release_id)
        else:
            self._update_alias(self.aws.update_alias, split, release_id, RevisionId=over.revision)

    def force_update(self, split: TrafficSplit, release_id: str) -> None:
        """Set the alias's traffic split whatever its revision."""
        self._update_alias(self.aws.update_alias, split, release_id)

    def version_with(self, model_version: str) -> str | None:
        """Return the newest version of the present code with a model, None if there is none."""
        wanted = _with_model(self._settled(), model_version)
        with self._errors("list the versions"):
            pages = self.aws.get_paginator("list_versions_by_function").paginate(
                FunctionName=self.name
            )
            versions = [_plain(found) for page in pages for found in page["Versions"]]
        same = [
            int(found["Version"])
            for found in versions
            if found["Version"] != "$LATEST"
            and all(found.get(name) == wanted.get(name) for name in _IDENTITY)
        ]
        return str(max(same)) if same else None

    def publish(self, model_version: str, description: str) -> str:
        """Publish a version with the model in its environment, then remove it from $LATEST.

        A published version keeps its environment; $LATEST without a model serves the newest.
        """
        latest = self._settled()
        self._set_environment(_with_model(latest, model_version)["Environment"])
        try:
            with self._errors("publish a version"):
                published = self.aws.publish_version(
                    FunctionName=self.name,
                    CodeSha256=latest["CodeSha256"],
                    Description=description,
                )
        finally:
            self._set_environment(_without_model(latest))
        version: str = published["Version"]
        self._settled(version)
        return version

    def model_of(self, version: str) -> str | None:
        """Return the model that a version is pinned to, None if it serves the newest."""
        model: str | None = self._configuration(version)["Environment"].get(settings.MODEL_VERSION)
        return model

    def invoke(self, version: str, event: Mapping[str, Any]) -> object:
        """Return a version's answer to an event, as JSON or text."""
        with self._errors(f"invoke version {version}"):
            answer = self.aws.invoke(
                FunctionName=self.name, Qualifier=version, Payload=json.dumps(event).encode()
            )
            body = answer["Payload"].read().decode("utf-8", "replace")
        try:
            return json.loads(body)
        except ValueError:
            return body

    def _update_alias(
        self, change: Callable[..., Any], split: TrafficSplit, release_id: str, **revision: str
    ) -> None:
        with self._errors(f"change the routing of alias {ALIAS}"):
            change(
                FunctionName=self.name,
                Name=ALIAS,
                **lambda_alias.to_alias(split, release_id),
                **revision,
            )

    def _set_environment(self, variables: Mapping[str, str]) -> None:
        with self._errors(f"set {settings.MODEL_VERSION}"):
            self.aws.update_function_configuration(
                FunctionName=self.name, Environment={"Variables": variables}
            )
        self._settled()

    def _settled(self, version: str | None = None) -> dict[str, Any]:
        """Return the configuration once no update is in progress. Raises ReleaseError."""
        for _ in range(round(_SETTLED_WITHIN_S / _POLL_S)):
            found = self._configuration(version)
            states = (found.get("State"), found.get("LastUpdateStatus"))
            if "Failed" in states:
                reason = found.get("LastUpdateStatusReason") or found.get("StateReason")
                raise ReleaseError(f"{self.name} failed to update: {reason}; deploy it anew")
            if not {"Pending", "InProgress"}.intersection(states):
                return found
            self.sleep(_POLL_S)
        raise UnavailableError(
            f"{self.name} is still being updated after {_SETTLED_WITHIN_S:.0f} s: try again"
        )

    def _configuration(self, version: str | None) -> dict[str, Any]:
        """Return Lambda's configuration, as `_plain` has it."""
        if version is None:
            return self._latest()
        with self._errors(f"describe version {version}"):
            found = self.aws.get_function_configuration(FunctionName=self.name, Qualifier=version)
        return _plain(found)

    def _latest(self) -> dict[str, Any]:
        """Return the configuration of $LATEST, as `_plain` has it.

        Lambda has the same error for a missing alias and a missing function: this call
        distinguishes them.
        """
        try:
            with self._errors("describe version $LATEST"):
                return _plain(self.aws.get_function_configuration(FunctionName=self.name))
        except ReleaseNotFoundError as exc:
            raise ReleaseNotFoundError(
                f"there is no function {self.name}: name the API's in "
                f"{settings.API_FUNCTION}, or deploy it with `movierec up`"
            ) from exc

    @contextmanager
    def _errors(self, what: str) -> Iterator[None]:
        with translated(f"{what} of {self.name}", BY_CODE, ReleaseError):
            yield


def _plain(configuration: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration whose `Environment` holds the variables themselves."""
    environment = configuration.get("Environment") or {}
    return {**configuration, "Environment": environment.get("Variables", {})}


def _without_model(latest: Mapping[str, Any]) -> dict[str, str]:
    variables: Mapping[str, str] = latest["Environment"]
    return {name: value for name, value in variables.items() if name != settings.MODEL_VERSION}


def _with_model(latest: Mapping[str, Any], model_version: str) -> dict[str, Any]:
    return {
        **latest,
        "Environment": {**latest["Environment"], settings.MODEL_VERSION: model_version},
    }
