"""Releases on the emulator: who really answers, at each step, through alias and gateway."""

import io
import json
import urllib.request
import uuid
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest

from movierec.aws.api_gateway import Gateway
from movierec.aws.lambda_function import LambdaFunction
from movierec.aws.session import client
from movierec.errors import ReleaseConflictError, ReleaseError
from movierec.model import artifact, sealed_folder
from movierec.releases.by_hand import ByHand
from movierec.releases.log import ReleaseLog
from movierec.releases.registry import Releases
from movierec.releases.rollback import roll_back
from movierec.releases.traffic_split import ALIAS, TrafficSplit
from movierec.runtime.clock import SystemClock
from movierec.stack.deploy.chalice_api import local_url
from movierec.testing.memory import MemoryStore
from movierec.testing.releases import MemoryAlarms, MemoryTopic

M1, M2 = "20261120T101500Z-abc-def", "20261121T101500Z-abc-def"

# Answers as the API does, so that a smoke test can pass; a model named in BROKEN does not.
HANDLER = """
import os
def handler(event, context):
    version, model = os.environ["AWS_LAMBDA_FUNCTION_VERSION"], os.environ.get("MODEL_VERSION", "")
    if model and model == os.environ.get("BROKEN"):
        raise RuntimeError("broken model")
    headers = {"X-Function-Version": version, "X-Model-Version": model}
    return {"statusCode": 200, "headers": headers, "body": "a,b"}
"""


