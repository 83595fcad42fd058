import threading
from typing import NamedTuple

import psutil
import pytest

from movierec.stack.processes.machine_usage import Processors, peak_memory


class Times(NamedTuple):
    user: float
    idle: float
    steal: float


def test_what_others_took_is_a_share_of_the_time_since(monkeypatch):
    monkeypatch.setattr(psutil, "cpu_times", lambda: Times(user=50, idle=40, steal=10))
    processors = Processors()
    monkeypatch.setattr(psutil, "cpu_times", lambda: Times(user=55, idle=44, steal=11))
    assert processors.stolen_percent() == pytest.approx(10)


def test_the_highest_reading_of_each_child_counts():
    readings = [{"kafka": 100.0}, {"kafka": 300.0, "proxy": 40.0}, {"kafka": 200.0}]
    all_read = threading.Event()

    def read():
        if readings:
            return readings.pop(0)
        all_read.set()
        return {}

    with peak_memory(read, every_s=0.001) as peaks:
        assert all_read.wait(60)
    assert peaks == {"kafka": 300.0, "proxy": 40.0}
