"""Run the simulator: backfill a history, then serve the site's APIs and generate traffic."""

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np

from movierec import settings as product
from movierec.errors import UnavailableError
from movierec.kafka import topics
from movierec.runtime.entrypoint import SIGNALLED, STOP_SIGNALS, async_stop_event
from simulator import incomplete_documents, site_api
from simulator.backfill import Backfill, BackfillJob
from simulator.growing_site import Site
from simulator.growth_state import GrowthState
from simulator.history_generator import LINES_A_SESSION, HistoryWindow
from simulator.kafka_producer import LiveProducer, partition_of
from simulator.live_traffic import LiveTraffic
from simulator.message_sender import MessageSender
from simulator.reference_parser import ReferenceParser
from simulator.settings import Settings
from simulator.traffic_ledger import Ledger, LedgerFile

log = logging.getLogger(__name__)


def run(settings: Settings, env: Mapping[str, str], echo: Callable[[str], None]) -> int:
    """Do what the settings ask for, and return the exit code. Raises MovierecError."""
    file = LedgerFile(settings.ledger, _now, _facts(settings))
    ledger = file.read() if settings.continue_ledger else Ledger()
    file.write(ledger, finished=False)
    state = GrowthState(settings.growth.state)
    try:
        if settings.backfill_days is not None:
            code = _backfill(settings, state, env, ledger, file, echo=echo)
            if code or settings.live is None:
                return code
        return _live(settings, state, env, ledger, file, echo=echo)
    finally:
        file.write(ledger, finished=True)


def _facts(settings: Settings) -> dict[str, Any]:
    return {
        "topic": settings.topic,
        "seed": settings.world.seed,
        "movielens": settings.world.movielens and settings.world.movielens.name,
        "server": settings.server.name,
        "catalog_checked": settings.check_catalog,
        "min_rating": settings.scale.lowest,
        "max_rating": settings.scale.highest,
        "max_user_id": settings.max_user_id,
        "timezone": settings.clock.zone,
        "clock_ahead_s": settings.clock.ahead_s,
    }


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _kafka(settings: Settings, env: Mapping[str, str]) -> dict[str, Any]:
    """Return kafka-python's options. Raises ConfigError."""
    given = {product.KAFKA_BOOTSTRAP: settings.bootstrap} if settings.bootstrap else {}
    return product.kafka_options({**env, **given})


def _backfill(
    settings: Settings,
    state: GrowthState,
    env: Mapping[str, str],
    ledger: Ledger,
    file: LedgerFile,
    *,
    echo: Callable[[str], None],
) -> int:
    """Write the history, and add what was written to `ledger` whatever happens."""
    started = datetime.now(UTC)
    backfill = Backfill(_job(settings, state, _kafka(settings, env), int(started.timestamp())))
    with _stopping(backfill.stop) as stopped_by:
        try:
            total = backfill.run(lambda state: _write_sum(file, ledger, state))
        except UnavailableError:
            ledger.add(backfill.ledger())
            raise
    ledger.add(total)
    took_s = (datetime.now(UTC) - started).total_seconds()
    early = " (stopped early)" if stopped_by else ""
    echo(
        f"history{early}: {total.lines.total():,} lines, {total.events.total():,} events, "
        f"{total.quarantined:,} to quarantine, in {took_s:.1f} s"
    )
    return SIGNALLED + stopped_by[0] if stopped_by else 0


