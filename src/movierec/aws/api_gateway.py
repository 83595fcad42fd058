"""API Gateway's stage `live`, which invokes the alias; it is separate from Chalice's stage.

A deployment is an immutable snapshot of the API's resources. Chalice deploys the resources to its
own stage, with integrations that invoke `$LATEST`. `ensure_live_stage` points the integrations at
the alias, deploys a snapshot to stage `live`, and points them back: so the resources stay as
Chalice made them, and its stage, a snapshot of its own, is not touched.

https://docs.aws.amazon.com/apigateway/latest/developerguide/how-to-deploy-api.html
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from movierec.aws import lambda_alias
from movierec.aws.lambda_function import BY_CODE
from movierec.aws.session import client, translated
from movierec.errors import ReleaseConflictError, ReleaseError, ReleaseNotFoundError
from movierec.releases.traffic_split import ALIAS

if TYPE_CHECKING:  # boto3-stubs is not shipped
    from mypy_boto3_apigateway.client import APIGatewayClient
    from mypy_boto3_lambda.client import LambdaClient

# GetIntegration's fields that PutIntegration accepts. `uri` is always the unqualified one.
_KEPT: Final = (
    "cacheKeyParameters",
    "cacheNamespace",
    "contentHandling",
    "passthroughBehavior",
    "requestParameters",
    "requestTemplates",
    "timeoutInMillis",
    "type",
    "uri",
)


# API Gateway's defaults: PutIntegration may store them for a field that was not set.
_DEFAULTS: Final[Mapping[str, Any]] = {
    "passthroughBehavior": "WHEN_NO_MATCH",
    "timeoutInMillis": 29_000,
}


# Values that AWS and the emulator may write or leave out.
_NOTHING: Final[tuple[Any, ...]] = (None, "", False, [], {})


@dataclass(frozen=True, slots=True)
class Integration:
    """The integration of one method of one resource with the function.

    `body` is the integration, `settings` the method's own (authorization, API key, ...).
    """

    resource_id: str
    path: str
    method: str
    body: Mapping[str, Any]
    settings: Mapping[str, Any]

    @property
    def uri(self) -> str:
        """The invocation's URI, which contains the function's ARN."""
        return str(self.body["uri"])

    @property
    def kept(self) -> Mapping[str, Any]:
        """PutIntegration's arguments."""
        return {name: value for name, value in self.body.items() if name in _KEPT}

    def facts(self) -> Mapping[str, Any]:
        """Return all that a deployment snapshots of it, normalized."""
        kept = {name: value for name, value in self.kept.items() if value not in _NOTHING}
        # Its default is the resource's id, and it has no meaning unless something is cached.
        if not kept.get("cacheKeyParameters"):
            kept.pop("cacheNamespace", None)
        settings = {name: value for name, value in self.settings.items() if value not in _NOTHING}
        return {"path": self.path, "method": self.method, **_DEFAULTS, **kept, "of": settings}


