"""Stage `live`: the API's routes through the alias, and Chalice's own left alone; on moto."""

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from movierec.aws.api_gateway import Gateway
from movierec.errors import ReleaseConflictError, ReleaseNotFoundError

pytest.importorskip("openapi_spec_validator", reason="moto's API Gateway needs moto[apigateway]")

ARN = "arn:aws:lambda:us-east-1:123456789012:function:movierec-api"
URI = f"arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/{ARN}/invocations"
ALIASED = URI.replace("movierec-api", "movierec-api:live")


class Permissions:
    """Lambda's policies: what was granted, refusing a statement that exists."""

    def __init__(self) -> None:
        self.granted: list[dict[str, Any]] = []
        self.updating = False

    def get_policy(self, **_: Any) -> dict[str, str]:
        if not self.granted:
            raise ClientError({"Error": {"Code": "ResourceNotFoundException"}}, "GetPolicy")
        statements = [{"Sid": statement["StatementId"]} for statement in self.granted]
        return {"Policy": json.dumps({"Statement": statements})}

    def add_permission(self, **statement: Any) -> None:
        if self.updating:
            raise ClientError({"Error": {"Code": "ResourceConflictException"}}, "AddPermission")
        if any(s["StatementId"] == statement["StatementId"] for s in self.granted):
            raise ClientError({"Error": {"Code": "ResourceConflictException"}}, "AddPermission")
        self.granted.append(statement)


