import numpy as np

from simulator import faults
from simulator.faults import Server

TEAM = Server("17645-team12.isri.cmu.edu:8082", "128.2.205.130")


def test_error_texts_are_those_of_the_course():
    assert faults.timed_out(TEAM) == (
        "java.util.concurrent.TimeoutException: Request timeout to "
        "17645-team12.isri.cmu.edu/128.2.205.130:8082 after 800 ms"
    )
    assert faults.refused(TEAM) == (
        "java.net.ConnectException: Connection refused: "
        "17645-team12.isri.cmu.edu/128.2.205.130:8082"
    )
    assert faults.unreachable(TEAM) == (
        "java.net.ConnectException: connection timed out: "
        "17645-team12.isri.cmu.edu/128.2.205.130:8082"
    )
    assert faults.unexpected_status(502) == "Unexpected response status: 502"


def test_timeouts_take_longer_than_the_limit_and_refusals_do_not():
    rng = np.random.default_rng(1)
    drawn = [faults.random_fault(TEAM, rng) for _ in range(300)]
    late = {text for text, ms in drawn if ms > faults.TIME_LIMIT_MS}
    assert late == {faults.timed_out(TEAM), faults.unreachable(TEAM)}
    assert {text for text, _ in drawn} - late == {
        faults.refused(TEAM),
        faults.unexpected_status(502),
    }
