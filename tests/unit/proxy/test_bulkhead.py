"""Places at the API: so many, in turn, and each held until the API is done."""

import asyncio

import pytest

from proxy.answers import Answer, UpstreamError
from proxy.bulkhead import Bulkhead

ANSWER = Answer(("a", "b"), "r1", "model", "m1", "7")


class HeldApi:
    """Answers a user when it is told to, or fails."""

    def __init__(self):
        self.asked = []
        self.answers = {}

    async def recommend(self, user_id):
        self.asked.append(user_id)
        self.answers[user_id] = asyncio.get_running_loop().create_future()
        return await self.answers[user_id]

    async def popular(self):
        return ANSWER


async def turns(count=5):
    """Let whatever can go on go on."""
    for _ in range(count):
        await asyncio.sleep(0)


def test_no_more_are_asked_at_once_and_the_others_have_their_turn():
    async def play():
        api = HeldApi()
        bulkhead = Bulkhead(api, 2)
        asking = [asyncio.create_task(bulkhead.recommend(user)) for user in (1, 2, 3)]
        await turns()
        assert api.asked == [1, 2]
        api.answers[2].set_result(ANSWER)
        assert await asking[1] == ANSWER
        await turns()
        assert api.asked == [1, 2, 3]
        assert await bulkhead.popular() == ANSWER
        await bulkhead.close()
        with pytest.raises(asyncio.CancelledError):
            await asking[0]

    asyncio.run(play())


@pytest.mark.parametrize("result", [ANSWER, UpstreamError("status", "late, and a failure")])
def test_who_gives_up_leaves_the_place_taken_until_the_api_is_done(result):
    complaints = []

    async def play():
        asyncio.get_running_loop().set_exception_handler(lambda _, said: complaints.append(said))
        api = HeldApi()
        bulkhead = Bulkhead(api, 1)
        impatient = asyncio.create_task(bulkhead.recommend(1))
        patient = asyncio.create_task(bulkhead.recommend(2))
        await turns()
        impatient.cancel()
        await turns()
        assert api.asked == [1]
        if isinstance(result, Exception):
            api.answers[1].set_exception(result)
        else:
            api.answers[1].set_result(result)
        await turns()
        assert api.asked == [1, 2]
        api.answers[2].set_result(ANSWER)
        assert await patient == ANSWER

    asyncio.run(play())
    assert complaints == []


def test_who_gives_up_before_a_turn_comes_is_never_asked_for():
    async def play():
        api = HeldApi()
        bulkhead = Bulkhead(api, 1)
        first, second, third = (asyncio.create_task(bulkhead.recommend(u)) for u in (1, 2, 3))
        await turns()
        second.cancel()
        api.answers[1].set_result(ANSWER)
        await first
        await turns()
        assert api.asked == [1, 3]
        api.answers[3].set_result(ANSWER)
        assert await third == ANSWER

    asyncio.run(play())


def test_a_failure_reaches_the_caller_and_frees_the_place():
    async def play():
        api = HeldApi()
        bulkhead = Bulkhead(api, 1)
        failing = asyncio.create_task(bulkhead.recommend(1))
        await turns()
        api.answers[1].set_exception(UpstreamError("connect", "refused"))
        with pytest.raises(UpstreamError, match="refused"):
            await failing
        other = asyncio.create_task(bulkhead.recommend(2))
        await turns()
        assert api.asked == [1, 2]
        api.answers[2].set_result(ANSWER)
        assert await other == ANSWER

    asyncio.run(play())
