"""What the API adds to an answer for the record, over real sockets: kept, and not passed on."""

import asyncio
import json

import pytest
from aiohttp import web

from movierec.api_contract import MAX_DETAIL_BYTES
from movierec.testing.memory import MemoryLake
from tests.contract.proxy_harness import DETAIL, MOVIES, get, proxy_and_upstream, status

DROPPED = "movierec_proxy_dropped_details_total"


def answered(folder, detail=None, behave=None):
    """Return an answer, the detail of its record in the lake, and how many were dropped."""
    lake = MemoryLake()

    async def with_detail(_):
        headers = {} if detail is None else {"X-Recommendation-Detail": detail}
        return web.Response(text=MOVIES, headers=headers)

    async def story():
        async with proxy_and_upstream(folder, lake=lake) as (upstream, port):
            upstream.behave = behave or with_detail
            return await get(port), (await get(port, "/metrics"))[1]

    answer, metrics = asyncio.run(story())
    (row,) = lake.rows("served")
    (dropped,) = [line for line in metrics.splitlines() if line.startswith(DROPPED)]
    return answer, row["detail"], float(dropped.split()[1])


def sized(n_bytes):
    empty = '{"v":1,"x":""}'
    return empty.replace('""', f'"{"x" * (n_bytes - len(empty))}"')


@pytest.mark.parametrize(
    "detail",
    [DETAIL, '{"v":1}', '{"v": 2, "later": {"arm": [0.25, null]}}', sized(MAX_DETAIL_BYTES)],
    ids=["today", "least", "of a later format", "largest"],
)
def test_a_detail_is_kept_as_it_came_and_the_site_does_not_get_it(tmp_path, detail):
    (code, text, headers), kept, dropped = answered(tmp_path, detail)
    assert (code, text) == (200, MOVIES)
    assert (kept, dropped) == (detail, 0)
    assert not [name for name in headers if "detail" in name.lower()]
    assert not [value for value in headers.values() if '"v"' in value]


@pytest.mark.parametrize(
    "detail",
    [
        *("", "x", "1", "null", "[1]", "{}", '{"v":1', '{"v":1}}', "{'v':1}"),
        *('{"v":0}', '{"v":true}', '{"v":"1"}', '{"v":1.0}', '{"known_user":true}'),
        *('{"v":1,"x":NaN}', '{"v":1,"x":-Infinity}', '{"v":1,"x":"am\u00e9lie"}'),
        '{"v":1,"x":' + "[" * 2_000 + "}",
        *(sized(MAX_DETAIL_BYTES + 1), sized(10_000), sized(60_000)),
    ],
    ids=lambda detail: detail[:30],
)
def test_any_other_costs_the_detail_and_not_the_answer(tmp_path, detail):
    (code, text, headers), kept, dropped = answered(tmp_path, detail)
    assert (code, text, headers["X-Recommendation-Source"]) == (200, MOVIES, "model")
    assert (kept, dropped) == (None, 1)


def test_an_answer_without_one_has_none_and_none_was_dropped(tmp_path):
    (code, text, _), kept, dropped = answered(tmp_path)
    assert (code, text, kept, dropped) == (200, MOVIES, None, 0)


def test_a_fallback_tells_why_the_api_gave_no_answer(tmp_path):
    (code, _, headers), kept, dropped = answered(tmp_path, behave=status(500))
    assert (code, headers["X-Recommendation-Source"]) == (200, "fallback")
    assert json.loads(kept) == {"v": 1, "fallback": "status"}
    assert dropped == 0
