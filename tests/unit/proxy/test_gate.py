import pytest

from proxy.gate import Gate, Ticket


@pytest.fixture
def gate():
    return Gate(max_waiting=2, failures_to_open=3, cooldown_s=1.0)


def call(gate, now_s, *, answered):
    ticket = gate.enter(now_s)
    assert isinstance(ticket, Ticket)
    gate.leave(ticket, now_s, answered=answered)
    return ticket


def opened(gate, now_s=0.0):
    for _ in range(3):
        call(gate, now_s, answered=False)
    assert gate.is_open
    return gate


def test_calls_beyond_the_limit_are_refused_until_one_returns(gate):
    first = gate.enter(0.0)
    gate.enter(0.0)
    assert gate.enter(0.0) == "overload"
    gate.leave(first, 0.0, answered=True)
    assert isinstance(gate.enter(0.0), Ticket)


def test_a_run_of_failures_opens_the_circuit(gate):
    opened(gate)
    assert gate.enter(0.5) == "circuit_open"


def test_one_answer_within_the_run_keeps_it_closed(gate):
    for answered in (False, False, True) * 5:
        call(gate, 0.0, answered=answered)
    assert not gate.is_open


def test_after_the_pause_one_call_at_a_time_probes(gate):
    opened(gate)
    assert gate.enter(1.0) == Ticket(probe=True)
    assert gate.enter(1.0) == "circuit_open"


def test_an_answered_probe_closes_the_circuit(gate):
    opened(gate)
    assert call(gate, 1.0, answered=True).probe
    assert gate.enter(1.0) == Ticket(probe=False)


def test_a_failed_probe_waits_for_another_pause(gate):
    opened(gate)
    assert call(gate, 1.5, answered=False).probe
    assert gate.enter(2.4) == "circuit_open"
    assert gate.enter(2.5) == Ticket(probe=True)


def test_after_closing_again_it_takes_a_whole_run_to_open(gate):
    opened(gate)
    call(gate, 1.0, answered=True)
    call(gate, 1.0, answered=False)
    call(gate, 1.0, answered=False)
    assert not gate.is_open


@pytest.mark.parametrize("answered", [True, False])
def test_a_call_from_before_the_circuit_opened_decides_nothing(gate, answered):
    early = gate.enter(0.0)
    opened(gate)
    gate.leave(early, 0.9, answered=answered)
    assert gate.enter(0.95) == "circuit_open"
    assert gate.enter(1.0) == Ticket(probe=True)
