from typing import NamedTuple

import psutil
import pytest

from movierec.stack.processes.cpu_steal import Processors


class Times(NamedTuple):
    user: float
    idle: float
    steal: float


def test_what_others_took_is_a_share_of_the_time_since(monkeypatch):
    monkeypatch.setattr(psutil, "cpu_times", lambda: Times(user=50, idle=40, steal=10))
    processors = Processors()
    monkeypatch.setattr(psutil, "cpu_times", lambda: Times(user=55, idle=44, steal=11))
    assert processors.stolen_percent() == pytest.approx(10)
