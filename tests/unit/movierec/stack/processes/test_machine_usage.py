from typing import NamedTuple

import psutil
import pytest

from movierec.stack.processes.machine_usage import PeakMemory, Processors


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
    readings = iter([{"kafka": 100.0}, {"kafka": 300.0, "proxy": 40.0}, {"kafka": 200.0}])
    memory = PeakMemory(lambda: next(readings))
    for _ in range(3):
        memory.sample()
    assert memory.peak_rss_mb == {"kafka": 300.0, "proxy": 40.0}
