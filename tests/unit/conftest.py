"""Unit tests do no I/O and do not sleep: one that does fails with the call's name."""

import sys

import pytest

from tests.unit.no_io import Guard

GUARD = pytest.StashKey[Guard]()


def pytest_configure(config):
    """Install the hook once: Python has no way to take one away again."""
    guard = config.stash[GUARD] = Guard()
    sys.addaudithook(guard.hook)


# Hooks, not a fixture: what they raise is the test's failure, and no error of its teardown. Set-up
# is watched too, or `tmp_path` would be had for free. pytest's own wrappers stay outside.
@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_setup(item):
    with item.config.stash[GUARD].watching():
        return (yield)


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_call(item):
    with item.config.stash[GUARD].watching():
        return (yield)
