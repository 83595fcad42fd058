"""One run of the simulator: what the settings ask for, in order."""

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
from simulator import site
from simulator.backfill import Backfill, Job
from simulator.history import Past
from simulator.ledger import Ledger, LedgerFile
from simulator.live import Live
from simulator.oracle import Rules
from simulator.outbox import Outbox
from simulator.producer import LiveProducer, partition_of
from simulator.settings import Settings
from simulator.world import World

log = logging.getLogger(__name__)


def run(wanted: Settings, env: Mapping[str, str], say: Callable[[str], None]) -> int:
    """Do it, and return the exit code. Raises MovierecError."""
    file = LedgerFile(wanted.ledger, _now, _facts(wanted))
    ledger = file.read() if wanted.continue_ledger else Ledger()
    file.write(ledger, finished=False)
    try:
        if wanted.backfill_days is not None:
            code = _backfill(wanted, env, ledger, file, say)
            if code or wanted.live is None:
                return code
        return _live(wanted, env, ledger, file, say)
    finally:
        file.write(ledger, finished=True)


def _facts(wanted: Settings) -> dict[str, Any]:
    return {
        "topic": wanted.topic,
        "seed": wanted.world.seed,
        "movielens": wanted.world.movielens and wanted.world.movielens.name,
        "server": wanted.server.name,
        "catalog_checked": wanted.check_catalog,
        "max_rating": wanted.max_rating,
        "max_user_id": wanted.max_user_id,
    }


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _kafka(wanted: Settings, env: Mapping[str, str]) -> dict[str, Any]:
    """Return kafka-python's options. Raises ConfigError."""
    given = {product.KAFKA_BOOTSTRAP: wanted.bootstrap} if wanted.bootstrap else {}
    return product.kafka_options({**env, **given})


def _backfill(
    wanted: Settings,
    env: Mapping[str, str],
    ledger: Ledger,
    file: LedgerFile,
    say: Callable[[str], None],
) -> int:
    """Write the history, and add its account to `ledger` whatever happens."""
    started = datetime.now(UTC)
    backfill = Backfill(_job(wanted, _kafka(wanted, env), int(started.timestamp())))
    with _stopping(backfill.stop) as stopped_by:
        try:
            total = backfill.run(lambda state: _write_sum(file, ledger, state))
        except UnavailableError:
            ledger.add(backfill.ledger())
            raise
    ledger.add(total)
    took_s = (datetime.now(UTC) - started).total_seconds()
    early = " (stopped early)" if stopped_by else ""
    say(
        f"history{early}: {total.lines.total():,} lines, {total.events.total():,} events, "
        f"{total.quarantined:,} to quarantine, in {took_s:.1f} s"
    )
    return SIGNALLED + stopped_by[0] if stopped_by else 0


def _job(wanted: Settings, options: Mapping[str, Any], end_s: int) -> Job:
    """Return the job, its topic there."""
    return Job(
        world=wanted.world,
        past=Past(end_s, wanted.backfill_days or 1, wanted.max_rating),
        events=wanted.events,
        rates=wanted.rates,
        max_user_id=wanted.max_user_id,
        check_catalog=wanted.check_catalog,
        server=wanted.server,
        options=options,
        topic=wanted.topic,
        partitions=topics.ensure(options, wanted.topic, wanted.partitions),
        workers=wanted.workers,
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
    wanted: Settings,
    env: Mapping[str, str],
    ledger: Ledger,
    file: LedgerFile,
    say: Callable[[str], None],
) -> int:
    """Answer the APIs and let the users live; being stopped is the normal end."""
    world = wanted.world.build()
    live = wanted.live
    if live is None:
        asyncio.run(_serve(wanted, world, None, file, say))
        return 0
    options = _kafka(wanted, env)
    partitions = topics.ensure(options, wanted.topic, wanted.partitions)
    producer = LiveProducer(options, wanted.topic)
    rules = Rules(
        world.films.runtimes if wanted.check_catalog else None,
        wanted.max_user_id,
        wanted.max_rating,
    )
    # Another start must not repeat an earlier one's visits: the world is seeded, the life is not.
    rng = np.random.default_rng([wanted.world.seed, int.from_bytes(os.urandom(8))])
    outbox = Outbox(producer, lambda u: partition_of(u, partitions), wanted.rates, rules, rng)
    users = Live(world, live, wanted.server, outbox=outbox, ledger=ledger, rng=rng)
    try:
        asyncio.run(_serve(wanted, world, users, file, say))
    finally:
        producer.close()
        users.settle()
    if live.duration_s is not None and ledger.status and not ledger.status["200"]:
        raise UnavailableError(
            f"proxy {live.proxy}: no good answer to any of {ledger.status.total():,} requests "
            f"(last errors: {', '.join(ledger.error)}); {UnavailableError.next_step}"
        )
    return 0


async def _serve(
    wanted: Settings,
    world: World,
    users: Live | None,
    file: LedgerFile,
    say: Callable[[str], None],
) -> None:
    """Run the server and the users until a signal comes."""
    stop = async_stop_event()
    runner = None
    if wanted.site is not None:
        api = site.application(world, tagline=wanted.site.tagline)
        runner = await site.serve(api, wanted.site.host, wanted.site.port)
        say(f"site: http://{':'.join(map(str, runner.addresses[0][:2]))}/user/1, /movies.jsonl")
    try:
        if users is not None and wanted.live is not None:
            say(f"asking {wanted.live.proxy}, {wanted.live.rate:g}/s; writing to {wanted.topic}")
            await users.run(stop, file)
        else:
            await stop.wait()
    finally:
        if runner is not None:
            await runner.cleanup()
