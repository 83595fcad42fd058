"""Bulkhead: limits concurrent calls to the API.

A slot stays taken until the call ends, even when its caller has timed out.
"""

import asyncio
from typing import Final

from proxy.answers import Answer, Api
from proxy.routes import ErrorResponse

# The proxy's concurrency limit, of requests that wait for the API and of calls to it. A request
# waits up to the deadline of 0.4 s, so 128 are at least 320 requests/s even when all time out:
# sixteen times the site's traffic. Each call is one Lambda environment; where those run on this
# machine, `--api-calls` sets a lower limit for calls, and requests up to this one queue.
MAX_CALLS: Final = 128


class Bulkhead:
    """`proxy.answers.Api` with at most `limit` calls in flight; further callers queue.

    A caller that times out abandons its call, which keeps its slot until the API has answered: a
    Lambda function runs on, and holds its environment, whether anybody reads the answer or not.
    Were the slot free at once, a stall of half a second would start an environment for each
    request of that time, and their cold starts would be the next stall (a metastable failure:
    Bronson et al., HotOS 2021). Nygard, Release It! (2nd ed.), "Bulkheads".
    """

    def __init__(self, api: Api, limit: int) -> None:
        self._api = api
        self._slots = asyncio.Semaphore(limit)
        self._calls: set[asyncio.Task[Answer | ErrorResponse]] = set()

    async def recommend(self, user_id: int) -> Answer | ErrorResponse:
        """Return the API's answer, once a slot is free. Raises UpstreamError."""
        await self._slots.acquire()
        call = asyncio.ensure_future(self._api.recommend(user_id))
        self._calls.add(call)
        call.add_done_callback(self._release_slot)
        return await asyncio.shield(call)

    async def popular(self) -> Answer:
        """Return the popular list; polled rarely, so it takes no slot."""
        return await self._api.popular()

    async def close(self) -> None:
        """Cancel abandoned calls."""
        for call in self._calls:
            call.cancel()
        await asyncio.gather(*self._calls, return_exceptions=True)

    def _release_slot(self, call: "asyncio.Task[Answer | ErrorResponse]") -> None:
        self._calls.discard(call)
        self._slots.release()
        if not call.cancelled():
            # Retrieve an abandoned call's exception, or asyncio logs it.
            call.exception()
