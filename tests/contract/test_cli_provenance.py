"""`movierec provenance` beside a proxy whose records have not all reached the lake."""

import asyncio

import pytest

from movierec.cli.provenance import await_shipped, shipping_lag_s
from movierec.errors import UnavailableError
from movierec.testing.memory import MemoryLake
from tests.contract.proxy_harness import get, proxy_and_upstream


def test_what_was_answered_is_in_the_lake_when_the_wait_is_over(tmp_path):
    lake = MemoryLake()

    async def play():
        async with proxy_and_upstream(tmp_path, lake=lake, flush_s=0.2) as (_, port):
            await get(port)
            await get(port)
            lag_s = lag_of(port)
            shipped = await asyncio.to_thread(await_shipped, lag_s, print)
            return shipped, lake.count("served"), await asyncio.to_thread(lag_s)

    assert asyncio.run(play()) == (True, {"": 2}, 0.0)


def test_a_record_on_its_way_has_an_age(tmp_path):
    async def play():
        async with proxy_and_upstream(tmp_path, flush_s=600) as (_, port):
            await get(port)
            return await asyncio.to_thread(lag_of(port))

    assert asyncio.run(play()) > 0


def test_a_server_that_is_no_proxy_is_named(tmp_path):
    async def play():
        async with proxy_and_upstream(tmp_path) as (upstream, _):
            with pytest.raises(UnavailableError, match=f":{upstream.port}/metrics"):
                await asyncio.to_thread(lag_of(upstream.port))

    asyncio.run(play())


def lag_of(port):
    return lambda: shipping_lag_s(f"http://127.0.0.1:{port}")
