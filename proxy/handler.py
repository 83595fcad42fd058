"""Handle a recommendation request: the API's answer in time, else the cached popular list.

Every answer is journalled before it is sent.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, Protocol, get_args

from movierec.api_contract import dump_detail, is_detail
from movierec.lake.served import Served, microseconds
from movierec.ports import Clock
from proxy.answers import Answer, Api, FailureReason, UpstreamError
from proxy.circuit_breaker import CircuitBreaker
from proxy.popular_list import PopularList
from proxy.prometheus_metrics import Metrics
from proxy.routes import ErrorResponse

_log = logging.getLogger(__name__)

NOTHING_TO_SERVE: Final = ErrorResponse(
    503, "no recommendations yet: the API does not answer and never gave a popular list; retry"
)

_FALLBACK_DETAILS: Final = {
    reason: dump_detail({"fallback": reason}) for reason in get_args(FailureReason)
}

# A failing API would log the same warning many times a second.
_LOG_EVERY_S: Final = 10.0


class Recorder(Protocol):
    """Port: the journal of served recommendations."""

    async def record(self, served: Served) -> None:
        """Return when the record is journalled, or counted as dropped."""
        ...


@dataclass(frozen=True, slots=True)
class Dependencies:
    """Wall clock, monotonic clock and id generator, injected."""

    clock: Clock
    monotonic_s: Callable[[], float]
    new_id: Callable[[], str]


class RecommendHandler:
    """Answers within `deadline_s`, from the API or from the cached popular list."""

    def __init__(
        self,
        api: Api,
        *,
        breaker: CircuitBreaker,
        popular: PopularList,
        recorder: Recorder,
        metrics: Metrics,
        deps: Dependencies,
        deadline_s: float,
    ) -> None:
        self._api = api
        self._breaker = breaker
        self._popular = popular
        self._recorder = recorder
        self._metrics = metrics
        self._deps = deps
        self._deadline_s = deadline_s
        self._log_again_s: dict[str, float] = {}

    @property
    def can_serve(self) -> bool:
        """Whether a request would get recommendations now (readiness)."""
        return self._popular.current is not None or not self._breaker.is_open

    async def recommend(self, user_id: int) -> Answer | ErrorResponse:
        """Return recommendations or an error: the API's 400, or 503 with nothing to serve."""
        begin_s = self._deps.monotonic_s()
        try:
            found = await self._ask(user_id)
        except UpstreamError as exc:
            self._metrics.count_failure(exc.reason)
            self._warn("api_failed", exc.reason, str(exc))
            found = self._fall_back(exc.reason)
        if isinstance(found, Answer):
            await self._recorder.record(self._served(user_id, found, begin_s))
        self._metrics.observe_latency(self._deps.monotonic_s() - begin_s)
        return found

    async def _ask(self, user_id: int) -> Answer | ErrorResponse:
        permit = self._breaker.acquire(self._deps.monotonic_s())
        if isinstance(permit, str):
            raise UpstreamError(permit, "the API was not asked")
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
            was_open = self._breaker.is_open
            self._breaker.release(permit, self._deps.monotonic_s(), answered=answered)
            if self._breaker.is_open != was_open:
                _log.warning("circuit_closed" if was_open else "circuit_opened")

    def _fall_back(self, reason: FailureReason) -> Answer | ErrorResponse:
        if self._popular.current is None:
            return NOTHING_TO_SERVE
        return replace(
            self._popular.current,
            source="fallback",
            recommendation_id=self._deps.new_id(),
            function_version="",
            detail=_FALLBACK_DETAILS[reason],
        )

    def _warn(self, event: str, reason: str, why: str) -> None:
        now_s = self._deps.monotonic_s()
        if now_s >= self._log_again_s.get(reason, now_s):
            self._log_again_s[reason] = now_s + _LOG_EVERY_S
            _log.warning(event, extra={"reason": reason, "why": why, "quiet_s": _LOG_EVERY_S})

    def _served(self, user_id: int, answer: Answer, begin_s: float) -> Served:
        now = self._deps.clock.now()
        latency_s = self._deps.monotonic_s() - begin_s
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
            detail=self._detail(answer),
        )

    def _detail(self, answer: Answer) -> str | None:
        if answer.detail is None or is_detail(answer.detail):
            return answer.detail
        self._metrics.dropped_details.inc()
        why = f"{len(answer.detail)} bytes that are no detail: {answer.detail[:80]!r}"
        self._warn("detail_dropped", "detail", why)
        return None
