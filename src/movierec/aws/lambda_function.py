"""The API's function on Lambda: versions, and the alias that users come through.

Every change of routing is one UpdateAlias call, which Lambda applies atomically.

https://docs.aws.amazon.com/lambda/latest/dg/configuring-alias-routing.html
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

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
"""Lambda's and API Gateway's error codes in this product's words; the rest are ReleaseErrors."""

# An update of a function's configuration takes a second on AWS, up to a minute with a VPC.
_SETTLED_WITHIN_S: Final = 120.0
_POLL_S: Final = 0.1

# What makes two published versions the same release: everything that `cut` or Chalice sets.
_IDENTITY: Final = ("CodeSha256", "Environment", "Handler", "MemorySize", "Runtime", "Timeout")


@dataclass(slots=True)
class LambdaFunction:
    """`movierec.ports.ServedFunction` on a Lambda function."""

    name: str
    sleep: Callable[[float], None] = time.sleep
    aws: Any = field(default_factory=lambda: client("lambda"))

    def alias(self) -> Alias | None:
        """Return the alias, None before the first release.

        Raises ReleaseNotFoundError when it is the function that does not exist.
        """
        try:
            with self._errors(f"describe alias {ALIAS}"):
                found: dict[str, Any] = self.aws.get_alias(FunctionName=self.name, Name=ALIAS)
        except ReleaseNotFoundError:
            self._latest()
            return None
        return Alias(
            lambda_alias.of_alias(found), lambda_alias.release_of(found), found["RevisionId"]
        )

    def update_alias(self, split: TrafficSplit, release_id: str, *, over: Alias | None) -> None:
        """Send users where a routing says; see `movierec.ports.ServedFunction.point`."""
        if over is None:
            self._update_alias(self.aws.create_alias, split, release_id)
        else:
            self._update_alias(self.aws.update_alias, split, release_id, RevisionId=over.revision)

    def force_update(self, split: TrafficSplit, release_id: str) -> None:
        """Send users where a routing says, whatever anybody else decided meanwhile."""
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
        """Publish a version with the model in its environment, and take it out of $LATEST again.

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
        """Return the model that a version is pinned to, None for whatever is newest."""
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
        """Return the configuration once nothing is being changed. Raises ReleaseError."""
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

        To an alias that is not there Lambda says the same as to a function that is not there:
        this tells the two apart.
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
