"""Terraform for tests: on PATH, with a provider, without the user's configuration."""

import json
import os
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from movierec.errors import MovierecError
from movierec.stack.deploy import terraform
from movierec.stack.deploy.terraform import Workspace
from movierec.stack.layout import Project
from movierec.stack.processes import child_environment

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "infra" / "terraform"

FUNCTIONS = (
    "build_dataset",
    "evaluate_online",
    "lake_maintenance",
    "notify",
    "refresh",
    "rollback",
    "rollout",
    "train_als",
)


# The site's settings, as a run's environment gives them.
SITE = {"MOVIEREC_MAX_RATING": "10", "MOVIEREC_EARLIEST_EVENT_TIME": "2020-01-01"}

# An endpoint for what needs no AWS: nothing listens on port 1.
NOWHERE = "http://127.0.0.1:1"


def terraform_environment(endpoint_url=NOWHERE):
    base = child_environment.basic(os.environ) | child_environment.internet(os.environ)
    base |= child_environment.emulated_aws(endpoint_url)
    return terraform.configured(base, Project(ROOT).terraform_config)


def _run_terraform(root, *command, env=None):
    return subprocess.run(
        ["terraform", f"-chdir={root}", *command],
        env=env or terraform_environment(),
        capture_output=True,
        text=True,
        check=False,
    )


def _stage(folder, target="local", endpoint_url=NOWHERE, **variables):
    """Return an initialised workspace in `folder`, or skip where there is no Terraform."""
    log = folder / "terraform.log"
    workspace = Workspace(folder, terraform_environment(endpoint_url), log, target)
    given = {"package_paths": {}, "code_version": "0123456789ab"} | variables
    workspace.stage(SOURCE, given)
    try:
        workspace.init()
    except MovierecError as exc:
        pytest.skip(f"there is no Terraform to test with: {exc}")
    return workspace


@pytest.fixture(scope="session")
def run_terraform():
    """Return a function that runs Terraform in a folder and returns how it went."""
    return _run_terraform


@pytest.fixture(scope="session")
def stage():
    """Return a function that makes an initialised workspace, or skips without Terraform."""
    return _stage


class _Validator(BaseHTTPRequestHandler):
    """Answers the only call that a plan makes: is this state machine's definition valid."""

    calls: ClassVar[list[str]] = []

    def do_POST(self):
        self.calls.append(self.headers.get("X-Amz-Target", self.path))
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = json.dumps({"result": "OK", "diagnostics": []}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Be quiet."""


@pytest.fixture(scope="session")
def plan_of(stage, run_terraform):
    """Return a function that plans envs/local with these zips, as `terraform show -json` has it.

    `state` is the text of a prior state file; nothing is refreshed.
    """

    def make(folder, packages, state=None, **variables):
        with ThreadingHTTPServer(("127.0.0.1", 0), _Validator) as server:
            _Validator.calls.clear()
            threading.Thread(target=server.serve_forever, daemon=True).start()
            url = f"http://127.0.0.1:{server.server_address[1]}"
            paths = {name: str(path) for name, path in packages.items()}
            workspace = stage(folder, endpoint_url=url, package_paths=paths, **variables)
            if state is not None:
                (workspace.root / "terraform.tfstate").write_text(state, encoding="utf-8")
            command = ("plan", "-refresh=false", "-out=plan", "-no-color")
            made = run_terraform(workspace.root, *command, env=workspace.env)
            server.shutdown()
        assert made.returncode == 0, made.stderr
        # It needs no account: all that it asks is whether a state machine's definition is valid.
        assert set(_Validator.calls) <= {"AWSStepFunctions.ValidateStateMachineDefinition"}
        shown = run_terraform(workspace.root, "show", "-json", "plan", env=workspace.env)
        return json.loads(shown.stdout)

    return make


@pytest.fixture(scope="session")
def plan(tmp_path_factory, plan_of):
    """Return the plan of envs/local on an empty account."""
    folder = tmp_path_factory.mktemp("plan")
    packages = {name: folder / f"{name}.zip" for name in FUNCTIONS}
    for path in packages.values():
        path.write_bytes(path.name.encode())
    found = plan_of(folder, packages, site=SITE)
    assert _Validator.calls
    return found


@pytest.fixture(scope="session")
def resources(plan):
    """Return the planned resources: (type, address, values)."""

    def walk(module):
        for resource in module.get("resources", []):
            yield resource["type"], resource["address"], resource["values"]
        for child in module.get("child_modules", []):
            yield from walk(child)

    return list(walk(plan["planned_values"]["root_module"]))
