"""Applied to the emulator: fast where it matters, once and for all, and it runs.

One emulator and one apply for all of it: 90 s, of which the provider watches lifecycle rules 55.
"""

import json
import os
import time
import zipfile

import boto3
import pytest

from movierec.errors import ConfigError
from movierec.stack.deploy.terraform import PLATFORM, STORAGE_READY
from movierec.stack.layout import Project, Run
from movierec.stack.processes.client import Client
from movierec.stack.services import emulator
from tests.terraform_facts import EXPECTED, plan_is_empty

EXECUTION_S = 60

# Stand-ins for the functions: what they are given is what is looked at.
HANDLERS = {
    "build_dataset": """
def handler(event, context):
    if event.get("fail"):
        raise ValueError("no lake")
    return {"dataset_id": "d1", "given": event}
""",
    "lake_maintenance": """
import os

def handler(event, context):
    return {k: v for k, v in os.environ.items() if k.endswith(("_DAYS", "_HOURS", "LAKE_BUCKET"))}
""",
    "train_als": """
import os

def handler(event, context):
    shown = {k: v for k, v in os.environ.items() if k.startswith(("MOVIEREC_", "OPENBLAS_"))}
    return {"model_version": "m1", "given": event, "env": shown}
""",
}


# Of the others it is only looked at that they can be made.
HANDLERS |= {
    name: "def handler(event, context):\n    return event\n"
    for name in EXPECTED["function_names"]
    if name not in HANDLERS
}


@pytest.fixture(scope="module")
def endpoint_url(tmp_path_factory, request):
    """Return the address of an emulator of our own, or skip where none is installed."""
    root = request.config.rootpath
    run = Run(Project(root), tmp_path_factory.mktemp("run")).create()
    try:
        spec = emulator.spec(run, os.environ)
    except ConfigError as exc:
        pytest.skip(str(exc))
    with Client(run) as client:
        client.start(spec)
        yield f"http://{spec.env['GATEWAY_LISTEN']}"


@pytest.fixture(scope="module")
def workspace(endpoint_url, stage, tmp_path_factory):
    folder = tmp_path_factory.mktemp("terraform")
    paths = {}
    for name, source in HANDLERS.items():
        paths[name] = str(folder / f"{name}.zip")
        with zipfile.ZipFile(paths[name], "w") as archive:
            archive.writestr(f"functions/{name}/handler.py", source)
    return stage(folder, endpoint_url=endpoint_url, package_paths=paths)


@pytest.fixture(scope="module")
def applied(workspace):
    """Return what was done, and what was still missing when everything but lifecycle was there."""
    with workspace.apply() as apply:
        apply.wait_for({STORAGE_READY, f"{PLATFORM}.module.api"})
        parts = (
            *("alerts", "brake", "function", "notices", "release", "retrain"),
            *("schedule", "upkeep_schedule", "refresh_schedule", "evaluate_schedule"),
        )
        apply.wait_for({f"{PLATFORM}.module.{part}" for part in parts})
        missing = apply.progress.pending
        return apply.result(), missing


@pytest.fixture
def client(applied, endpoint_url):
    def make(service):
        return boto3.client(service, endpoint_url=endpoint_url)

    return make


def finished(client, given):
    """Run the state machine to its end and return the description of the execution."""
    states = client("stepfunctions")
    started = states.start_execution(
        stateMachineArn=EXPECTED["state_machine_arn"], input=json.dumps(given)
    )
    deadline_s = time.monotonic() + EXECUTION_S
    while time.monotonic() < deadline_s:
        seen = states.describe_execution(executionArn=started["executionArn"])
        if seen["status"] != "RUNNING":
            return seen
        time.sleep(0.1)
    pytest.fail(f"still running after {EXECUTION_S} s: {started['executionArn']}")


def test_only_lifecycle_rules_are_waited_for_at_the_end(applied):
    _, missing = applied

    assert missing
    assert {address.split(".")[4] for address in missing} == {
        "aws_s3_bucket_lifecycle_configuration"
    }


