"""What a real Terraform said, as recorded, becomes progress; what configures it is a file."""

import functools
import json
from pathlib import Path

import pytest

from movierec.errors import UsageError
from movierec.stack.deploy import terraform
from movierec.stack.deploy.terraform import Progress, advance
from tests.terraform_facts import EXPECTED

GOLDEN = Path(__file__).parents[1] / "golden"
LOG = Path("var/default/logs/terraform.log")

STORAGE = "module.platform.module.storage"
BUCKET = f"{STORAGE}.aws_s3_bucket.this"
LIFECYCLE = f'{STORAGE}.aws_s3_bucket_lifecycle_configuration.this["lake"]'
ROLE = "module.platform.module.api.aws_iam_role.this"
FUNCTION = 'module.platform.module.function["train_als"].aws_lambda_function.this'


def recorded(name):
    lines = (GOLDEN / f"terraform_apply_{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def after(messages):
    return functools.reduce(advance, messages, Progress())


def up_to(messages, type_, address):
    """Return the messages up to and with the first of this type about this resource."""
    about = [m.get("hook", {}).get("resource", {}).get("addr") for m in messages]
    found = [i for i, m in enumerate(messages) if m["type"] == type_ and about[i] == address]
    return messages[: found[0] + 1]


def test_a_bucket_is_ready_while_its_lifecycle_rule_still_waits():
    seen = after(up_to(recorded("create"), "apply_complete", FUNCTION))

    assert seen.is_ready(BUCKET)
    assert seen.is_ready(f'{BUCKET}["lake"]')
    assert seen.is_ready(FUNCTION)
    assert not seen.is_ready(LIFECYCLE)
    assert not seen.is_ready(STORAGE)


def test_at_the_end_everything_is_ready_and_the_outputs_are_known():
    seen = after(recorded("create"))

    assert not seen.pending
    assert seen.is_ready("module.platform")
    assert EXPECTED.items() <= seen.outputs.items()


def test_what_was_there_before_is_ready_as_soon_as_the_plan_is_made():
    messages = recorded("update")
    planned = next(i for i, m in enumerate(messages) if m["type"] == "change_summary")

    assert not after(messages[:planned]).is_ready(ROLE)
    assert after(messages[: planned + 1]).is_ready(ROLE)
    assert not after(messages[: planned + 1]).is_ready(FUNCTION)
    assert after(messages).is_ready(FUNCTION)


def test_the_first_half_of_a_replacement_is_not_the_whole():
    package = 'module.platform.module.function["train_als"].aws_s3_object.package'
    messages = recorded("update")
    deleted = up_to(messages, "apply_complete", package)
    assert deleted[-1]["hook"]["action"] == "delete"

    assert not after(deleted).is_ready(package)
    assert after(messages).is_ready(package)


def test_outputs_told_with_the_plan_have_no_values_yet():
    messages = recorded("update")
    first = next(i for i, m in enumerate(messages) if m["type"] == "outputs")

    assert not after(messages[: first + 1]).outputs


def test_an_address_that_nothing_has_is_refused():
    with pytest.raises(UsageError, match=r"module\.nonsense"):
        after(recorded("create")).is_ready("module.nonsense")


def test_what_failed_is_never_ready():
    assert not after(recorded("stopped")).is_ready(LIFECYCLE)


def test_a_failure_names_its_cause_and_not_what_was_called_off_because_of_it():
    diagnostic = {
        "severity": "error",
        "summary": "creating Lambda Function",
        "detail": "InvalidParameterValue:\nno such role",
        "address": FUNCTION,
    }
    [cause] = after([{"type": "diagnostic", "diagnostic": diagnostic}]).errors
    stopped = after(recorded("stopped")).errors

    said = str(terraform.failure("apply", [*stopped, cause], LOG))

    assert FUNCTION in said
    assert "no such role" in said
    assert "canceled" not in said
    assert str(LOG) in said
    assert "\n" not in said


def test_an_apply_that_was_stopped_says_so():
    said = str(terraform.failure("apply", after(recorded("stopped")).errors, LOG))

    assert "canceled" in said


def test_a_users_terraform_settings_do_not_reach_it(tmp_path):
    config = tmp_path / "terraform.rc"
    foreign = {"TF_CLI_CONFIG_FILE": "/missing", "TF_VAR_x": "1", "PATH": "/bin"}

    assert terraform.configured(foreign, config) == {"PATH": "/bin"}
    config.touch()
    assert terraform.configured(foreign, config)["TF_CLI_CONFIG_FILE"] == str(config)
