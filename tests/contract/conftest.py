"""Real servers for the contract suites: one emulator for the session."""

import os
import shutil
import uuid
from pathlib import Path

import pytest
from localstack_client.session import Session

from movierec.aws.session import client
from movierec.stack.layout import Project, find_project
from movierec.stack.processes import child_environment
from movierec.stack.processes.client import Client
from movierec.stack.services import emulator


@pytest.fixture(scope="session")
def emulator_url():
    """Run LocalStack on a free port and in a folder of its own; return its address."""
    project = find_project({}, Path(__file__).parent)
    run = project.run(f"contract-{uuid.uuid4().hex[:8]}").create()
    with Client(run) as daemon:
        spec = emulator.spec(run, os.environ)
        daemon.start(spec)
        yield f"http://{spec.env['GATEWAY_LISTEN']}"
    shutil.rmtree(run.folder)


@pytest.fixture
def emulated_aws(emulator_url, monkeypatch):
    """Point this process's AWS clients at the emulator."""
    settings = child_environment.emulated_aws(emulator_url)
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    client.cache_clear()
    yield settings
    client.cache_clear()


@pytest.fixture
def bucket(emulated_aws):
    """Return the name of a new, empty bucket."""
    name = f"bucket-{uuid.uuid4().hex[:12]}"
    Session().client("s3").create_bucket(Bucket=name)
    return name


@pytest.fixture
def run(tmp_path):
    """Return a run with a folder of its own, outside of any checkout."""
    return Project(tmp_path).run("test").create()


@pytest.fixture
def daemon(run):
    """Return a client of the run's daemon; what it leaves running is stopped."""
    with Client(run) as client:
        yield client