def test_the_outputs_are_what_others_count_on(applied):
    done, _ = applied

    assert EXPECTED.items() <= done.outputs.items()


def test_a_second_apply_would_change_nothing(applied, workspace):
    assert plan_is_empty(workspace)


def test_a_new_commit_would_be_applied(applied, workspace):
    variables = workspace.root / "movierec.auto.tfvars.json"
    before = variables.read_text(encoding="utf-8")
    variables.write_text(before.replace("0123456789ab", "changed"), encoding="utf-8")

    assert not plan_is_empty(workspace)
    variables.write_text(before, encoding="utf-8")


def test_objects_go_in_and_out_of_the_buckets(client):
    s3 = client("s3")

    for bucket in EXPECTED["bucket_names"].values():
        s3.put_object(Bucket=bucket, Key="a", Body=b"x")
        assert s3.get_object(Bucket=bucket, Key="a")["VersionId"] not in {None, "null"}


def test_the_retraining_hands_on_what_was_asked_and_what_was_built(client):
    given = {"dataset": {"parameters": {"x": 1}}, "model": {"parameters": {"factors": 4}}}

    done = finished(client, given)

    assert done["status"] == "SUCCEEDED", done
    answer = json.loads(done["output"])
    assert answer["model_version"] == "m1"
    assert answer["given"] == {
        "parameters": {"factors": 4},
        "dataset_id": "d1",
        "given": {"parameters": {"x": 1}},
    }
    assert answer["env"]["MOVIEREC_ARTIFACTS_BUCKET"] == "movierec-artifacts"
    assert answer["env"]["OPENBLAS_NUM_THREADS"] == "1"


def test_the_retraining_needs_no_input(client):
    assert finished(client, {})["status"] == "SUCCEEDED"


def test_a_failed_retraining_says_why_on_the_topic(client):
    done = finished(client, {"dataset": {"fail": True}})

    assert done["status"] == "FAILED"
    assert done["error"] == "ValueError"
    assert "no lake" in done["cause"]
    history = client("stepfunctions").get_execution_history(executionArn=done["executionArn"])
    told = [event for event in history["events"] if event["type"] == "TaskSucceeded"]
    assert [event["taskSucceededEventDetails"]["resourceType"] for event in told] == ["sns"]


def test_upkeep_is_told_which_lake_and_how_long_things_are_kept(client):
    answer = client("lambda").invoke(FunctionName=EXPECTED["function_names"]["lake_maintenance"])

    assert json.loads(answer["Payload"].read()) == {
        "MOVIEREC_LAKE_BUCKET": "movierec-lake",
        "MOVIEREC_WATCH_RETENTION_DAYS": "180",
        "MOVIEREC_VACUUM_RETENTION_HOURS": "720",
    }


def test_schedules_may_call_their_functions_and_do(client):
    """The rules are made to fire every minute; a call shows in the log of the function.

    The emulator takes a rule's schedule when targets are put: so they are put again.
    """
    events = client("events")
    functions = {"movierec-upkeep": "lake_maintenance", "movierec-evaluate": "evaluate_online"}
    before = {name: invocations(client, function) for name, function in functions.items()}
    for name in functions:
        events.put_rule(Name=name, ScheduleExpression="rate(1 minute)", State="ENABLED")
        targets = events.list_targets_by_rule(Rule=name)["Targets"]
        events.put_targets(Rule=name, Targets=targets)
    deadline_s = time.monotonic() + 240
    called: set[str] = set()
    while called != before.keys() and time.monotonic() < deadline_s:
        called = {n for n in before if invocations(client, functions[n]) > before[n]}
        time.sleep(0.5)

    assert called == before.keys()


def invocations(client, function):
    log_group = f"/aws/lambda/{EXPECTED['function_names'][function]}"
    found = client("logs").filter_log_events(logGroupName=log_group, filterPattern="START")
    return len(found["events"])
