from movierec.cli.provenance import await_shipped


class Proxy:
    """A proxy whose records were served and shipped at given times; a second passes at a sleep."""

    def __init__(self, *records):
        self.records = records
        self.now_s = 100.0
        self.notes = []

    def lag_s(self):
        waiting = [served for served, shipped in self.records if shipped > self.now_s >= served]
        return self.now_s - min(waiting) if waiting else 0.0

    def sleep(self, _seconds):
        self.now_s += 1.0

    def shipped(self):
        return await_shipped(
            self.lag_s, self.notes.append, clock_s=lambda: self.now_s, sleep=self.sleep
        )


def test_a_lake_that_has_everything_is_not_waited_for():
    proxy = Proxy((90, 95))
    assert proxy.shipped()
    assert (proxy.now_s, proxy.notes) == (100, [])


def test_what_was_served_before_is_waited_for_and_that_is_said_once():
    proxy = Proxy((99, 104))
    assert proxy.shipped()
    assert proxy.now_s == 104
    assert proxy.notes == [
        "waiting for the proxy: its latest answers take some seconds to reach the lake"
    ]


def test_live_traffic_that_keeps_coming_is_not_waited_for():
    proxy = Proxy((99, 104), *((served, served + 5) for served in range(101, 200)))
    assert proxy.shipped()
    assert proxy.now_s <= 106


def test_a_proxy_that_does_not_ship_is_given_up_and_named():
    proxy = Proxy((70, 1000))
    assert not proxy.shipped()
    assert proxy.now_s == 111
    assert "the oldest 41 s old" in proxy.notes[-1]