@dataclass(slots=True)
class Gateway:
    """REST APIs. Methods raise ReleaseError or a subclass, ConfigError and UnavailableError."""

    aws: "APIGatewayClient" = field(default_factory=lambda: client("apigateway"))
    aws_lambda: "LambdaClient" = field(default_factory=lambda: client("lambda"))

    def find(self, name: str) -> str | None:
        """Return the id of the oldest REST API of that name, None if there is none."""
        with _errors(f"find REST API {name}"):
            pages = self.aws.get_paginator("get_rest_apis").paginate()
            found = [api for page in pages for api in page["items"] if api["name"] == name]
        oldest = min(found, key=lambda api: (api["createdDate"], api["id"]), default=None)
        return oldest["id"] if oldest else None

    def ensure_live_stage(self, rest_api_id: str) -> str:
        """Deploy the API's present routes, through the alias, to stage `live`; idempotent.

        Returns the deployment's id. Raises ReleaseNotFoundError when the API has no integration
        with a function, or that function no alias.
        """
        integrations = tuple(self._integrations(rest_api_id))
        functions = {lambda_alias.function_in(integration.uri) for integration in integrations}
        if not integrations:
            raise ReleaseNotFoundError(f"REST API {rest_api_id} invokes no function: deploy it")
        fingerprint = _fingerprint(integrations)
        deployed = self._deployed(rest_api_id)
        if deployed.get("description") == fingerprint:
            return str(deployed["id"])
        for function in sorted(filter(None, functions)):
            self._permit(function, rest_api_id)
        return self._snapshot(rest_api_id, integrations, fingerprint)

    def _snapshot(
        self, rest_api_id: str, integrations: tuple[Integration, ...], fingerprint: str
    ) -> str:
        try:
            for integration in integrations:
                self._put_integration(
                    rest_api_id, integration, lambda_alias.with_qualified_arn(integration.uri)
                )
            with _errors(f"deploy REST API {rest_api_id} to stage {ALIAS}"):
                made = self.aws.create_deployment(
                    restApiId=rest_api_id, stageName=ALIAS, description=fingerprint
                )
        finally:
            for integration in integrations:
                self._put_integration(rest_api_id, integration, integration.uri)
        return str(made["id"])

    def _integrations(self, rest_api_id: str) -> Iterator[Integration]:
        with _errors(f"read REST API {rest_api_id}"):
            pages = self.aws.get_paginator("get_resources").paginate(
                restApiId=rest_api_id, embed=["methods"]
            )
            resources = [resource for page in pages for resource in page["items"]]
        for resource in resources:
            for method, settings in sorted((resource.get("resourceMethods") or {}).items()):
                body = settings.get("methodIntegration") or {}
                # A crash in `_snapshot` can leave qualified ARNs behind: the next run repairs them.
                uri = lambda_alias.with_unqualified_arn(body.get("uri", ""))
                if lambda_alias.function_in(uri):
                    whole = {**body, "uri": uri}
                    around = {k: v for k, v in settings.items() if k != "methodIntegration"}
                    yield Integration(resource["id"], resource["path"], method, whole, around)

    def _put_integration(self, rest_api_id: str, integration: Integration, uri: str) -> None:
        with _errors(f"point {integration.path} of REST API {rest_api_id} at {uri}"):
            self.aws.put_integration(
                restApiId=rest_api_id,
                resourceId=integration.resource_id,
                httpMethod=integration.method,
                integrationHttpMethod="POST",  # Lambda's, whatever the route's method
                **{**integration.kept, "uri": uri},
            )

    def _deployed(self, rest_api_id: str) -> Mapping[str, Any]:
        """Return stage `live`'s deployment, an empty one if there is no stage."""
        try:
            with _errors(f"read stage {ALIAS} of REST API {rest_api_id}"):
                stage = self.aws.get_stage(restApiId=rest_api_id, stageName=ALIAS)
                found: Mapping[str, Any] = self.aws.get_deployment(
                    restApiId=rest_api_id, deploymentId=stage["deploymentId"]
                )
        except ReleaseNotFoundError:
            return {}
        return found

    def _permit(self, function_arn: str, rest_api_id: str) -> None:
        """Let the API invoke the alias: a permission on the function does not cover it."""
        try:
            with _errors(f"let REST API {rest_api_id} invoke {function_arn}:{ALIAS}"):
                self.aws_lambda.add_permission(
                    FunctionName=function_arn,
                    Qualifier=ALIAS,
                    StatementId=_statement_id(rest_api_id),
                    Action="lambda:InvokeFunction",
                    Principal="apigateway.amazonaws.com",
                    SourceArn=_source_arn(function_arn, rest_api_id),
                )
        except ReleaseConflictError:
            # It exists already; or an update is in progress, for which Lambda has the same code.
            if not self._permitted(function_arn, rest_api_id):
                raise

    def _permitted(self, function_arn: str, rest_api_id: str) -> bool:
        """Return whether the alias's policy lets the API invoke it."""
        try:
            with _errors(f"read who may invoke {function_arn}:{ALIAS}"):
                found = self.aws_lambda.get_policy(FunctionName=function_arn, Qualifier=ALIAS)
        except ReleaseNotFoundError:
            return False
        statements = json.loads(found["Policy"]).get("Statement", [])
        return any(s.get("Sid") == _statement_id(rest_api_id) for s in statements)


def _statement_id(rest_api_id: str) -> str:
    return f"apigateway-{rest_api_id}"


def _source_arn(function_arn: str, rest_api_id: str) -> str:
    _, partition, _, region, account, *_ = function_arn.split(":")
    return f"arn:{partition}:execute-api:{region}:{account}:{rest_api_id}/{ALIAS}/*"


def _fingerprint(integrations: tuple[Integration, ...]) -> str:
    """Return a digest of the routes; it is the deployment's description."""
    routes = sorted(json.dumps(i.facts(), sort_keys=True, default=str) for i in integrations)
    digest = hashlib.sha256(json.dumps(routes).encode()).hexdigest()[:16]
    return f"routes {digest} through alias {ALIAS}"


def _errors(what: str) -> AbstractContextManager[None]:
    return translated(what, BY_CODE, ReleaseError)