def _job(
    settings: Settings, state: GrowthState, options: Mapping[str, Any], end_s: int
) -> BackfillJob:
    """Return the job; its topic is created if missing, and so are its accounts."""
    window = HistoryWindow(end_s, settings.backfill_days or 1, settings.scale)
    wanted = round(settings.growth.new_accounts * settings.events / LINES_A_SESSION)
    room = settings.max_user_id - settings.world.users - state.accounts()
    before, created = state.accounts(), max(min(wanted, room), 0)
    if created:
        before = state.claim_accounts(created, end_s)
    return BackfillJob(
        world=settings.world,
        window=window,
        events=settings.events,
        rates=settings.rates,
        max_user_id=settings.max_user_id,
        check_catalog=settings.check_catalog,
        server=settings.server,
        options=options,
        topic=settings.topic,
        partitions=topics.ensure(options, settings.topic, settings.partitions),
        workers=settings.workers,
        clock=settings.clock,
        films_added=state.films_at(window.start_s, settings.growth.movies_per_day, end_s),
        accounts=range(before, before + created),
        incomplete=settings.incomplete,
    )


def _write_sum(file: LedgerFile, before: Ledger, state: Ledger) -> None:
    total = Ledger()
    total.add(before)
    total.add(state)
    file.write(total, finished=False)


@contextlib.contextmanager
def _stopping(stop: Callable[[], None]) -> Iterator[list[int]]:
    """Call `stop` on SIGINT or SIGTERM; yields a list that then holds the signal."""
    received: list[int] = []

    def handle(number: int, _frame: object) -> None:
        received.append(number)
        stop()

    before = {number: signal.signal(number, handle) for number in STOP_SIGNALS}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _live(
    settings: Settings,
    state: GrowthState,
    env: Mapping[str, str],
    ledger: Ledger,
    file: LedgerFile,
    *,
    echo: Callable[[str], None],
) -> int:
    """Serve the APIs and generate traffic until stopped, which is the normal end."""
    site = settings.growth.open(settings.world.build(), settings.world.seed, state)
    live = settings.live
    if live is None:
        asyncio.run(_serve(settings, site, None, file, echo=echo))
        return 0
    options = _kafka(settings, env)
    partitions = topics.ensure(options, settings.topic, settings.partitions)
    producer = LiveProducer(options, settings.topic)
    runtimes = incomplete_documents.runtimes(site.world.films, settings.incomplete)
    parser = ReferenceParser(
        runtimes if settings.check_catalog else None, settings.max_user_id, settings.scale
    )
    # The world is seeded, the traffic is not: a second run must not repeat the first one's.
    rng = np.random.default_rng([settings.world.seed, int.from_bytes(os.urandom(8))])
    sender = MessageSender(
        producer, lambda u: partition_of(u, partitions), settings.rates, parser, rng
    )
    users = LiveTraffic(site, live, settings.server, sender=sender, ledger=ledger, rng=rng)
    try:
        asyncio.run(_serve(settings, site, users, file, echo=echo))
    finally:
        producer.close()
        users.count_confirmed()
    if live.duration_s is not None and ledger.status and not ledger.status["200"]:
        raise UnavailableError(
            f"proxy {live.proxy}: no good answer to any of {ledger.status.total():,} requests "
            f"(last errors: {', '.join(ledger.error)}); {UnavailableError.next_step}"
        )
    return 0


async def _serve(
    settings: Settings,
    site: Site,
    users: LiveTraffic | None,
    file: LedgerFile,
    *,
    echo: Callable[[str], None],
) -> None:
    """Run the server and the users until a signal comes."""
    stop = async_stop_event()
    runner = None
    if settings.site is not None:
        api = site_api.application(
            site,
            tagline=settings.site.tagline,
            cost=settings.site.cost,
            described=settings.site.described,
            faults=settings.site.faults,
            seed=settings.world.seed,
        )
        runner = await site_api.serve(api, settings.site.host, settings.site.port)
        echo(f"site: http://{':'.join(map(str, runner.addresses[0][:2]))}/user/1, /movies.jsonl")
    try:
        if users is not None and settings.live is not None:
            live, topic = settings.live, settings.topic
            echo(f"asking {live.proxy}, {live.rate:g}/s; writing to {topic}")
            await users.run(stop, file)
        else:
            await stop.wait()
    finally:
        if runner is not None:
            await runner.cleanup()
