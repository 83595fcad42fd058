import numpy as np

from simulator import request_errors
from simulator.request_errors import Server

TEAM = Server("17645-team12.isri.cmu.edu:8082", "128.2.205.130")


def test_error_texts_are_those_of_the_course():
    assert request_errors.timed_out(TEAM) == (
        "java.util.concurrent.TimeoutException: Request timeout to "
        "17645-team12.isri.cmu.edu/128.2.205.130:8082 after 800 ms"
    )
    assert request_errors.refused(TEAM) == (
        "java.net.ConnectException: Connection refused: "
        "17645-team12.isri.cmu.edu/128.2.205.130:8082"
    )
    assert request_errors.unreachable(TEAM) == (
        "java.net.ConnectException: connection timed out: "
        "17645-team12.isri.cmu.edu/128.2.205.130:8082"
    )
    assert request_errors.unexpected_status(502) == "Unexpected response status: 502"


def test_timeouts_take_longer_than_the_limit_and_refusals_do_not():
    rng = np.random.default_rng(1)
    drawn = [request_errors.random_error(TEAM, rng) for _ in range(300)]
    late = {text for text, ms in drawn if ms > request_errors.TIME_LIMIT_MS}
    assert late == {request_errors.timed_out(TEAM), request_errors.unreachable(TEAM)}
    assert {text for text, _ in drawn} - late == {
        request_errors.refused(TEAM),
        request_errors.unexpected_status(502),
    }
