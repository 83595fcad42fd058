"""Browsers of consoles over recorded systems."""

import pytest

from tests.unit.console import recorded
from tests.unit.console.browser import Browser


@pytest.fixture
def busy():
    return recorded.busy()


@pytest.fixture
def browse():
    """Return a function that opens a browser on a recorded system."""
    opened = []

    def browser(site, **options):
        opened.append(Browser(site.system, **options))
        return opened[-1]

    yield browser
    for each in opened:
        each.__exit__()
