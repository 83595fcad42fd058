"""Slots at the API: limited, first come first served, and each held until the call ends."""

import asyncio

import pytest

from proxy.answers import Answer, UpstreamError
from proxy.bulkhead import Bulkhead

ANSWER = Answer(("a", "b"), "r1", "model", "m1", "7")


class HeldApi:
    """Answers a user, or fails, when the test says so."""

    def __init__(self):
        self.asked = []
        self.answers = {}

    async def recommend(self, user_id):
        self.asked.append(user_id)
        self.answers[user_id] = asyncio.get_running_loop().create_future()
        return await self.answers[user_id]

    async def popular(self):
        return ANSWER


async def settle(count=5):
    """Run the event loop until every task waits."""
    for _ in range(count):
        await asyncio.sleep(0)


def test_calls_beyond_the_limit_queue_and_follow_in_order():
    async def play():
        api = HeldApi()
        bulkhead = Bulkhead(api, 2)
        asking = [asyncio.create_task(bulkhead.recommend(user)) for user in (1, 2, 3)]
        await settle()
        assert api.asked == [1, 2]
        api.answers[2].set_result(ANSWER)
        assert await asking[1] == ANSWER
        await settle()
        assert api.asked == [1, 2, 3]
        assert await bulkhead.popular() == ANSWER
        await bulkhead.close()
        with pytest.raises(asyncio.CancelledError):
            await asking[0]

    asyncio.run(play())


@pytest.mark.parametrize("result", [ANSWER, UpstreamError("status", "late, and a failure")])
def test_an_abandoned_call_keeps_its_slot_until_the_api_is_done(result):
    complaints = []

    async def play():
        asyncio.get_running_loop().set_exception_handler(lambda _, said: complaints.append(said))
        api = HeldApi()
        bulkhead = Bulkhead(api, 1)
        impatient = asyncio.create_task(bulkhead.recommend(1))
        patient = asyncio.create_task(bulkhead.recommend(2))
        await settle()
        impatient.cancel()
        await settle()
        assert api.asked == [1]
        if isinstance(result, Exception):
            api.answers[1].set_exception(result)
        else:
            api.answers[1].set_result(result)
        await settle()
        assert api.asked == [1, 2]
        api.answers[2].set_result(ANSWER)
        assert await patient == ANSWER

    asyncio.run(play())
    assert complaints == []


def test_a_caller_cancelled_in_the_queue_is_never_asked_for():
    async def play():
        api = HeldApi()
        bulkhead = Bulkhead(api, 1)
        first, second, third = (asyncio.create_task(bulkhead.recommend(u)) for u in (1, 2, 3))
        await settle()
        second.cancel()
        api.answers[1].set_result(ANSWER)
        await first
        await settle()
        assert api.asked == [1, 3]
        api.answers[3].set_result(ANSWER)
        assert await third == ANSWER

    asyncio.run(play())


def test_a_failure_reaches_the_caller_and_frees_the_slot():
    async def play():
        api = HeldApi()
        bulkhead = Bulkhead(api, 1)
        failing = asyncio.create_task(bulkhead.recommend(1))
        await settle()
        api.answers[1].set_exception(UpstreamError("connect", "refused"))
        with pytest.raises(UpstreamError, match="refused"):
            await failing
        other = asyncio.create_task(bulkhead.recommend(2))
        await settle()
        assert api.asked == [1, 2]
        api.answers[2].set_result(ANSWER)
        assert await other == ANSWER

    asyncio.run(play())
