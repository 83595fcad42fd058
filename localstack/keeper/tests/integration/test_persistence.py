"""Saving while requests go on."""

import sys
import threading
from typing import cast

import pytest

from localstack_keeper.disk import Disk
from localstack_keeper.persistence import SWITCH_S, Persistence
from localstack_keeper.settings import Settings
from localstack_keeper.snapshots import Snapshots
from localstack_keeper.state_folder import StateFolder


class Slow:
    """Saves that take until a test lets them end, and say what they saw."""

    def __init__(self) -> None:
        self.has_begun = threading.Event()
        self.goes_on = threading.Event()
        self.seen: list[tuple[str, float]] = []

    def save(self, *, everything: bool) -> bool:
        """Take the time."""
        self.seen.append((f"begins, everything={everything}", sys.getswitchinterval()))
        self.has_begun.set()
        self.goes_on.wait(10)
        self.seen.append((f"ends, everything={everything}", sys.getswitchinterval()))
        return True


def test_saves_give_way_to_requests_and_wait_for_each_other(folder: StateFolder) -> None:
    slow = Slow()
    settings = Settings(folder.path, interval_s=5, sync=True)
    persistence = Persistence(settings, folder, cast("Snapshots", slow), Disk())
    before_s = sys.getswitchinterval()
    usual = threading.Thread(target=persistence.save)
    asked_for = threading.Thread(target=persistence.save, kwargs={"everything": True})
    usual.start()
    slow.has_begun.wait(10)
    asked_for.start()
    asked_for.join(0.1)
    slow.goes_on.set()
    usual.join()
    asked_for.join()
    assert [what for what, _ in slow.seen] == [
        "begins, everything=False",
        "ends, everything=False",
        "begins, everything=True",
        "ends, everything=True",
    ]
    assert [interval_s for _, interval_s in slow.seen] == pytest.approx([SWITCH_S] * 4)
    assert sys.getswitchinterval() == before_s