class Lab:
    """An API with two routes to a function and one to nothing, deployed to Chalice's stage."""

    def __init__(self) -> None:
        self.aws: Any = boto3.client("apigateway")
        self.permissions = Permissions()
        permissions: Any = self.permissions
        self.gateway = Gateway(self.aws, permissions)
        self.api: str = self.aws.create_rest_api(name="movierec")["id"]
        self.root: str = self.aws.get_resources(restApiId=self.api)["items"][0]["id"]
        self.routes = [self.add_route("popular"), self.add_route("version")]
        self.deploy("latest")

    def add_route(self, name: str, uri: str = URI) -> str:
        made = self.aws.create_resource(restApiId=self.api, parentId=self.root, pathPart=name)
        resource_id: str = made["id"]
        self.add_method(resource_id)
        self.integrate(resource_id, uri=uri)
        return resource_id

    def add_method(self, resource_id: str, **settings: Any) -> None:
        place = {"restApiId": self.api, "resourceId": resource_id, "httpMethod": "GET"}
        self.aws.put_method(**place, authorizationType="NONE", **settings)

    def integrate(self, resource_id: str, **changes: Any) -> None:
        settings = {"uri": URI, "timeoutInMillis": 900, **changes}
        self.aws.put_integration(
            restApiId=self.api,
            resourceId=resource_id,
            httpMethod="GET",
            type="AWS_PROXY",
            integrationHttpMethod="POST",
            **settings,
        )

    def deploy(self, stage: str) -> None:
        self.aws.create_deployment(restApiId=self.api, stageName=stage)

    def stages(self) -> dict[str, str]:
        found = self.aws.get_stages(restApiId=self.api)["item"]
        return {stage["stageName"]: stage["deploymentId"] for stage in found}

    def integration(self, resource_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.aws.get_integration(
            restApiId=self.api, resourceId=resource_id, httpMethod="GET"
        )
        return found


@pytest.fixture
def lab() -> Iterator[Lab]:
    with mock_aws():
        yield Lab()


def test_an_api_is_found_by_name(lab: Lab) -> None:
    assert lab.gateway.find("movierec") == lab.api
    assert lab.gateway.find("other") is None


def test_stage_live_is_made_beside_chalices_own(lab: Lab) -> None:
    before = lab.stages()

    deployment = lab.gateway.ensure_live_stage(lab.api)

    assert lab.stages() == {**before, "live": deployment}


def test_the_snapshot_leads_through_the_alias_and_the_resources_do_not(lab: Lab) -> None:
    seen: list[set[str]] = []

    class Watched:
        def __getattr__(self, name: str) -> Any:
            real = getattr(lab.aws, name)

            def call(**arguments: Any) -> Any:
                if name == "create_deployment":
                    seen.append({lab.integration(route)["uri"] for route in lab.routes})
                return real(**arguments)

            return real if name == "get_paginator" else call

    watched: Any = Watched()
    permissions: Any = lab.permissions
    Gateway(watched, permissions).ensure_live_stage(lab.api)

    assert seen == [{ALIASED}]
    assert {lab.integration(route)["uri"] for route in lab.routes} == {URI}


def test_an_integration_keeps_its_other_settings(lab: Lab) -> None:
    before = lab.integration(lab.routes[0])

    lab.gateway.ensure_live_stage(lab.api)

    after = lab.integration(lab.routes[0])
    for settings in ("type", "httpMethod", "timeoutInMillis", "passthroughBehavior"):
        assert after.get(settings) == before.get(settings)


def test_a_second_call_changes_nothing(lab: Lab) -> None:
    first = lab.gateway.ensure_live_stage(lab.api)
    before = lab.stages()

    assert lab.gateway.ensure_live_stage(lab.api) == first
    assert lab.stages() == before
    assert len(lab.permissions.granted) == 1


@pytest.mark.parametrize(
    "change", [{"timeoutInMillis": 500}, {"contentHandling": "CONVERT_TO_TEXT"}], ids=str
)
def test_a_changed_integration_is_deployed(lab: Lab, change: dict[str, Any]) -> None:
    first = lab.gateway.ensure_live_stage(lab.api)
    lab.integrate(lab.routes[0], **change)

    assert lab.gateway.ensure_live_stage(lab.api) != first


def test_a_method_that_asks_for_a_key_now_is_deployed(lab: Lab) -> None:
    first = lab.gateway.ensure_live_stage(lab.api)
    lab.add_method(lab.routes[0], apiKeyRequired=True)
    lab.integrate(lab.routes[0])

    assert lab.gateway.ensure_live_stage(lab.api) != first


def test_a_permission_that_is_there_is_enough(lab: Lab) -> None:
    lab.gateway.ensure_live_stage(lab.api)
    lab.add_route("healthz")

    lab.gateway.ensure_live_stage(lab.api)

    assert len(lab.permissions.granted) == 1


def test_a_permission_that_an_update_prevented_is_no_permission(lab: Lab) -> None:
    """Else stage `live` would answer 500 to all requests: it may not invoke the alias."""
    lab.permissions.updating = True

    with pytest.raises(ReleaseConflictError, match="invoke"):
        lab.gateway.ensure_live_stage(lab.api)

    assert "live" not in lab.stages()


def test_a_new_route_is_deployed(lab: Lab) -> None:
    first = lab.gateway.ensure_live_stage(lab.api)
    lab.add_route("healthz")

    second = lab.gateway.ensure_live_stage(lab.api)

    assert second != first
    assert lab.stages()["live"] == second


def test_the_api_may_invoke_the_alias_from_stage_live_alone(lab: Lab) -> None:
    lab.gateway.ensure_live_stage(lab.api)

    (statement,) = lab.permissions.granted
    assert (statement["FunctionName"], statement["Qualifier"]) == (ARN, "live")
    assert statement["SourceArn"] == (
        f"arn:aws:execute-api:us-east-1:123456789012:{lab.api}/live/*"
    )


def test_resources_that_a_crash_left_on_the_alias_are_healed(lab: Lab) -> None:
    broken = lab.add_route("healthz", ALIASED)

    lab.gateway.ensure_live_stage(lab.api)

    assert lab.integration(broken)["uri"] == URI
    assert [statement["FunctionName"] for statement in lab.permissions.granted] == [ARN]


def test_an_api_that_invokes_no_function_is_refused(lab: Lab) -> None:
    empty = lab.aws.create_rest_api(name="empty")["id"]

    with pytest.raises(ReleaseNotFoundError, match="invokes no function"):
        lab.gateway.ensure_live_stage(empty)


def test_an_api_that_is_not_there_is_said_by_its_id(lab: Lab) -> None:
    with pytest.raises(ReleaseNotFoundError, match="REST API nosuchapi"):
        lab.gateway.ensure_live_stage("nosuchapi")
