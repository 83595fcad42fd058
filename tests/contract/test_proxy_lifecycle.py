"""How a proxy starts, ships, and ends; over real sockets, with a lake in memory."""

import asyncio
import threading
import time

import pytest

from movierec.errors import ConfigError, UnavailableError, UsageError
from movierec.runtime.clock import SystemClock
from movierec.testing.memory import MemoryLake
from proxy.handler import Dependencies
from proxy.startup_shutdown import new_id, serve
from tests.contract.proxy_harness import (
    Upstream,
    get,
    health,
    proxy_and_upstream,
    running,
    settings,
    status,
    until,
)


def test_what_was_served_is_in_the_lake_after_a_stop(tmp_path):
    lake = MemoryLake()

    async def story():
        async with proxy_and_upstream(tmp_path, lake=lake) as (upstream, port):
            answers = [await get(port, f"/recommend/{user}") for user in (1, 2)]
            upstream.behave = status(500)
            answers.append(await get(port, "/recommend/3"))
            await get(port, "/recommend/abc")
            return answers

    answers = asyncio.run(story())
    rows = lake.rows("served")
    assert [row["user_id"] for row in rows] == [1, 2, 3]
    assert [row["source"] for row in rows] == ["model", "model", "fallback"]
    for (_, text, headers), row in zip(answers, rows, strict=True):
        assert row["recommendation_id"] == headers["X-Recommendation-Id"]
        assert ",".join(row["movie_ids"]) == text


def test_it_ships_while_it_serves(tmp_path):
    lake = MemoryLake()

    async def story():
        async with proxy_and_upstream(tmp_path, lake=lake, flush_s=0.01) as (_, port):
            for count in (1, 2, 3):
                await get(port)

                async def arrived(count=count):
                    return lake.count("served") == {"": count}

                await until(arrived)

    asyncio.run(story())
    assert lake.version("served") == 2


def test_without_a_lake_it_serves_keeps_and_ships_at_the_next_start(tmp_path):
    lake = MemoryLake()

    async def story():
        upstream = Upstream()
        async with upstream.listening():
            chosen = settings(tmp_path, upstream, flush_s=0.01)
            lake.fail_reads = 10**6
            async with running(chosen, lake) as port:
                codes = [(await get(port))[0] for _ in range(3)]
            lake.fail_reads = 0
            assert lake.count("served") == {}
            async with running(chosen, lake):
                pass
        return codes

    assert asyncio.run(story()) == [200, 200, 200]
    assert lake.count("served") == {"": 3}


def test_a_stale_proxy_stops_shipping_and_goes_on_answering(tmp_path, caplog):
    lake = MemoryLake()
    lake.append("served", [], transactions={"proxy-1": 2**62})

    async def story():
        async with proxy_and_upstream(tmp_path, lake=lake.rival(), flush_s=0.01) as (_, port):
            await get(port)

            async def stopped():
                return await health(port, "shipping") == "stopped"

            await until(stopped)
            return (await get(port))[0], await health(port, "backlog_records")

    assert asyncio.run(story()) == (200, 2)
    (stop,) = [record for record in caplog.records if record.message == "shipping_stopped"]
    assert "--proxy-id" in stop.__dict__["why"]
    assert lake.count("served") == {"": 0}


def test_a_second_proxy_of_the_same_name_does_not_start(tmp_path):
    async def story():
        async with proxy_and_upstream(tmp_path) as (upstream, _):
            with pytest.raises(UsageError, match="--proxy-id"):
                async with running(settings(tmp_path, upstream)):
                    pytest.fail("it started")

    asyncio.run(story())


def test_a_port_that_is_taken_is_said(tmp_path):
    async def story():
        async with proxy_and_upstream(tmp_path) as (upstream, port):
            with pytest.raises(UsageError, match=str(port)):
                async with running(settings(tmp_path, upstream, proxy_id="2", port=port)):
                    pytest.fail("it started")

    asyncio.run(story())


@pytest.mark.parametrize("url", ["", "localhost:4566", "ftp://x", "http://", "http://x/?a=b"])
def test_a_url_that_is_none_is_said(tmp_path, url):
    async def story():
        async with running(settings(tmp_path, Upstream(), api_url=url)):
            pytest.fail("it started")

    with pytest.raises(ConfigError, match="URL"):
        asyncio.run(story())


def test_a_request_under_way_is_answered_before_the_end(tmp_path):
    async def story():
        upstream, asked, go_on = Upstream(), asyncio.Event(), asyncio.Event()

        async def slow(request):
            asked.set()
            await go_on.wait()
            return await upstream.answer(request)

        upstream.behave = slow
        async with upstream.listening():
            async with running(settings(tmp_path, upstream)) as port:
                answer = asyncio.create_task(get(port))
                await asked.wait()
                asyncio.get_running_loop().call_later(0.05, go_on.set)
            return await answer

    assert asyncio.run(story())[0] == 200


def test_a_lake_that_cannot_be_opened_is_tried_again(tmp_path):
    lake, attempts = MemoryLake(), []

    def open_lake():
        attempts.append(1)
        if len(attempts) < 3:
            raise UnavailableError("no lake yet")
        return lake

    async def story():
        upstream = Upstream()
        async with upstream.listening():
            stop, port = asyncio.Event(), asyncio.get_running_loop().create_future()
            serving = asyncio.create_task(
                serve(
                    settings(tmp_path, upstream, flush_s=0.01),
                    open_lake=open_lake,
                    deps=Dependencies(SystemClock(), time.monotonic, new_id),
                    stop=stop,
                    on_start=port.set_result,
                )
            )
            await get(await port)

            async def arrived():
                return lake.count("served") == {"": 1}

            await until(arrived)
            stop.set()
            await serving

    asyncio.run(story())


def test_a_lake_that_hangs_delays_the_end_no_longer_than_allowed(tmp_path, caplog):
    class HangingLake(MemoryLake):
        go_on = threading.Event()

        def append(self, table, batches, *, transactions):
            self.go_on.wait()
            return super().append(table, batches, transactions=transactions)

    lake = HangingLake()

    async def story():
        async with proxy_and_upstream(tmp_path, lake=lake, ship_within_s=0.05) as (_, port):
            await get(port)

    try:
        asyncio.run(story())
        assert "shipping_cut_short" in [record.message for record in caplog.records]
        assert lake.rows("served") == []
    finally:
        lake.go_on.set()
