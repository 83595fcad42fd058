"""What an apply changes of a platform whose lake maintenance was the function `keep_lake`.

The state was recorded of an apply to the emulator, with one zip for all functions, then stripped of
dependencies and of the zips' folder.
"""

import zipfile
from pathlib import Path

import pytest

from tests.terraform_facts import EXPECTED

FUNCTIONS = EXPECTED["function_names"]
STATE = Path(__file__).parents[1] / "golden" / "terraform_state_keep_lake.json"
PLATFORM = "module.platform.module"
MAINTENANCE = f'{PLATFORM}.function["lake_maintenance"]'
ROLLBACK = f'{PLATFORM}.function["rollback"]'
ALARM = f'{PLATFORM}.alerts.aws_cloudwatch_metric_alarm.this["movierec-{{}}-failed"]'

REFRESH = f'{PLATFORM}.function["refresh"]'
REFRESH_SCHEDULE = f"{PLATFORM}.refresh_schedule"

COMPARING = (
    ("build_dataset", "aws_iam_role_policy"),
    ("build_dataset", "aws_lambda_function"),
    ("train_als", "aws_iam_role_policy"),
    ("train_als", "aws_lambda_function"),
    ("rollout", "aws_iam_role_policy"),
)

LATER = {
    f'{PLATFORM}.alerts.aws_cloudwatch_metric_alarm.this["ingest-expired"]',
    ALARM.format("refresh"),
    f"{REFRESH}.aws_cloudwatch_log_group.this",
    f"{REFRESH}.aws_iam_role.this",
    f"{REFRESH}.aws_iam_role_policy.this",
    f"{REFRESH}.aws_lambda_function.this",
    f"{REFRESH}.aws_s3_object.package",
    f"{REFRESH_SCHEDULE}.aws_cloudwatch_event_rule.this",
    f"{REFRESH_SCHEDULE}.aws_cloudwatch_event_target.this",
    f"{REFRESH_SCHEDULE}.aws_lambda_permission.this[0]",
}
"""What the platform did not have yet."""


@pytest.fixture(scope="module")
def changes(tmp_path_factory, plan_of):
    """Return the addresses of what changes, by how."""
    folder = tmp_path_factory.mktemp("upgrade")
    packages = {name: folder / f"{name}.zip" for name in FUNCTIONS}
    for path in packages.values():
        with zipfile.ZipFile(path, "w") as archive:
            entry = zipfile.ZipInfo("handler.py", (1980, 1, 1, 0, 0, 0))
            archive.writestr(entry, "def handler(event, context):\n    return event\n")
    state = STATE.read_text(encoding="utf-8").replace("PACKAGES/", f"{folder}/")
    found: dict[str, set[str]] = {}
    for each in plan_of(folder, packages, state)["resource_changes"]:
        found.setdefault("+".join(sorted(each["change"]["actions"])), set()).add(each["address"])
    return found


def test_the_function_its_role_and_its_log_group_are_replaced(changes):
    assert changes["create+delete"] == {
        f"{MAINTENANCE}.aws_lambda_function.this",
        f"{MAINTENANCE}.aws_iam_role.this",
        f"{MAINTENANCE}.aws_cloudwatch_log_group.this",
        # What hangs on their names: the role's policy, the zip's key, the schedule's permission.
        f"{MAINTENANCE}.aws_iam_role_policy.this",
        f"{MAINTENANCE}.aws_s3_object.package",
        f"{PLATFORM}.upkeep_schedule.aws_lambda_permission.this[0]",
    }


def test_its_alarm_is_another_one_and_nothing_else_comes_or_goes(changes):
    assert changes["create"] == {ALARM.format("lake-maintenance"), *LATER}
    assert changes["delete"] == {ALARM.format("keep-lake")}


def test_the_schedule_gets_its_target_and_the_rollback_what_it_invokes(changes):
    assert changes["update"] == {
        f"{PLATFORM}.upkeep_schedule.aws_cloudwatch_event_target.this",
        f"{ROLLBACK}.aws_lambda_function.this",
        f"{ROLLBACK}.aws_iam_role_policy.this",
        # It reads overlays too.
        f"{PLATFORM}.api.aws_iam_role_policy.this",
        # What they build and train is compared with the released model, and a refused one marked.
        *(f'{PLATFORM}.function["{name}"].{part}.this' for name, part in COMPARING),
    }


def test_all_the_rest_stays_as_it_is(changes):
    assert changes.keys() == {"create", "create+delete", "delete", "no-op", "update"}
    assert len(changes["no-op"]) > 70
