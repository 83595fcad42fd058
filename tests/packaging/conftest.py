"""The packages: real ones, built once, and a small checkout to build others from."""

import os
from pathlib import Path

import pytest

from movierec.stack.packaging import lambda_packages
from movierec.stack.processes import child_environment
from tests.packaging.toy_checkout import FUNCTIONS, PROJECT, make_checkout


@pytest.fixture(scope="session")
def env():
    uv = lambda_packages.find_uv(PROJECT, os.environ)
    if uv is None:
        pytest.skip("uv is neither in .tools/venv/bin nor on PATH")
    # The small checkouts made here have no tools of their own.
    path = (Path(uv).parent,)
    return child_environment.basic(os.environ, path=path) | child_environment.internet(os.environ)


@pytest.fixture(scope="module", params=FUNCTIONS)
def built(request, env):
    return lambda_packages.build_function(PROJECT, env, request.param)


@pytest.fixture(scope="module")
def vendor(env):
    return lambda_packages.build_vendor(PROJECT, env)


@pytest.fixture
def checkout(tmp_path):
    return make_checkout(tmp_path / "one")
