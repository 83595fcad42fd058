from movierec.stack.processes.peak_memory import PeakMemory


def test_the_highest_reading_of_each_child_counts():
    readings = iter([{"kafka": 100.0}, {"kafka": 300.0, "proxy": 40.0}, {"kafka": 200.0}])
    memory = PeakMemory(lambda: next(readings))
    for _ in range(3):
        memory.sample()
    assert memory.peak_rss_mb == {"kafka": 300.0, "proxy": 40.0}
