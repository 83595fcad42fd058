import pytest

from proxy.circuit_breaker import CircuitBreaker, Permit


@pytest.fixture
def breaker():
    return CircuitBreaker(max_waiting=2, failures_to_open=3, cooldown_s=1.0)


def call(breaker, now_s, *, answered):
    permit = breaker.acquire(now_s)
    assert isinstance(permit, Permit)
    breaker.release(permit, now_s, answered=answered)
    return permit


def opened(breaker, now_s=0.0):
    for _ in range(3):
        call(breaker, now_s, answered=False)
    assert breaker.is_open
    return breaker


def test_calls_beyond_the_limit_are_refused_until_one_returns(breaker):
    first = breaker.acquire(0.0)
    breaker.acquire(0.0)
    assert breaker.acquire(0.0) == "overload"
    breaker.release(first, 0.0, answered=True)
    assert isinstance(breaker.acquire(0.0), Permit)


def test_a_run_of_failures_opens_the_circuit(breaker):
    opened(breaker)
    assert breaker.acquire(0.5) == "circuit_open"


def test_one_answer_within_the_run_keeps_it_closed(breaker):
    for answered in (False, False, True) * 5:
        call(breaker, 0.0, answered=answered)
    assert not breaker.is_open


def test_after_the_pause_one_call_at_a_time_probes(breaker):
    opened(breaker)
    assert breaker.acquire(1.0) == Permit(probe=True)
    assert breaker.acquire(1.0) == "circuit_open"


def test_an_answered_probe_closes_the_circuit(breaker):
    opened(breaker)
    assert call(breaker, 1.0, answered=True).probe
    assert breaker.acquire(1.0) == Permit(probe=False)


def test_a_failed_probe_waits_for_another_pause(breaker):
    opened(breaker)
    assert call(breaker, 1.5, answered=False).probe
    assert breaker.acquire(2.4) == "circuit_open"
    assert breaker.acquire(2.5) == Permit(probe=True)


def test_after_closing_again_it_takes_a_whole_run_to_open(breaker):
    opened(breaker)
    call(breaker, 1.0, answered=True)
    call(breaker, 1.0, answered=False)
    call(breaker, 1.0, answered=False)
    assert not breaker.is_open


@pytest.mark.parametrize("answered", [True, False])
def test_a_call_from_before_the_circuit_opened_decides_nothing(breaker, answered):
    early = breaker.acquire(0.0)
    opened(breaker)
    breaker.release(early, 0.9, answered=answered)
    assert breaker.acquire(0.95) == "circuit_open"
    assert breaker.acquire(1.0) == Permit(probe=True)
