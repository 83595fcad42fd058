"""Live traffic: users request recommendations, watch and rate in real time, or sped up."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Iterator
from typing import Any, Final

import aiohttp
import numpy as np

from movierec.api_contract import RECOMMEND_PATH
from simulator import incomplete_documents, log_line_format, request_errors, response_validation
from simulator.event_kinds import Kind
from simulator.growing_site import Site
from simulator.history_generator import FIRST_VISIT_SHARE
from simulator.message_sender import MessageSender
from simulator.request_errors import Server
from simulator.response_validation import Response
from simulator.settings import LiveSpec
from simulator.synthetic_world import World
from simulator.traffic_ledger import Ledger, LedgerFile
from simulator.viewing_session import Session, Viewing, simulate_session

log = logging.getLogger(__name__)

_MINUTE_S: Final = 60.0
_MICROS: Final = 1_000_000

# From a user's sign-up to the first request.
_SIGNED_UP_S: Final = 2.0

# Attempts to draw a user who is not in a session already.
_TRIES: Final = 20

# Some lines reach the log late, and so out of order.
_DELAYED_SHARE: Final = 0.01
_MAX_DELAY_S: Final = 15.0


# A single failure is in the ledger; so many in a row are worth a log event.
_FAILURES_TO_LOG: Final = 10


class _FinishedError(Exception):
    """Ends the task group."""


class LiveTraffic:
    """The site's users against a recommender, until stopped."""

    def __init__(
        self,
        site: World | Site,
        spec: LiveSpec,
        server: Server,
        *,
        sender: MessageSender,
        ledger: Ledger,
        rng: np.random.Generator,
    ) -> None:
        self._site = Site.of(site)
        self._world, self._spec, self._server = self._site.world, spec, server
        self._sender, self.ledger, self._rng = sender, ledger, rng
        self._activity = np.zeros(0)
        self._in_session: set[int] = set()
        self._seen: dict[int, set[int]] = {}
        self._last_us = 0
        self._failures = 0
        self._in_flight = 0
        self._none_in_flight = asyncio.Event()
        self._none_in_flight.set()

    async def run(self, stop: asyncio.Event, file: LedgerFile) -> None:
        """Generate traffic until `stop` is set or the duration is over."""
        timeout = aiohttp.ClientTimeout(total=request_errors.TIME_LIMIT_MS / 1000)
        connector = aiohttp.TCPConnector(limit=0)
        with _single_errors():
            async with (
                aiohttp.ClientSession(timeout=timeout, connector=connector) as http,
                asyncio.TaskGroup() as tasks,
            ):
                tasks.create_task(self._write_ledger(file))
                load = tasks.create_task(self._generate_load(http, tasks))
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), self._spec.duration_s)
                load.cancel()
                # The recommender counts every request it got: ours must all be in the ledger.
                await self._none_in_flight.wait()
                raise _FinishedError

    async def _write_ledger(self, file: LedgerFile) -> None:
        while True:
            await asyncio.sleep(1.0)
            self.count_confirmed()
            file.write(self.ledger, finished=False)

    def count_confirmed(self) -> None:
        """Bring the ledger up to date, and log lines that were lost."""
        lost = self._sender.count_confirmed(self.ledger)
        if lost:
            log.error("lines_lost", extra={"lines": len(lost), "why": str(lost[0])})

    async def _generate_load(self, http: aiohttp.ClientSession, tasks: asyncio.TaskGroup) -> None:
        """Open-loop load: start requests at the set rate, however long the responses take."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            gap = self._rng.exponential() if self._spec.poisson else 1.0
            due += gap / self._spec.rate
            await asyncio.sleep(max(0.0, due - loop.time()))
            tasks.create_task(self._visit(http))

    def _pick_user(self) -> int:
        """Draw a user's row in proportion to activity, one who is not in a session if possible."""
        count = self._site.user_count()
        self._refresh_world()
        if len(self._activity) != count:
            activity = self._world.preferences.activity[:count]
            running = np.cumsum(activity, dtype=np.float64)
            self._activity = running / running[-1]
        for _ in range(_TRIES):
            user = int(np.searchsorted(self._activity, self._rng.random()))
            user = min(user, len(self._activity) - 1)
            if user not in self._in_session:
                break
        return user

    async def _visit(self, http: aiohttp.ClientSession) -> None:
        """Request recommendations for a user, then simulate the session that follows."""
        user = self._signed_up()
        if user is None:
            user = self._pick_user()
        elif self._rng.random() < FIRST_VISIT_SHARE:
            await self._pause(_SIGNED_UP_S)
        else:
            return
        is_idle = user not in self._in_session
        self._in_session.add(user)
        try:
            response = await self._request(http, user + 1)
            if is_idle:
                await self._live_session(user, response)
        finally:
            if is_idle:
                self._in_session.discard(user)

    def _refresh_world(self) -> None:
        """Take note of new users and films, also of those that another process added."""
        films = self._world.films
        self._world = self._site.world
        if self._world.films is not films:
            known = incomplete_documents.runtimes(self._world.films, self._spec.incomplete)
            self._sender.use_catalog(known)

    def _signed_up(self) -> int | None:
        """Let a user sign up, in the share of the visits that is set; return the new row."""
        share = self._spec.new_accounts
        if not share or self._rng.random() >= share:
            return None
        if self._site.user_count() >= self._spec.max_user_id:
            return None
        (user,) = self._site.create_accounts(1)
        self._refresh_world()
        text = log_line_format.create_account_line(self._time_text(self._stamp_us()), user + 1)
        self._sender.write(Kind.CREATE_ACCOUNT, user + 1, text)
        return user

    def _time_text(self, time_us: int) -> str:
        return log_line_format.time_text(self._spec.clock.local_ns(time_us * 1000))

    async def _request(self, http: aiohttp.ClientSession, user_id: int) -> Response:
        """Request recommendations; log and count the outcome."""
        stamp_us, started = self._stamp_us(), time.perf_counter()
        with self._counting_in_flight():
            response = await self._fetch(http, user_id)
        latency_ms = (time.perf_counter() - started) * 1000
        self.ledger.count_request(
            response.status, response.error_kind, response.model, response.source, latency_ms
        )
        self._note_availability(response)
        text = log_line_format.recommend_line(
            self._time_text(stamp_us),
            user_id,
            server=self._server.name,
            status=response.status,
            result=response.result,
            latency_ms=round(latency_ms),
        )
        self._sender.write(Kind.RECOMMEND, user_id, text)
        return response

    @contextlib.contextmanager
    def _counting_in_flight(self) -> Iterator[None]:
        """Count a request in flight; `_none_in_flight` is set while there is none."""
        self._in_flight += 1
        self._none_in_flight.clear()
        try:
            yield
        finally:
            self._in_flight -= 1
            if not self._in_flight:
                self._none_in_flight.set()

    async def _fetch(self, http: aiohttp.ClientSession, user_id: int) -> Response:
        try:
            async with http.get(f"{self._spec.proxy}{RECOMMEND_PATH}{user_id}") as http_response:
                body = await http_response.read()
                known = self._world.films.index
                return response_validation.validate(
                    http_response.status, body, http_response.headers, known
                )
        except aiohttp.ConnectionTimeoutError:
            return response_validation.failed(
                "connection timed out", request_errors.unreachable(self._server)
            )
        except TimeoutError:
            return response_validation.failed("timed out", request_errors.timed_out(self._server))
        except aiohttp.ClientConnectorError:
            return response_validation.failed(
                "connection refused", request_errors.refused(self._server)
            )
        except aiohttp.ClientError:
            return response_validation.failed(
                "connection lost", request_errors.connection_lost(self._server)
            )

    def _stamp_us(self) -> int:
        """Return the time in microseconds; no two requests have the same."""
        self._last_us = max(time.time_ns() // 1000, self._last_us + 1)
        return self._last_us

    def _note_availability(self, response: Response) -> None:
        """Log when the recommender has failed many times in a row, and when it has recovered."""
        facts = {"proxy": self._spec.proxy, "error": response.error}
        if response.error is None:
            if self._failures >= _FAILURES_TO_LOG:
                log.info("recommendations_are_back", extra=facts)
            self._failures = 0
            return
        self._failures += 1
        if self._failures == _FAILURES_TO_LOG:
            log.warning("recommendations_fail", extra=facts)

    async def _live_session(self, user: int, response: Response) -> None:
        """Play a user's session after a request, with the waiting times of real life."""
        index = self._world.films.index
        recommended = [index[name] for name in response.movie_ids]
        seen = self._seen.setdefault(user, set())
        session = simulate_session(
            self._world,
            user,
            recommended,
            seen,
            scale=self._spec.scale,
            rng=self._rng,
        )
        if session.viewing:
            seen.add(session.viewing.film)
            await self._watch(user, session.viewing)
        for rating in session.ratings:
            seen.add(rating.film)
            await self._pause(5.0)
            self._write_rating(user, rating.film, rating.rating)
        if recommended:
            self._count_outcome(response, recommended, session)

    async def _watch(self, user: int, viewing: Viewing) -> None:
        loop = asyncio.get_running_loop()
        started, movie_id = loop.time(), self._world.films.ids[viewing.film]
        for minute in range(viewing.last_minute + 1):
            due = started + minute * _MINUTE_S / self._spec.speedup
            await asyncio.sleep(max(0.0, due - loop.time()))
            text = log_line_format.watch_line(self._second(), user + 1, movie_id, minute)
            self._sender.write(Kind.WATCH, user + 1, text)
        if viewing.rating is not None:
            await self._pause(10.0)
            self._write_rating(user, viewing.film, viewing.rating)

    def _write_rating(self, user: int, film: int, rating: int) -> None:
        movie_id = self._world.films.ids[film]
        text = log_line_format.rate_line(self._second(), user + 1, movie_id, rating)
        self._sender.write(Kind.RATE, user + 1, text)

    async def _pause(self, seconds: float) -> None:
        await asyncio.sleep(seconds / self._spec.speedup)

    def _second(self) -> str:
        """Return the time of a watch or rate line: whole seconds, of some lines a while ago."""
        late_s = _MAX_DELAY_S * self._rng.random() if self._rng.random() < _DELAYED_SHARE else 0.0
        return self._time_text(int(time.time() - late_s) * _MICROS)

    def _count_outcome(self, response: Response, recommended: list[int], session: Session) -> None:
        outcome = self.ledger.outcome(response.model)
        outcome.lists += 1
        outcome.movies += len(set(recommended))
        viewing = session.viewing
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
