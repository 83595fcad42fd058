"""What the site gets: the API's answer in time, else the last popular list, and on record."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, Protocol

from movierec.lake.served import Served, microseconds
from movierec.ports import Clock
from proxy.answers import Answer, Api, FailureReason, UpstreamError
from proxy.gate import Gate
from proxy.metrics import Metrics
from proxy.popular import PopularList
from proxy.routing import Refusal

_log = logging.getLogger(__name__)

NOTHING_TO_SERVE: Final = Refusal(
    503, "no recommendations yet: the API does not answer and never gave a popular list; retry"
)

# A failing API says the same thing many times a second.
_LOG_EVERY_S: Final = 10.0


class Records(Protocol):
    """Where served recommendations go."""

    async def record(self, served: Served) -> None:
        """Return when the record is safe, or counted as dropped."""
        ...


@dataclass(frozen=True, slots=True)
class World:
    """What a door takes from outside: the time, twice, and names for recommendations."""

    clock: Clock
    monotonic_s: Callable[[], float]
    new_id: Callable[[], str]


class FrontDoor:
    """Answers within the deadline, whatever the API does."""

    def __init__(
        self,
        api: Api,
        *,
        gate: Gate,
        popular: PopularList,
        records: Records,
        metrics: Metrics,
        world: World,
        deadline_s: float,
    ) -> None:
        self._api = api
        self._gate = gate
        self._popular = popular
        self._records = records
        self._metrics = metrics
        self._world = world
        self._deadline_s = deadline_s
        self._log_again_s: dict[FailureReason, float] = {}

    @property
    def can_serve(self) -> bool:
        """Whether a request would be answered with recommendations now."""
        return self._popular.current is not None or not self._gate.is_open

    async def recommend(self, user_id: int) -> Answer | Refusal:
        """Return recommendations, or a refusal: the API's 400, or 503 with nothing to serve."""
        begin_s = self._world.monotonic_s()
        try:
            found = await self._ask(user_id)
        except UpstreamError as exc:
            self._note(exc)
            found = self._fall_back()
        if isinstance(found, Answer):
            await self._records.record(self._served(user_id, found, begin_s))
        self._metrics.took(self._world.monotonic_s() - begin_s)
        return found

    async def _ask(self, user_id: int) -> Answer | Refusal:
        ticket = self._gate.enter(self._world.monotonic_s())
        if isinstance(ticket, str):
            raise UpstreamError(ticket, "the API was not asked")
        answered = False
        try:
            async with asyncio.timeout(self._deadline_s):
                found = await self._api.recommend(user_id)
            answered = True
        except TimeoutError as exc:
            late = f"the API gave no answer within {self._deadline_s * 1000:.0f} ms"
            raise UpstreamError("timeout", late) from exc
        else:
            return found
        finally:
            was_open = self._gate.is_open
            self._gate.leave(ticket, self._world.monotonic_s(), answered=answered)
            if self._gate.is_open != was_open:
                _log.warning("circuit_closed" if was_open else "circuit_opened")

    def _fall_back(self) -> Answer | Refusal:
        if self._popular.current is None:
            return NOTHING_TO_SERVE
        return replace(
            self._popular.current,
            source="fallback",
            recommendation_id=self._world.new_id(),
            function_version="",
        )

    def _note(self, failure: UpstreamError) -> None:
        self._metrics.failed(failure.reason)
        now_s = self._world.monotonic_s()
        if now_s >= self._log_again_s.get(failure.reason, now_s):
            self._log_again_s[failure.reason] = now_s + _LOG_EVERY_S
            facts = {"reason": failure.reason, "why": str(failure), "quiet_s": _LOG_EVERY_S}
            _log.warning("api_failed", extra=facts)

    def _served(self, user_id: int, answer: Answer, begin_s: float) -> Served:
        now = self._world.clock.now()
        latency_s = self._world.monotonic_s() - begin_s
        return Served(
            served_at_us=microseconds(now),
            recommendation_id=answer.recommendation_id,
            user_id=user_id,
            movie_ids=answer.movie_ids,
            model_version=answer.model_version,
            function_version=answer.function_version,
            source=answer.source,
            status=200,
            latency_ms=round(latency_s * 1000, 3),
        )