@pytest.fixture
def function(emulated_aws: Mapping[str, str]) -> Iterator[str]:
    """Yield the name of a function of its own, with a role of its own."""
    name = f"api-{uuid.uuid4().hex[:8]}"
    role = client("iam").create_role(RoleName=name, AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("app.py", HANDLER)
    client("lambda").create_function(
        FunctionName=name,
        Runtime="python3.13",
        Role=role,
        Handler="app.handler",
        Code={"ZipFile": code.getvalue()},
        Timeout=10,
    )
    client("lambda").get_waiter("function_active_v2").wait(FunctionName=name)
    yield name
    client("lambda").delete_function(FunctionName=name)


@pytest.fixture
def releases(function: str) -> Releases:
    store = MemoryStore({artifact.key(m, sealed_folder.MANIFEST_FILE): b"" for m in (M1, M2)})
    clock = SystemClock()
    served, log = LambdaFunction(function), ReleaseLog(store, clock)
    return Releases(served, log, clock, MemoryAlarms(), MemoryTopic(), lambda key: key)


def who_answers(function: str, calls: int) -> Counter[str]:
    """Return how many calls of the alias each version answered."""
    found: Counter[str] = Counter()
    for _ in range(calls):
        answer = client("lambda").invoke(FunctionName=function, Qualifier=ALIAS, Payload=b"{}")
        found[json.loads(answer["Payload"].read())["headers"]["X-Function-Version"]] += 1
    return found


def test_users_go_where_each_step_says(releases: Releases) -> None:
    assert ByHand(releases).release_now(M1)[1] == TrafficSplit("1")
    assert who_answers(releases.function.name, 5) == {"1": 5}

    assert ByHand(releases).release_now(M2, canary_percent=50)[1] == TrafficSplit("1", "2", 50)
    # Of 60 fair draws fewer than 12 or more than 48 come once in a million runs.
    assert 12 <= who_answers(releases.function.name, 60)["2"] <= 48

    ByHand(releases).set_weights(100)
    assert releases.split() == TrafficSplit("1", "2", 100)
    assert who_answers(releases.function.name, 10) == {"2": 10}

    assert roll_back(releases, "too many errors") == TrafficSplit("1")
    assert who_answers(releases.function.name, 10) == {"1": 10}

    ByHand(releases).release_now(M2, canary_percent=0)
    assert who_answers(releases.function.name, 10) == {"1": 10}
    assert ByHand(releases).promote() == TrafficSplit("2")
    assert who_answers(releases.function.name, 10) == {"2": 10}


def test_a_version_that_fails_its_smoke_test_gets_nobody(releases: Releases) -> None:
    ByHand(releases).release_now(M1)
    client("lambda").update_function_configuration(
        FunctionName=releases.function.name, Environment={"Variables": {"BROKEN": M2}}
    )

    with pytest.raises(ReleaseError, match="broken model"):
        ByHand(releases).release_now(M2, canary_percent=50)
    assert who_answers(releases.function.name, 5) == {"1": 5}


def test_a_step_that_was_decided_before_a_rollback_is_refused_after_it(
    releases: Releases,
) -> None:
    ByHand(releases).release_now(M1)
    ByHand(releases).release_now(M2, canary_percent=50)

    class Overtaken:
        """Somebody rolls back between the look at the alias and the step."""

        def __getattr__(self, name: str) -> Any:
            if name == "update_alias":
                roll_back(releases, "alarm")
            return getattr(client("lambda"), name)

    overtaken: Any = Overtaken()
    slow = LambdaFunction(releases.function.name, aws=overtaken)
    with pytest.raises(ReleaseConflictError):
        ByHand(replace(releases, function=slow)).promote()
    assert releases.split() == TrafficSplit("1")


def test_stage_live_follows_the_alias_and_chalices_own_stage_does_not(
    releases: Releases, emulated_aws: Mapping[str, str]
) -> None:
    ByHand(releases).release_now(M1)
    api = _deployed_api(releases.function.name)

    deployment = Gateway().ensure_live_stage(api)

    endpoint = emulated_aws["AWS_ENDPOINT_URL"]
    live, latest = (local_url(endpoint, api, stage) + "/popular" for stage in (ALIAS, "latest"))
    assert (_version(live), _version(latest)) == ("1", "$LATEST")
    ByHand(releases).release_now(M2)
    assert (_version(live), _version(latest)) == ("2", "$LATEST")
    assert Gateway().ensure_live_stage(api) == deployment
    client("apigateway").create_deployment(restApiId=api, stageName="latest")
    assert (_version(live), _version(latest)) == ("2", "$LATEST")


def test_an_api_that_chalice_imported_is_deployed_once(releases: Releases) -> None:
    """An imported integration says less than one that was put: both are the same routes."""
    ByHand(releases).release_now(M1)
    api = _imported_api(releases.function.name)
    deployment = Gateway().ensure_live_stage(api)

    assert Gateway().ensure_live_stage(api) == deployment
    client("apigateway").put_rest_api(
        restApiId=api, mode="overwrite", body=_swagger(releases.function.name, "popular", "new")
    )
    # The permission is there already; Lambda refuses to give it twice.
    assert Gateway().ensure_live_stage(api) != deployment


def _imported_api(function: str) -> str:
    """Make an API as Chalice does."""
    made = client("apigateway").import_rest_api(body=_swagger(function, "popular"))
    client("apigateway").create_deployment(restApiId=made["id"], stageName="latest")
    api: str = made["id"]
    return api


def _swagger(function: str, *paths: str) -> bytes:
    """Return routes in Chalice's words."""
    arn = f"arn:aws:lambda:us-east-1:000000000000:function:{function}"
    integration = {
        "responses": {"default": {"statusCode": "200"}},
        "uri": f"arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/{arn}/invocations",
        "passthroughBehavior": "when_no_match",
        "httpMethod": "POST",
        "contentHandling": "CONVERT_TO_TEXT",
        "type": "aws_proxy",
    }
    method = {
        "consumes": ["application/json"],
        "produces": ["application/json"],
        "responses": {"200": {"description": "200 response"}},
        "x-amazon-apigateway-integration": integration,
    }
    info = {"title": function, "version": "1.0"}
    routes = {f"/{path}": {"get": method} for path in paths}
    return json.dumps({"swagger": "2.0", "info": info, "paths": routes}).encode()


def _deployed_api(function: str) -> str:
    """Return a REST API with one route to a function, deployed to stage `latest`."""
    aws = client("apigateway")
    arn = client("lambda").get_function_configuration(FunctionName=function)["FunctionArn"]
    api: str = aws.create_rest_api(name=function)["id"]
    root = aws.get_resources(restApiId=api)["items"][0]["id"]
    resource = aws.create_resource(restApiId=api, parentId=root, pathPart="popular")["id"]
    place: dict[str, Any] = {"restApiId": api, "resourceId": resource, "httpMethod": "GET"}
    aws.put_method(**place, authorizationType="NONE")
    aws.put_integration(
        **place,
        type="AWS_PROXY",
        integrationHttpMethod="POST",
        uri=f"arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/{arn}/invocations",
    )
    aws.create_deployment(restApiId=api, stageName="latest")
    return api


def _version(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310  the emulator
        return str(answer.headers["X-Function-Version"])
