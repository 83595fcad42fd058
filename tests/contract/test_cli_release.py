"""`movierec release` on the emulator: by hand, and around its state machine."""

import io
import json
import time
import uuid
import zipfile
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from localstack_client.session import Session

from movierec import settings
from movierec.aws import release_executions, step_functions
from movierec.aws.session import client
from movierec.cli.main import app
from movierec.errors import ReleaseError, UsageError
from movierec.releases.traffic_split import ALIAS
from movierec.testing.memory import MemoryStore
from tests.unit.movierec.releases.release_lab import M1, M2, put_model

HANDLER = """
import os
def handler(event, context):
    version, model = os.environ["AWS_LAMBDA_FUNCTION_VERSION"], os.environ.get("MODEL_VERSION", "")
    headers = {"X-Function-Version": version, "X-Model-Version": model}
    return {"statusCode": 200, "headers": headers, "body": "a,b"}
"""
WAITS = {"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 60, "End": True}}}


def function(name: str) -> str:
    """Make a function, and return its ARN."""
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("app.py", HANDLER)
    role = client("iam").create_role(RoleName=name, AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    made = client("lambda").create_function(
        FunctionName=name,
        Runtime="python3.13",
        Role=role,
        Handler="app.handler",
        Code={"ZipFile": code.getvalue()},
        Timeout=10,
    )
    client("lambda").get_waiter("function_active_v2").wait(FunctionName=name)
    return str(made["FunctionArn"])


def rest_api(name: str, function_arn: str) -> str:
    """Make an API with one route to a function, as Chalice does, and return its id."""
    integration = {
        "uri": "arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/"
        f"{function_arn}/invocations",
        "httpMethod": "POST",
        "type": "aws_proxy",
    }
    method = {"responses": {}, "x-amazon-apigateway-integration": integration}
    info = {"title": name, "version": "1.0"}
    body = {"swagger": "2.0", "info": info, "paths": {"/popular": {"get": method}}}
    return str(client("apigateway").import_rest_api(body=json.dumps(body).encode())["id"])


def state_machine(name: str) -> str:
    role = client("iam").create_role(RoleName=f"{name}-sfn", AssumeRolePolicyDocument="{}")
    made = client("stepfunctions").create_state_machine(
        name=name, definition=json.dumps(WAITS), roleArn=role["Role"]["Arn"]
    )
    return str(made["stateMachineArn"])


def store_models(bucket: str) -> None:
    models = MemoryStore()
    for version in (M1, M2):
        put_model(models, version)
    for key, body in models.objects.items():
        Session().client("s3").put_object(Bucket=bucket, Key=key, Body=body)


@pytest.fixture
def site(
    bucket: str, emulated_aws: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[dict[str, str]]:
    """Deploy all that a release needs, and set the variables that name it."""
    name = f"api-{uuid.uuid4().hex[:8]}"
    arn = function(name)
    store_models(bucket)
    variables = {
        settings.LAKE_BUCKET: bucket,
        settings.ARTIFACTS_BUCKET: bucket,
        settings.API_FUNCTION: name,
        settings.REST_API: rest_api(name, arn),
        settings.RELEASE_MACHINE: state_machine(name),
        settings.RELEASES_TOPIC: client("sns").create_topic(Name=name)["TopicArn"],
    }
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    yield variables
    client("stepfunctions").delete_state_machine(
        stateMachineArn=variables[settings.RELEASE_MACHINE]
    )
    client("lambda").delete_function(FunctionName=name)


class Cli:
    """Runs `movierec --json release ...` in this process."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *arguments: str) -> Any:
        self._capsys.readouterr()
        app(["--json", "release", *arguments], standalone_mode=False)
        return json.loads(self._capsys.readouterr().out)

    def text(self, *arguments: str) -> str:
        self._capsys.readouterr()
        app(["release", *arguments], standalone_mode=False)
        return self._capsys.readouterr().out


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Cli:
    return Cli(capsys)


def test_releases_by_hand_from_the_first_to_the_way_back(site: dict[str, str], cli: Cli) -> None:
    assert cli("list") == []
    with pytest.raises(ReleaseError, match="nothing is released"):
        cli("show")

    assert cli("cut", "--model", M1)["stable"] == "1"
    stage = client("apigateway").get_stage(restApiId=site[settings.REST_API], stageName=ALIAS)
    assert stage["stageName"] == ALIAS
    assert cli("cut", "--model", M2, "--canary", "10")["canary_percent"] == 10
    assert cli("weights", "--canary", "40", "--reason", "fine")["canary_percent"] == 40

    newest, first = cli("list")
    assert (newest["state"], newest["model_version"]) == ("exposed", M2)
    assert (newest["canary_percent"], first["state"]) == (40, "promoted")
    assert cli("show")["open"] == [newest]
    steps = cli("show", newest["release_id"])["steps"]
    assert [step["name"] for step in steps] == ["cut", "smoke", "route", "weigh"]
    assert "exposed at 40%" in cli.text("show", newest["release_id"])

    assert cli("promote")["stable"] == "2"
    assert cli("rollback", "--to", "1", "--reason", "complaints")["stable"] == "1"
    assert [found["state"] for found in cli("list")] == ["rolled back", "promoted"]
    assert cli("replay", newest["release_id"]) == []


def test_a_rollback_is_done_although_nobody_can_be_told(
    site: dict[str, str], cli: Cli, capsys: pytest.CaptureFixture[str]
) -> None:
    cli("cut", "--model", M1)
    cli("cut", "--model", M2, "--canary", "10")
    client("sns").delete_topic(TopicArn=site[settings.RELEASES_TOPIC])

    begin_s = time.monotonic()
    app(["release", "rollback"], standalone_mode=False)

    assert time.monotonic() - begin_s < 5
    said = capsys.readouterr()
    assert said.out.startswith("version 1: everybody")
    assert "nobody has been notified yet" in said.err


def test_a_release_is_started_under_its_own_name(site: dict[str, str], cli: Cli) -> None:
    release = cli("start", "--no-watch", "--model", M2, "--on-busy", "replace")["release_id"]

    arn = step_functions.arn_of(site[settings.RELEASE_MACHINE], release)
    found = client("stepfunctions").describe_execution(executionArn=arn)
    assert json.loads(found["input"]) == {
        "release_id": release,
        "request": {"model_version": M2, "code": False, "again": False},
        "policy": {"on_busy": "replace"},
    }
    assert release_executions.has_running_execution(release)


def test_what_step_functions_refuses_of_a_release_is_a_release_error(
    site: dict[str, str], cli: Cli
) -> None:
    release = cli("start", "--no-watch", "--model", M2)["release_id"]

    with pytest.raises(ReleaseError, match="ExecutionAlreadyExists"):
        release_executions.begin(release, {"release_id": release, "request": {"code": True}})


def test_a_release_is_of_a_model_or_of_code(site: dict[str, str], cli: Cli) -> None:
    with pytest.raises(UsageError, match="--model and --code"):
        cli("start", "--model", M1, "--code")


def test_a_paused_release_goes_on_and_one_whose_machine_died_gets_another(
    site: dict[str, str], cli: Cli
) -> None:
    cli("cut", "--model", M1)
    cli("cut", "--model", M2, "--canary", "10")
    release = cli("pause", "--reason", "lunch")["release_id"]
    assert cli("list")[0]["paused"]
    assert not release_executions.has_running_execution(release)

    assert not cli("resume", release)["paused"]
    machine = site[settings.RELEASE_MACHINE]
    assert step_functions.status(step_functions.arn_of(machine, release)) == "RUNNING"
    assert release_executions.restart_execution(release) is None

    client("stepfunctions").stop_execution(executionArn=step_functions.arn_of(machine, release))
    cli("resume", release)
    assert step_functions.status(step_functions.arn_of(machine, f"{release}-2")) == "RUNNING"


def test_watching_a_release_that_nobody_drives_says_how_to_go_on(
    site: dict[str, str], cli: Cli
) -> None:
    cli("cut", "--model", M1)
    cli("cut", "--model", M2, "--canary", "10")

    with pytest.raises(ReleaseError, match=r"its state machine has stopped.*release resume"):
        cli("watch")


def test_watching_ends_with_the_release(site: dict[str, str], cli: Cli) -> None:
    cli("cut", "--model", M1)
    cli("cut", "--model", M2, "--canary", "10")
    release = cli("list")[0]["release_id"]
    cli("promote")

    assert cli("watch", release)["state"] == "promoted"
    cli("rollback", "--to", "1")
    with pytest.raises(ReleaseError, match="was rolled back"):
        cli("watch", release)


def test_without_anything_open_one_is_told_where_to_look(site: dict[str, str], cli: Cli) -> None:
    with pytest.raises(ReleaseError, match=r"nothing is being released.*release list"):
        cli("pause")
