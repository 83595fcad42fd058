"""Fixtures of all tests: a clean environment, and Hypothesis profiles."""

import os
import signal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "dev", max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("ci", parent=settings.get_profile("dev"), max_examples=300)
settings.load_profile("ci" if os.environ.get("CI") else "dev")

ROOT = Path(__file__).parents[1]
DATA = ROOT.parent / "shared" / "data"

# Variables that a developer's machine may export and no test may see.
_FOREIGN = ("AWS_", "MOVIEREC_", "MODEL_VERSION", "TF_", "POWERTOOLS_", "LOCALSTACK_")


def pytest_configure():
    """Reset SIGINT and SIGQUIT to their foreground dispositions, here and in the tests' children.

    A job in a shell's background begins with both ignored; Python leaves that so, children inherit
    it, and an interrupt that a test sends to one of them is lost.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:  # under nohup(1): for the tests alone
        signal.signal(signal.SIGHUP, lambda _number, _frame: None)


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch):
    """Hide the user's AWS settings, and ours, from every test."""
    for name in os.environ:
        if name.startswith(_FOREIGN):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)


@pytest.fixture(scope="session")
def data_folder():
    """Return the public data sets beside the checkout, or skip."""
    if not DATA.is_dir():
        pytest.skip("the public data sets are not beside this checkout (../shared/data)")
    return DATA
