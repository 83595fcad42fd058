"""Whether a Terraform that has been applied would change anything."""

import subprocess


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
