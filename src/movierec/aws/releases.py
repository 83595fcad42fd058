"""Releases of the API function on Lambda: cut a version, test it, send users to it, take it back.

Every change of routing is one UpdateAlias call, which Lambda applies atomically, and is written to
`releases/<release_id>/` before that call. A crash in between leaves a record of a step that was
not taken; every step can be repeated. Steps forward carry the alias's RevisionId, so that one that
was decided before a rollback is refused after it; a rollback carries none and always goes through.

https://docs.aws.amazon.com/lambda/latest/dg/configuring-alias-routing.html
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Final

from movierec import artifact, rollout, settings
from movierec.aws.s3 import S3Store
from movierec.aws.session import client, translated
from movierec.clock import SystemClock
from movierec.errors import (
    ConfigError,
    MovierecError,
    ObjectExistsError,
    ObjectNotFoundError,
    ReleaseConflictError,
    ReleaseError,
    ReleaseNotFoundError,
    UnavailableError,
)
from movierec.ports import Clock, ObjectStore
from movierec.rollout import ALIAS, Routing, Step, StepName

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


@dataclass(frozen=True, slots=True)
class Released:
    """What `cut` did: the version, its release, and who gets what now."""

    release_id: str
    version: str
    routing: Routing


@dataclass(slots=True)
class Releases:
    """The releases of one function; `store` is the artifacts bucket.

    Methods raise ReleaseError when the present state does not allow the step,
    ReleaseNotFoundError without a function or alias, ReleaseConflictError when somebody else
    moved the alias meanwhile, and UnavailableError when nobody answers.
    """

    function: str
    store: ObjectStore
    clock: Clock = field(default_factory=SystemClock)
    sleep: Callable[[float], None] = time.sleep
    aws: Any = field(default_factory=lambda: client("lambda"))

    @classmethod
    def from_env(cls, env: Mapping[str, str], function: str) -> "Releases":
        """Open the releases of a function as the environment says. Raises ConfigError."""
        return cls(function, S3Store.from_env(env, settings.ARTIFACTS_BUCKET))

    def describe(self) -> Routing | None:
        """Return who gets which version, None before the first release."""
        alias = self._alias()
        if alias is None:
            self._require_function()
            return None
        return rollout.of_alias(alias)

    def models(self, routing: Routing) -> Mapping[str, str | None]:
        """Return the model that each version of a routing is pinned to."""
        versions = (routing.stable, routing.canary)
        return {version: self._model_of(version) for version in versions if version}

    def cut(
        self, model_version: str, description: str = "", *, canary_percent: float | None = None
    ) -> Released:
        """Publish the function's present code with a model, test it, and send users to it.

        The first release gets everybody; later ones `canary_percent` of users, or everybody if it
        is None. A version that fails its smoke test is never routed to: ReleaseError says why.
        A version that was published with this code, configuration and model is used again.
        """
        self._require_model(model_version)
        alias, latest = self._alias(), self._settled()
        before = rollout.of_alias(alias) if alias else None
        version = self._published(_with_model(latest, model_version))
        rollout.route(before, version or "new", canary_percent)  # refuse before anything is done
        repeated = version is not None and before is not None and before.canary == version
        release = self._release(alias if repeated else None)
        step = Step(release, self.function, model_version, before, version=version)
        self._write(replace(step, name="cut", after=before, reason=description))
        if version is None:
            version = self._publish(latest, release, model_version, description)
        self._smoke(replace(step, name="smoke", version=version, after=before))
        after = rollout.route(before, version, canary_percent)
        if after != before:
            self._write(replace(step, name="route", version=version, after=after))
            self._point(alias, after, release)
        return Released(release, version, after)

    def set_weights(self, canary_percent: float, reason: str = "") -> Routing:
        """Send another share of users to the canary."""
        return self._forward("weigh", lambda before: rollout.weigh(before, canary_percent), reason)

    def promote(self, reason: str = "") -> Routing:
        """Make the canary stable, for everybody."""
        return self._forward("promote", rollout.promote, reason)

    def rollback(self, reason: str = "") -> Routing:
        """Send everybody to the stable version, whatever is under way; do nothing if they are.

        Users come before records: it is carried out even if it cannot be written down, and the
        error is raised after that.
        """
        alias = self._require_alias()
        before = rollout.of_alias(alias)
        if before.canary is None:
            return before
        after, release = rollout.roll_back(before), self._release(alias)
        try:
            step = Step(release, self.function, self._model_of(before.canary), before)
            self._write(
                replace(step, name="rollback", version=before.canary, after=after, reason=reason),
                insist=True,
            )
        finally:
            # Without its RevisionId: no step that somebody else takes now may keep users there.
            self._point({**alias, "RevisionId": None}, after, release)
        return after

    # Steps ------------------------------------------------------------------------------

    def _forward(
        self, name: StepName, change: Callable[[Routing], Routing], reason: str
    ) -> Routing:
        alias = self._require_alias()
        before = rollout.of_alias(alias)
        after, release = change(before), self._release(alias)
        if after != before:
            step = Step(release, self.function, self._model_of(before.canary), before)
            self._write(replace(step, name=name, version=before.canary, after=after, reason=reason))
            self._point(alias, after, release)
        return after

    def _release(self, alias: Mapping[str, Any] | None) -> str:
        """Return the release that the alias is in, a new one without an alias."""
        return rollout.release_of(alias or {}) or rollout.release_id(self.clock.now())

    def _write(self, step: Step, *, insist: bool = False) -> None:
        """Record a step. With `insist`, a number that somebody took meanwhile is passed over."""
        prefix = f"{rollout.PREFIX}{step.release_id}/"
        numbers = [rollout.step_number(key) for key in self.store.keys(prefix)]
        number = max(numbers, default=0) + 1
        at = self.clock.now().isoformat(timespec="milliseconds")
        try:
            self.store.put_if_absent(
                rollout.step_key(step.release_id, number, step.name),
                rollout.dump_step(replace(step, at=at)),
            )
        except ObjectExistsError as exc:
            if insist:
                self._write(step, insist=True)
                return
            raise ReleaseConflictError(
                f"release {step.release_id}: somebody else is taking step {number} right now; "
                f"{ReleaseConflictError.next_step}"
            ) from exc

    def _point(self, alias: Mapping[str, Any] | None, routing: Routing, release: str) -> None:
        change = self.aws.update_alias if alias else self.aws.create_alias
        revision = {"RevisionId": alias["RevisionId"]} if alias and alias["RevisionId"] else {}
        with self._errors(f"change the routing of alias {ALIAS}"):
            change(
                FunctionName=self.function,
                Name=ALIAS,
                **rollout.to_alias(routing, release),
                **revision,
            )

    # Versions ---------------------------------------------------------------------------

    def _publish(
        self, latest: Mapping[str, Any], release: str, model_version: str, description: str
    ) -> str:
        """Publish a version with the model in its environment, and take it out of $LATEST again.

        A published version keeps its environment; $LATEST without a model serves the newest.
        """
        self._set_environment(_with_model(latest, model_version)["Environment"])
        try:
            with self._errors("publish a version"):
                published = self.aws.publish_version(
                    FunctionName=self.function,
                    CodeSha256=latest["CodeSha256"],
                    Description=rollout.describe_version(release, model_version, description),
                )
        finally:
            self._set_environment(_without_model(latest))
        version: str = published["Version"]
        self._settled(version)
        return version

    def _set_environment(self, variables: Mapping[str, str]) -> None:
        with self._errors(f"set {settings.MODEL_VERSION}"):
            self.aws.update_function_configuration(
                FunctionName=self.function, Environment={"Variables": variables}
            )
        self._settled()

    def _require_model(self, model_version: str) -> None:
        try:
            self.store.get(artifact.key(model_version, artifact.MANIFEST_FILE))
        except ObjectNotFoundError as exc:
            raise ReleaseError(
                f"there is no complete model {model_version!r} to release: see `movierec status`, "
                "or train one"
            ) from exc

    def _published(self, wanted: Mapping[str, Any]) -> str | None:
        """Return the newest version with this code and configuration, None if there is none."""
        with self._errors("list the versions"):
            pages = self.aws.get_paginator("list_versions_by_function").paginate(
                FunctionName=self.function
            )
            versions = [_plain(found) for page in pages for found in page["Versions"]]
        same = [
            int(found["Version"])
            for found in versions
            if found["Version"] != "$LATEST"
            and all(found.get(name) == wanted.get(name) for name in _IDENTITY)
        ]
        return str(max(same)) if same else None

    def _smoke(self, step: Step) -> None:
        version, model = str(step.version), str(step.model_version)
        self._write(step)
        answer = self._invoke(version, rollout.smoke_event())
        faults = rollout.smoke_faults(answer, version=version, model_version=model)
        if faults:
            reason = "; ".join(faults)
            self._write(replace(step, name="abort", reason=reason))
            raise ReleaseError(
                f"version {version} of {self.function} with model {model} failed its smoke test "
                f"and gets no users: {reason}"
            )

    def _invoke(self, version: str, event: Mapping[str, Any]) -> object:
        with self._errors(f"invoke version {version}"):
            answer = self.aws.invoke(
                FunctionName=self.function, Qualifier=version, Payload=json.dumps(event).encode()
            )
            body = answer["Payload"].read().decode("utf-8", "replace")
        try:
            return json.loads(body)
        except ValueError:
            return body

    def _settled(self, version: str | None = None) -> dict[str, Any]:
        """Return the configuration once nothing is being changed. Raises ReleaseError."""
        for _ in range(round(_SETTLED_WITHIN_S / _POLL_S)):
            found = self._configuration(version)
            states = (found.get("State"), found.get("LastUpdateStatus"))
            if "Failed" in states:
                reason = found.get("LastUpdateStatusReason") or found.get("StateReason")
                raise ReleaseError(f"{self.function} failed to update: {reason}; deploy it anew")
            if not {"Pending", "InProgress"}.intersection(states):
                return found
            self.sleep(_POLL_S)
        raise UnavailableError(
            f"{self.function} is still being updated after {_SETTLED_WITHIN_S:.0f} s: try again"
        )

    def _configuration(self, version: str | None) -> dict[str, Any]:
        """Return Lambda's configuration, as `_plain` has it."""
        if version is None:
            return self._require_function()
        with self._errors(f"describe version {version}"):
            found = self.aws.get_function_configuration(
                FunctionName=self.function, Qualifier=version
            )
        return _plain(found)

    def _require_function(self) -> dict[str, Any]:
        """Return the configuration of $LATEST, as `_plain` has it.

        To an alias that is not there Lambda says the same as to a function that is not there:
        this tells the two apart.
        """
        try:
            with self._errors("describe version $LATEST"):
                return _plain(self.aws.get_function_configuration(FunctionName=self.function))
        except ReleaseNotFoundError as exc:
            raise ReleaseNotFoundError(
                f"there is no function {self.function}: name the API's in "
                f"{settings.API_FUNCTION}, or deploy it with `movierec up`"
            ) from exc

    def _model_of(self, version: str | None) -> str | None:
        if version is None:
            return None
        model: str | None = self._configuration(version)["Environment"].get(settings.MODEL_VERSION)
        return model

    # Alias ------------------------------------------------------------------------------

    def _alias(self) -> dict[str, Any] | None:
        try:
            with self._errors(f"describe alias {ALIAS}"):
                found: dict[str, Any] = self.aws.get_alias(FunctionName=self.function, Name=ALIAS)
        except ReleaseNotFoundError:
            return None
        return found

    def _require_alias(self) -> dict[str, Any]:
        alias = self._alias()
        if alias is None:
            self._require_function()
            raise ReleaseNotFoundError(
                f"{self.function} has no alias {ALIAS}: {ReleaseNotFoundError.next_step}"
            )
        return alias

    @contextmanager
    def _errors(self, what: str) -> Iterator[None]:
        with translated(f"{what} of {self.function}", BY_CODE, ReleaseError):
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
