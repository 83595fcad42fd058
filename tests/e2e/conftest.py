"""One small stack for a module's tests, and an operator's access to it."""

import json
import os
import subprocess
import sys

import pytest

from bench.running_stack import playing
from movierec import settings
from movierec.aws.release_factory import open_releases
from movierec.aws.session import client
from movierec.stack import run_environment
from tests.contract.webhook_catcher import catching

ROOT_COMMAND = (sys.executable, "-m", "movierec.cli.main")
SMALL = ("--users=2000", "--movies=3000", "--events=60000", "--days=2", "--requests=40")

# Few trials and a wide margin suffice: the process is tested, not the statistics.
POLICY = {
    "steps": [50, 100],
    "alpha": 0.001,
    "margin": 0.9,
    "min_trials": 5,
    "sharpest_at_trials": 10,
    "dwell_s": 1,
    "step_limit_s": 300,
    "look_s": 2,
    "horizon_s": 1,
    "settle_s": 0.5,
}


@pytest.fixture(scope="module")
def channel():
    """Listen where release notices are written."""
    with catching() as hook:
        yield hook


@pytest.fixture(scope="module")
def chosen(channel):
    """Return what the operator's environment says of releases."""
    return {settings.RELEASE_POLICY: json.dumps(POLICY), settings.SLACK_WEBHOOK: channel.url}


@pytest.fixture(scope="module")
def stack(chosen):
    with playing(*SMALL, env=chosen) as found:
        yield found


@pytest.fixture(scope="module")
def variables(stack):
    return run_environment.load(stack.run)


@pytest.fixture
def movierec(stack, chosen):
    """Return a function that runs a command on the stack; its exit code, output and errors."""

    def run(*arguments):
        done = subprocess.run(
            [*ROOT_COMMAND, "--run", stack.run.name, *arguments],
            env={**os.environ, **chosen},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert "Traceback" not in done.stderr
        return done

    return run


@pytest.fixture
def environment(variables, monkeypatch):
    """Give this process the stack's environment, as `movierec env` gives it to a shell."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    client.cache_clear()
    yield variables
    client.cache_clear()


@pytest.fixture
def releases(environment):
    """Open the stack's releases in this process."""
    assert environment
    return open_releases()
