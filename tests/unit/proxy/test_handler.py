"""The request handler with a scripted API, and no sockets."""

import asyncio
import itertools
import json
import logging
from dataclasses import replace
from typing import get_args

import pytest

from movierec.testing.memory import FakeClock
from proxy.answers import Answer, FailureReason, UpstreamError
from proxy.circuit_breaker import CircuitBreaker
from proxy.handler import Dependencies, RecommendHandler
from proxy.popular_list import PopularList
from proxy.prometheus_metrics import Metrics
from proxy.routes import ErrorResponse

ANSWER = Answer(("a", "b"), "r1", "model", "m1", "7")
POPULAR = Answer(("p", "q"), "", "popular", "m0", "6")


class ScriptedApi:
    """Answers what it is told to, in order; the last thing for ever."""

    def __init__(self, *script):
        self.script = list(script)
        self.asked = []

    async def recommend(self, user_id):
        self.asked.append(user_id)
        found = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if found is None:
            await asyncio.Event().wait()
        if isinstance(found, Exception):
            raise found
        return found

    async def popular(self):
        return POPULAR


class Notebook:
    def __init__(self):
        self.served = []

    async def record(self, served):
        self.served.append(served)


class Setup:
    """A handler, and everything that it touches."""

    def __init__(self, *script, popular=POPULAR, breaker=None, deadline_s=0.001):
        self.api = ScriptedApi(*script)
        self.records = Notebook()
        self.metrics = Metrics()
        self.now_s = 0.0
        names = (f"own-{i}" for i in itertools.count())
        self.handler = RecommendHandler(
            self.api,
            breaker=breaker or CircuitBreaker(),
            popular=PopularList(popular, keep=lambda _: None),
            recorder=self.records,
            metrics=self.metrics,
            deps=Dependencies(FakeClock(), lambda: self.now_s, lambda: next(names)),
            deadline_s=deadline_s,
        )

    def recommend(self, user_id=42):
        return asyncio.run(self.handler.recommend(user_id))


FAILED = UpstreamError("connect", "refused")


def test_the_api_s_answer_is_passed_on_and_recorded():
    setup = Setup(ANSWER)
    assert setup.recommend() == ANSWER
    (served,) = setup.records.served
    assert (served.user_id, served.movie_ids, served.source) == (42, ("a", "b"), "model")
    assert (served.recommendation_id, served.model_version) == ("r1", "m1")
    assert (served.function_version, served.status) == ("7", 200)
    assert served.served_at_us == FakeClock().now().timestamp() * 1_000_000


@pytest.mark.parametrize(
    "failure", [None, *(UpstreamError(r, "x") for r in ("connect", "status", "malformed"))]
)
def test_whatever_fails_the_answer_is_the_popular_list_under_its_own_name(failure):
    setup = Setup(failure)
    assert setup.recommend() == Answer(("p", "q"), "own-0", "fallback", "m0", "")
    (served,) = setup.records.served
    assert (served.source, served.model_version) == ("fallback", "m0")
    assert served.recommendation_id == "own-0"


def test_an_api_that_hangs_is_given_up_at_the_deadline():
    setup = Setup(None)
    assert setup.recommend().source == "fallback"
    assert b'reason="timeout"} 1.0' in setup.metrics.render()


def test_without_any_list_ever_the_answer_is_503_and_not_recorded():
    setup = Setup(FAILED, popular=None)
    answer = setup.recommend()
    assert isinstance(answer, ErrorResponse)
    assert answer.status == 503
    assert setup.records.served == []


def test_the_api_s_400_is_passed_on_and_not_recorded():
    error = ErrorResponse(400, "no such user id")
    setup = Setup(error)
    assert setup.recommend() == error
    assert setup.records.served == []


def test_a_400_counts_as_an_answer():
    setup = Setup(ErrorResponse(400, "x"), breaker=CircuitBreaker(failures_to_open=1))
    setup.recommend()
    assert setup.handler.can_serve
    setup.recommend()
    assert len(setup.api.asked) == 2


def test_a_dead_api_is_asked_no_more_until_the_pause_is_over():
    setup = Setup(FAILED, breaker=CircuitBreaker(failures_to_open=3, cooldown_s=1.0))
    for _ in range(10):
        assert setup.recommend().source == "fallback"
    assert len(setup.api.asked) == 3
    setup.now_s = 1.0
    setup.api.script = [ANSWER]
    assert setup.recommend() == ANSWER
    assert setup.recommend() == ANSWER


def test_no_request_piles_up_behind_a_hanging_api():
    setup = Setup(None, breaker=CircuitBreaker(max_waiting=2), deadline_s=0.05)

    async def five():
        return await asyncio.gather(*(setup.handler.recommend(i) for i in range(1, 6)))

    assert {answer.source for answer in asyncio.run(five())} == {"fallback"}
    assert setup.api.asked == [1, 2]
    assert b'reason="overload"} 3.0' in setup.metrics.render()


def test_a_cancelled_request_gives_its_place_back():
    setup = Setup(None, breaker=CircuitBreaker(max_waiting=1), deadline_s=60)

    async def cancelled_then_another():
        first = asyncio.create_task(setup.handler.recommend(1))
        await asyncio.sleep(0)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        setup.api.script = [ANSWER]
        return await setup.handler.recommend(2)

    assert asyncio.run(cancelled_then_another()) == ANSWER


def test_a_failure_is_logged_once_in_a_while_and_counted_always(caplog):
    setup = Setup(FAILED)
    with caplog.at_level(logging.WARNING):
        for setup.now_s in (0.0, 1.0, 9.9, 10.0):
            setup.recommend()
    assert [record.message for record in caplog.records].count("api_failed") == 2
    assert b'reason="connect"} 4.0' in setup.metrics.render()


def test_it_can_serve_with_a_list_or_with_an_api_that_answers():
    setup = Setup(FAILED, popular=None, breaker=CircuitBreaker(failures_to_open=1))
    assert setup.handler.can_serve
    setup.recommend()
    assert not setup.handler.can_serve
    assert Setup(FAILED).handler.can_serve


def detail_recorded(setup):
    setup.recommend()
    (served,) = setup.records.served
    return served.detail


@pytest.mark.parametrize("reason", get_args(FailureReason))
def test_the_record_of_a_fallback_has_the_reason(reason):
    detail = detail_recorded(Setup(UpstreamError(reason, "x")))
    assert json.loads(detail) == {"v": 1, "fallback": reason}


def test_a_fallback_has_nothing_of_the_answer_that_gave_the_list():
    setup = Setup(FAILED, popular=replace(POPULAR, detail='{"v":1,"known_user":true}'))
    assert json.loads(detail_recorded(setup)) == {"v": 1, "fallback": "connect"}


def test_a_detail_that_is_none_is_counted_always_and_logged_once_in_a_while(caplog):
    setup = Setup(replace(ANSWER, detail="{"))
    with caplog.at_level(logging.WARNING):
        for setup.now_s in (0.0, 1.0, 9.9, 10.0):
            assert setup.recommend() == ANSWER
    assert [record.message for record in caplog.records] == ["detail_dropped"] * 2
    assert {served.detail for served in setup.records.served} == {None}
    assert b"dropped_details_total 4.0" in setup.metrics.render()
