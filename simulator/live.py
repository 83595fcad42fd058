"""The living site: users ask for recommendations, watch and rate, as time goes by."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Iterator
from typing import Any, Final

import aiohttp
import numpy as np

from simulator import answers, faults, lines
from simulator.answers import Answer
from simulator.faults import Server
from simulator.ledger import Ledger, LedgerFile
from simulator.outbox import Outbox
from simulator.sessions import Evening, Viewing, spend
from simulator.settings import LiveSpec
from simulator.world import World

log = logging.getLogger(__name__)

_MINUTE_S: Final = 60.0

# Tries to find a user who is not watching already.
_TRIES: Final = 20

# Log lines of viewers reach the log in a slightly different order than they were made in.
_DELAYED_SHARE: Final = 0.01
_MAX_DELAY_S: Final = 15.0


# A single failure is in the ledger; so many on end are worth a message.
_FAILURES_TO_SAY: Final = 10


class _FinishedError(Exception):
    """Ends the task group."""


class Live:
    """One run of the site's users against a recommender."""

    def __init__(
        self,
        world: World,
        spec: LiveSpec,
        server: Server,
        *,
        outbox: Outbox,
        ledger: Ledger,
        rng: np.random.Generator,
    ) -> None:
        self._world, self._spec, self._server = world, spec, server
        self._outbox, self.ledger, self._rng = outbox, ledger, rng
        running = np.cumsum(world.tastes.activity, dtype=np.float64)
        self._activity = running / running[-1]
        self._busy: set[int] = set()
        self._seen: dict[int, set[int]] = {}
        self._last_us = 0
        self._failures = 0
        self._unanswered = 0
        self._all_answered = asyncio.Event()
        self._all_answered.set()

    async def run(self, stop: asyncio.Event, file: LedgerFile) -> None:
        """Live until `stop` is set or the time is over."""
        timeout = aiohttp.ClientTimeout(total=faults.TIME_LIMIT_MS / 1000)
        connector = aiohttp.TCPConnector(limit=0)
        with _single_errors():
            async with (
                aiohttp.ClientSession(timeout=timeout, connector=connector) as http,
                asyncio.TaskGroup() as tasks,
            ):
                tasks.create_task(self._keep_account(file))
                asking = tasks.create_task(self._ask_on_and_on(http, tasks))
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), self._spec.duration_s)
                asking.cancel()
                # What was asked for is on the recommender's account: it belongs on ours, too.
                await self._all_answered.wait()
                raise _FinishedError

    async def _keep_account(self, file: LedgerFile) -> None:
        while True:
            await asyncio.sleep(1.0)
            self.settle()
            file.write(self.ledger, finished=False)

    def settle(self) -> None:
        """Bring the account up to date."""
        lost = self._outbox.settle(self.ledger)
        if lost:
            log.error("lines_lost", extra={"lines": len(lost), "why": str(lost[0])})

    async def _ask_on_and_on(self, http: aiohttp.ClientSession, tasks: asyncio.TaskGroup) -> None:
        """Start requests at the set rate, however long the answers take (an open loop)."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            gap = self._rng.exponential() if self._spec.poisson else 1.0
            due += gap / self._spec.rate
            await asyncio.sleep(max(0.0, due - loop.time()))
            tasks.create_task(self._visit(http))

    def _pick_user(self) -> int:
        """Return a user's row: the active ones more often, one who is not watching if possible."""
        for _ in range(_TRIES):
            user = int(np.searchsorted(self._activity, self._rng.random()))
            user = min(user, len(self._activity) - 1)
            if user not in self._busy:
                break
        return user

    async def _visit(self, http: aiohttp.ClientSession) -> None:
        """Let a user ask, and then do as (s)he likes."""
        user = self._pick_user()
        is_idle = user not in self._busy
        self._busy.add(user)
        try:
            answer = await self._ask(http, user + 1)
            if is_idle:
                await self._live_on(user, answer)
        finally:
            if is_idle:
                self._busy.discard(user)

    async def _ask(self, http: aiohttp.ClientSession, user_id: int) -> Answer:
        """Ask for recommendations, and log what came of it."""
        stamp_us, started = self._stamp_us(), time.perf_counter()
        with self._counted():
            answer = await self._answer(http, user_id)
        latency_ms = (time.perf_counter() - started) * 1000
        self.ledger.count_request(
            answer.status, answer.what, answer.model, answer.source, latency_ms
        )
        self._note_availability(answer)
        text = lines.recommend_line(
            lines.time_text(stamp_us * 1000),
            user_id,
            server=self._server.name,
            status=answer.status,
            result=answer.result,
            latency_ms=round(latency_ms),
        )
        self._outbox.write("recommend", user_id, text)
        return answer

    @contextlib.contextmanager
    def _counted(self) -> Iterator[None]:
        """Have `_all_answered` say whether any request is under way."""
        self._unanswered += 1
        self._all_answered.clear()
        try:
            yield
        finally:
            self._unanswered -= 1
            if not self._unanswered:
                self._all_answered.set()

    async def _answer(self, http: aiohttp.ClientSession, user_id: int) -> Answer:
        try:
            async with http.get(f"{self._spec.proxy}/recommend/{user_id}") as response:
                body = await response.read()
                known = self._world.films.index
                return answers.judge(response.status, body, response.headers, known)
        except aiohttp.ConnectionTimeoutError:
            return answers.failed("connection timed out", faults.unreachable(self._server))
        except TimeoutError:
            return answers.failed("timed out", faults.timed_out(self._server))
        except aiohttp.ClientConnectorError:
            return answers.failed("connection refused", faults.refused(self._server))
        except aiohttp.ClientError:
            return answers.failed("connection lost", faults.connection_lost(self._server))

    def _stamp_us(self) -> int:
        """Return the time in microseconds; no two requests have the same."""
        self._last_us = max(time.time_ns() // 1000, self._last_us + 1)
        return self._last_us

    def _note_availability(self, answer: Answer) -> None:
        """Log when the recommender has failed many times on end, and when it is back."""
        facts = {"proxy": self._spec.proxy, "error": answer.error}
        if answer.error is None:
            if self._failures >= _FAILURES_TO_SAY:
                log.info("recommendations_are_back", extra=facts)
            self._failures = 0
            return
        self._failures += 1
        if self._failures == _FAILURES_TO_SAY:
            log.warning("recommendations_fail", extra=facts)

    async def _live_on(self, user: int, answer: Answer) -> None:
        """Do what a user does after a request, in his or her own time."""
        index = self._world.films.index
        recommended = [index[name] for name in answer.movie_ids]
        seen = self._seen.setdefault(user, set())
        evening = spend(
            self._world,
            user,
            recommended,
            seen,
            max_rating=self._spec.max_rating,
            rng=self._rng,
        )
        if evening.viewing:
            seen.add(evening.viewing.film)
            await self._watch(user, evening.viewing)
        for rating in evening.ratings:
            seen.add(rating.film)
            await self._pause(5.0)
            self._write_rating(user, rating.film, rating.rating)
        if recommended:
            self._count_outcome(answer, recommended, evening)

    async def _watch(self, user: int, viewing: Viewing) -> None:
        loop = asyncio.get_running_loop()
        started, movie_id = loop.time(), self._world.films.ids[viewing.film]
        for minute in range(viewing.last_minute + 1):
            due = started + minute * _MINUTE_S / self._spec.speedup
            await asyncio.sleep(max(0.0, due - loop.time()))
            text = lines.watch_line(self._second(), user + 1, movie_id, minute)
            self._outbox.write("watch", user + 1, text)
        if viewing.rating is not None:
            await self._pause(10.0)
            self._write_rating(user, viewing.film, viewing.rating)

    def _write_rating(self, user: int, film: int, rating: int) -> None:
        movie_id = self._world.films.ids[film]
        text = lines.rate_line(self._second(), user + 1, movie_id, rating)
        self._outbox.write("rate", user + 1, text)

    async def _pause(self, seconds: float) -> None:
        await asyncio.sleep(seconds / self._spec.speedup)

    def _second(self) -> str:
        """Return the time of a watch or rate line: whole seconds, some lines came late."""
        late_s = _MAX_DELAY_S * self._rng.random() if self._rng.random() < _DELAYED_SHARE else 0.0
        return lines.time_text(int(time.time() - late_s) * lines.NANOS)

    def _count_outcome(self, answer: Answer, recommended: list[int], evening: Evening) -> None:
        outcome = self.ledger.outcome(answer.model)
        outcome.lists += 1
        outcome.movies += len(set(recommended))
        viewing = evening.viewing
        if viewing and viewing.recommended:
            runtime = int(self._world.films.runtime_minutes[viewing.film])
            outcome.lists_watched += 1
            outcome.movies_watched += 1
            outcome.watch_share_sum += viewing.watch_share(runtime)
            if viewing.rating is not None:
                outcome.ratings += 1
                outcome.rating_sum += viewing.rating


@contextlib.contextmanager
def _single_errors() -> Iterator[None]:
    """Raise the first error that ended a task group, not the group; the end itself is none."""
    try:
        yield
    except BaseExceptionGroup as group:
        problems = group.split(_FinishedError)[1]
        if problems is not None:
            raise _first(problems) from group


def _first(group: BaseExceptionGroup[Any]) -> BaseException:
    found: BaseException = group
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    return found
