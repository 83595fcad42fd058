"""A round of requests ends with its time, its money, or the server's patience."""

import itertools

import pytest

from functions.refresh import asking
from functions.refresh.asking import AT_ONCE, Round, Timing
from functions.refresh.chat_client import Failed
from movierec.model.texts import Description
from movierec.taste.language_model import LanguageModel

MODEL = LanguageModel("http://h/v1/chat/completions", "m", 1e-6, 2e-6, 1.0, limit_s=10.0)


def texts(n):
    return {str(i): Description(f"films of {i}") for i in range(n)}


def asked(post, timing, n, reserved_usd=1.0):
    found = Round(MODEL, post, timing, reserved_usd=reserved_usd, keep=lambda *_: None)
    found.run(texts(n))
    return found.asked


class Waits:
    """A clock that moves by what is slept, and by so much at each look."""

    def __init__(self, step=0.0):
        self.at, self.step, self.slept = 0.0, step, []

    def now(self):
        self.at += self.step
        return self.at

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.at += seconds

    def timing(self):
        return Timing(self.now, self.sleep)


def test_a_request_has_time_left_even_at_the_rounds_end():
    """Between two looks the time may end, and a socket takes no time below zero."""
    seen = []

    def post(_, timeout_s):
        seen.append(timeout_s)
        return Failed("server_error")

    looks = itertools.chain([0.0, 9.99], itertools.repeat(10.5))
    asked(post, Timing(lambda: next(looks), lambda _: None), 1)
    assert seen == [0.1]


def test_when_the_time_is_over_no_request_is_sent():
    clock = Waits(step=4.0)
    found = asked(lambda *_: Failed("timeout", billed=True), clock.timing(), 50)
    assert found.spent.calls < AT_ONCE


def test_waits_for_a_rate_limit_grow_until_the_time_is_over():
    clock, sent = Waits(), []

    def post(*_):
        sent.append(clock.at)
        return Failed("rate_limited")

    found = asked(post, clock.timing(), 1)
    assert clock.slept == [0.5, 1.0, 2.0, 4.0]
    assert found.failures == {"rate_limited": 5}
    assert found.spent.usd == pytest.approx(0)


def test_a_success_in_between_ends_a_row_of_failures(monkeypatch):
    monkeypatch.setattr(asking, "AT_ONCE", 1)
    replies = itertools.cycle(
        [
            Failed("server_error"),
            Failed("server_error"),
            b'{"choices": [{"message": {"content": ""}}]}',
        ]
    )
    found = asked(lambda *_: next(replies), Waits().timing(), 12)
    assert found.spent.calls == 12


def test_without_money_for_one_request_none_is_sent():
    found = asked(lambda *_: Failed("server_error"), Waits().timing(), 3, reserved_usd=1e-9)
    assert found.spent.calls == 0
