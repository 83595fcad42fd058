"""What Terraform makes in the emulator, and whether it would change anything."""

import subprocess

from movierec.stack.deploy import terraform

_FUNCTIONS = (
    "build_dataset",
    "evaluate_online",
    "lake_maintenance",
    "notify",
    "refresh",
    "rollback",
    "rollout",
    "train_als",
)
_NAMES = {folder: f"movierec-{folder.replace('_', '-')}" for folder in _FUNCTIONS}
_HERE = "us-east-1:000000000000"

EXPECTED = {
    **terraform.expected_outputs(),
    "function_names": _NAMES,
    "function_arns": {k: f"arn:aws:lambda:{_HERE}:function:{v}" for k, v in _NAMES.items()},
    "topic_arn": f"arn:aws:sns:{_HERE}:movierec-alerts",
}


def plan_is_empty(workspace):
    command = ("plan", "-detailed-exitcode", "-input=false", "-lock-timeout=120s", "-no-color")
    done = subprocess.run(
        ("terraform", f"-chdir={workspace.root}", *command),
        env=workspace.env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (0, 2), done.stderr
    return done.returncode == 0
