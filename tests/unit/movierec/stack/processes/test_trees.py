"""Ending processes that the kernel is taking away at that moment."""

import pytest

from movierec.stack.processes import trees


class Reaped:
    """A process that ends while it is waited for: the kernel has its pid, and nobody behind it."""

    pid = 42

    def __init__(self):
        self.signals = []
        self.waits = 0

    def terminate(self):
        self.signals.append("TERM")

    def kill(self):
        self.signals.append("KILL")

    def wait(self, timeout):
        self.waits += 1
        raise FileNotFoundError

    def is_running(self):
        return self.waits < 2


@pytest.fixture
def gone():
    return Reaped()


def test_a_process_that_goes_while_it_is_waited_for_is_gone(gone):
    trees.end([], frozenset({gone}), grace_s=60)
    assert gone.signals == ["TERM", "KILL"]
    assert gone.waits >= 2
