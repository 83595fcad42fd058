"""An emulator for a test of its own."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.harness import Emulator


def pytest_configure() -> None:
    """Have SIGINT and SIGQUIT as in the foreground, here and in the tests' children.

    A job in a shell's background begins with both ignored, and children inherit that.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:  # under nohup(1): for the tests alone
        signal.signal(signal.SIGHUP, lambda _number, _frame: None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Have what waits for time to pass begin first and end last."""

    def place(item: pytest.Item) -> int:
        if item.get_closest_marker("last"):
            return 1
        return -1 if item.get_closest_marker("first") else 0

    items.sort(key=place)


@pytest.fixture
def emulator(tmp_path: Path) -> Iterator[Emulator]:
    """Give a test an emulator that it starts itself."""
    emulator = Emulator(tmp_path / "emulator")
    yield emulator
    emulator.finish()
