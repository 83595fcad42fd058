"""So many calls to the API at once, and each in its place until the API is done with it."""

import asyncio
from typing import Final

from proxy.answers import Answer, Api
from proxy.routing import Refusal

# The API answers each call under way in an environment of its own. On AWS those are another
# machine's; where they are this one's, whoever starts it gives a limit of its own.
MAX_CALLS: Final = 128


class Bulkhead:
    """`proxy.answers.Api` that is never asked by more than `limit` at once; the others wait.

    A caller that gives up leaves its call behind, which keeps its place until the API has
    answered: a function goes on, and holds its environment, whether somebody still listens or not.
    Were the place free at once, a stall of half a second would have an environment started for
    each request of that time, and their starts would be the next stall (a metastable failure:
    Bronson et al., HotOS 2021). Nygard, Release It! (2nd ed.), "Bulkheads".
    """

    def __init__(self, api: Api, limit: int) -> None:
        self._api = api
        self._places = asyncio.Semaphore(limit)
        self._calls: set[asyncio.Task[Answer | Refusal]] = set()

    async def recommend(self, user_id: int) -> Answer | Refusal:
        """Return what the API answers, once there is a place. Raises UpstreamError."""
        await self._places.acquire()
        call = asyncio.ensure_future(self._api.recommend(user_id))
        self._calls.add(call)
        call.add_done_callback(self._leave)
        return await asyncio.shield(call)

    async def popular(self) -> Answer:
        """Return the popular list, asked for once in a while and never waiting for a place."""
        return await self._api.popular()

    async def close(self) -> None:
        """Give up the calls that nobody waits for any more."""
        for call in self._calls:
            call.cancel()
        await asyncio.gather(*self._calls, return_exceptions=True)

    def _leave(self, call: "asyncio.Task[Answer | Refusal]") -> None:
        self._calls.discard(call)
        self._places.release()
        if not call.cancelled():
            # What came of a call that was left behind is nobody's; asyncio would complain.
            call.exception()
