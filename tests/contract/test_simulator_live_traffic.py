"""The living site against a recommender on a real socket: what it asks, writes and counts."""

import asyncio
import contextlib
import itertools
import json
import time
from dataclasses import replace
from datetime import UTC, datetime

import aiohttp
import numpy as np
import pytest
from aiohttp import web

from movierec.model.rating_scale import NATIVE, RatingScale
from simulator import site_api, synthetic_world
from simulator.growing_site import Site
from simulator.growth_state import GrowthState
from simulator.line_corruption import CorruptionRates
from simulator.live_traffic import LiveTraffic
from simulator.local_clock import LocalClock
from simulator.message_sender import MessageSender
from simulator.reference_parser import ReferenceParser
from simulator.settings import LiveSpec, server_of
from simulator.site_records import RecordOptions, SiteRecords
from simulator.traffic_ledger import Ledger, LedgerFile

WORLD = synthetic_world.generate(200, 500, 3)
PARSER = ReferenceParser(WORLD.films.runtimes)


class Log:
    """Takes lines and confirms each at once."""

    def __init__(self):
        self.lines = []

    def send(self, line, key, partition, confirmed, lost):
        self.lines.append(line.decode())
        confirmed(len(self.lines) - 1)


@contextlib.asynccontextmanager
async def serving(app):
    runner = await site_api.serve(app, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def recommender(answer):
    app = web.Application()
    app.add_routes([web.get("/recommend/{user}", answer)])
    return app


async def good(_request):
    headers = {"X-Model-Version": "m1", "X-Recommendation-Source": "model"}
    return web.Response(text=",".join(WORLD.films.ids[:20]), headers=headers)


async def slow(_request):
    await asyncio.sleep(30)
    return web.Response(text="late")


async def live(proxy, path, *, rates=CorruptionRates(), seconds=1.5, site=WORLD, **options):  # noqa: B008  a frozen value
    log, ledger = Log(), Ledger()
    rng = np.random.default_rng(1)
    scale = options.pop("scale", NATIVE)
    parser = replace(PARSER, scale=scale)
    sender = MessageSender(log, lambda user: user % 2, rates, parser, rng)
    spec = LiveSpec(proxy, 40.0, True, 60_000, seconds, scale, **options)
    users = LiveTraffic(site, spec, server_of(proxy), sender=sender, ledger=ledger, rng=rng)
    await users.run(asyncio.Event(), LedgerFile(path, lambda: "now", {}))
    users.count_confirmed()
    return log.lines, ledger


def run_against(answer, path, **options):
    async def both():
        async with serving(recommender(answer)) as proxy:
            return await live(proxy, path, **options)

    return asyncio.run(both())


@pytest.fixture
def path(tmp_path):
    return tmp_path / "ledger.json"


def test_users_ask_watch_and_rate_and_every_line_is_counted(path):
    lines, ledger = run_against(good, path, rates=CorruptionRates(0, 0, 0, 0))
    assert all(PARSER.reads_as_event(line) for line in lines)
    assert len(set(lines)) == len(lines)
    assert ledger.lines.total() == ledger.events.total() == len(lines)
    assert min(ledger.lines[kind] for kind in ("watch", "rate", "recommend")) > 0
    assert ledger.status["200"] == ledger.status.total() == ledger.lines["recommend"]
    assert ledger.answered == {("m1", "model"): ledger.status["200"]}
    assert ledger.outcomes["m1"].lists > 0
    assert json.loads(path.read_text())["finished"] is False


def test_damaged_lines_are_counted_by_what_becomes_of_them(path):
    lines, ledger = run_against(good, path, rates=CorruptionRates(0.1, 0.1, 0.1, 0.1))
    readable = {line for line in lines if PARSER.reads_as_event(line)}
    assert ledger.events.total() == len(readable)
    assert ledger.quarantined == len(lines) - len(readable) > 0


def test_new_users_sign_up_first_and_the_ledger_counts_them(path):
    site = Site(WORLD, seed=3)
    lines, ledger = run_against(
        good, path, rates=CorruptionRates(0.1, 0, 0, 0.1), site=site, new_accounts=0.5
    )
    readable = {line for line in lines if PARSER.reads_as_event(line)}
    assert ledger.events.total() == len(readable)
    assert ledger.quarantined == len(lines) - len(readable) > 0
    created = {line for line in readable if line.endswith(",GET /create_account")}
    assert ledger.events["create_account"] == len(created) > 5
    assert json.loads(path.read_text())["events"].keys() >= {"create_account"}
    assert site.user_count() > 205


def test_a_new_user_asks_right_after_the_sign_up_and_is_known_to_the_apis(path):
    site = Site(WORLD, seed=3)
    lines, _ = run_against(
        good, path, rates=CorruptionRates(0, 0, 0, 0), site=site, new_accounts=1.0
    )
    created = [line.split(",")[1] for line in lines if line.endswith(",GET /create_account")]
    assert created == [str(n) for n in range(201, 201 + len(created))]
    assert len(created) == site.user_count() - 200
    asked = [line.split(",")[1] for line in lines if ",recommendation request " in line]
    assert set(asked) <= set(created)
    assert len(set(asked)) > len(created) / 2
    records = SiteRecords(site, RecordOptions())
    assert all(records.user(int(user)) for user in created)


def test_users_who_signed_up_with_another_process_visit_too(path, tmp_path):
    other = Site(WORLD, seed=3, state=GrowthState(tmp_path / "growth.json"))
    other.create_accounts(2000)
    site = Site(WORLD, seed=3, state=GrowthState(tmp_path / "growth.json"))
    lines, ledger = run_against(good, path, rates=CorruptionRates(0, 0, 0, 0), site=site)
    users = {int(line.split(",")[1]) for line in lines}
    assert max(users) > 1000
    assert ledger.events.total() == len(lines)


def test_nobody_signs_up_beyond_the_readers_largest_user_id(path):
    site = Site(WORLD, seed=3)
    run_against(good, path, site=site, new_accounts=1.0, max_user_id=203, seconds=0.7)
    assert site.user_count() == 203


def test_films_that_come_are_watched(path):
    # Ten films a visit, however few visits a busy machine has time for.
    quarter_hours = itertools.count(0.0, 900.0)
    site = Site(WORLD, seed=3, movies_per_day=10 * 96, now_s=lambda: next(quarter_hours))

    async def newest(_request):
        return web.Response(text=",".join(site.world.films.ids[-20:]))

    lines, ledger = run_against(newest, path, rates=CorruptionRates(0, 0, 0, 0), site=site)
    new = set(site.world.films.ids[500:])
    watched = {line.split("/")[3] for line in lines if ",GET /data/m/" in line}
    assert len(watched & new) > 1
    assert ledger.events.total() == len(lines)


def test_lines_carry_the_sites_own_time_and_scale(path):
    now_s = time.time()
    lines, _ = run_against(
        good,
        path,
        rates=CorruptionRates(0, 0, 0, 0),
        clock=LocalClock("Asia/Kathmandu", -240 * 60),
        scale=RatingScale(0, 10),
        seconds=2.0,
    )
    for line in lines:
        local = datetime.fromisoformat(line.split(",")[0]).replace(tzinfo=UTC)
        behind_s = local.timestamp() - now_s - (5.75 - 4) * 3600
        assert -60 < behind_s < 600
    ratings = {int(line.rpartition("=")[2]) for line in lines if ",GET /rate/" in line}
    assert ratings <= set(range(11))
    assert max(ratings) > 5


def test_a_slow_recommender_is_given_up_after_800_ms(path):
    lines, ledger = run_against(slow, path, seconds=2.0)
    assert set(ledger.status) == {"0"}
    assert set(ledger.error) == {"timed out"}
    assert min(ledger.latency) >= 8000
    assert any("TimeoutException: Request timeout to 127.0.0.1/127.0.0.1:" in x for x in lines)


def test_a_dead_recommender_is_refused_and_the_site_lives_on(path):
    async def nobody():
        async with serving(recommender(good)) as proxy:
            pass
        return await live(proxy, path, rates=CorruptionRates(0, 0, 0, 0))

    lines, ledger = asyncio.run(nobody())
    assert set(ledger.error) == {"connection refused"}
    assert ledger.lines["watch"] > 0
    assert all(PARSER.reads_as_event(line) for line in lines)


def test_a_stop_ends_a_run_that_has_no_end():
    async def stopped():
        stop = asyncio.Event()
        rng = np.random.default_rng(1)
        sender = MessageSender(Log(), lambda user: user % 2, CorruptionRates(), PARSER, rng)
        spec = LiveSpec("http://127.0.0.1:1", 5.0, True, 1.0, None, NATIVE)
        server = server_of(spec.proxy)
        users = LiveTraffic(WORLD, spec, server, sender=sender, ledger=Ledger(), rng=rng)
        stop.set()
        await asyncio.wait_for(users.run(stop, LedgerFile(None, lambda: "now", {})), 10)

    asyncio.run(stopped())


def test_the_exports_are_whole():
    async def fetch():
        async with serving(site_api.application(WORLD)) as base, aiohttp.ClientSession() as http:
            found = []
            for name in ("users", "movies"):
                async with http.get(f"{base}/{name}.jsonl") as response:
                    found.append((await response.text()).splitlines())
            return found

    users, movies = asyncio.run(fetch())
    assert [json.loads(line)["user_id"] for line in users] == list(range(1, 201))
    assert [json.loads(line)["id"] for line in movies] == WORLD.films.ids
