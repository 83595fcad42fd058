"""What the site gets over real sockets, whatever the API behind the proxy does."""

import asyncio
import json

import pytest

from tests.contract.proxy_harness import (
    HASTY_S,
    MOVIES,
    POPULAR,
    drop_connection,
    endless_body,
    get,
    half_a_body,
    hang,
    no_http,
    other_list,
    proxy_and_upstream,
    raw,
    redirect,
    running,
    settings,
    status,
    until,
)


def test_an_answer_comes_through_with_its_attribution(tmp_path):
    async def story():
        async with proxy_and_upstream(tmp_path) as (_, port):
            return await get(port)

    code, text, headers = asyncio.run(story())
    assert (code, text) == (200, MOVIES)
    assert headers["Content-Type"] == "text/plain; charset=utf-8"
    assert headers["X-Recommendation-Source"] == "model"
    assert headers["X-Recommendation-Id"].startswith("r")
    assert (headers["X-Model-Version"], headers["X-Function-Version"]) == ("m1", "7")


@pytest.mark.parametrize(
    ("behave", "reason"),
    [
        (status(500), "status"),
        (status(502, "<html>"), "status"),
        (status(403, '{"message":"Missing Authentication Token"}'), "status"),
        (status(404), "status"),
        (status(429), "status"),
        (redirect, "status"),
        (status(200, ""), "malformed"),
        (status(200, '{"message": "Internal server error"}'), "malformed"),
        (status(200, "a,b,a"), "malformed"),
        (drop_connection, "connect"),
        (half_a_body, "malformed"),
        (endless_body, "malformed"),
        (no_http, "malformed"),
    ],
)
def test_whatever_the_api_answers_the_site_gets_the_popular_list(tmp_path, behave, reason):
    async def story():
        async with proxy_and_upstream(tmp_path) as (upstream, port):
            upstream.behave = behave
            return await get(port), (await get(port, "/metrics"))[1]

    (code, text, headers), metrics = asyncio.run(story())
    assert (code, text) == (200, POPULAR)
    assert headers["X-Recommendation-Source"] == "fallback"
    assert headers["X-Recommendation-Id"]
    assert headers["X-Model-Version"] == "m1"
    assert "X-Function-Version" not in headers
    assert f'upstream_failures_total{{reason="{reason}"}} 1.0' in metrics


def test_an_api_that_hangs_is_answered_for_at_the_deadline(tmp_path):
    async def story():
        async with proxy_and_upstream(tmp_path, deadline_s=HASTY_S) as (upstream, port):
            upstream.behave = hang
            return await get(port)

    code, text, headers = asyncio.run(story())
    assert (code, text, headers["X-Recommendation-Source"]) == (200, POPULAR, "fallback")


def test_the_api_s_400_passes_through(tmp_path):
    async def story():
        async with proxy_and_upstream(tmp_path) as (upstream, port):
            upstream.behave = status(400, "a user id of at most 9 digits is expected\n")
            return await get(port)

    code, text, _ = asyncio.run(story())
    assert (code, text) == (400, "a user id of at most 9 digits is expected\n")


def test_an_answer_without_attribution_is_still_an_answer(tmp_path):
    async def story():
        async with proxy_and_upstream(tmp_path) as (upstream, port):
            upstream.behave = other_list
            return await get(port)

    code, text, headers = asyncio.run(story())
    assert (code, text, headers["X-Model-Version"]) == (200, "only+1,and+2", "unknown")
    assert headers["X-Recommendation-Id"]


def test_a_restart_with_a_dead_api_answers_with_the_list_of_before(tmp_path):
    async def story():
        async with proxy_and_upstream(tmp_path) as (upstream, port):
            await get(port)
        async with running(settings(tmp_path, upstream)) as port:
            return await get(port)

    code, text, headers = asyncio.run(story())
    assert (code, text, headers["X-Recommendation-Source"]) == (200, POPULAR, "fallback")


def test_with_no_list_ever_it_says_503_in_one_line_until_the_api_comes(tmp_path):
    async def story():
        async with proxy_and_upstream(tmp_path, has_list=False) as (upstream, port):
            upstream.behave = status(500)
            first = await get(port)
            upstream.behave = upstream.answer
            return first, await get(port)

    (code, text, _), (later, _, _) = asyncio.run(story())
    assert code == 503
    assert text.count("\n") == 1
    assert later == 200


def test_a_dead_api_is_asked_ten_times_and_then_left_alone(tmp_path):
    async def story():
        async with proxy_and_upstream(tmp_path) as (upstream, port):
            upstream.behave = status(500)
            codes = [(await get(port))[0] for _ in range(40)]
            health = await get(port, "/healthz")
            return codes, upstream.asked, health

    codes, asked, health = asyncio.run(story())
    assert set(codes) == {200}
    assert 10 <= asked < 40  # a slow machine lets a probe through now and then
    assert health[0] == 200
    assert json.loads(health[1])["api"] == "failing"


def test_it_finds_the_api_again_after_it_was_down(tmp_path):
    async def story():
        async with proxy_and_upstream(tmp_path) as (upstream, port):
            upstream.behave = status(500)
            for _ in range(10):
                await get(port)
            upstream.behave = upstream.answer

            async def answered():
                return (await get(port))[2]["X-Recommendation-Source"] == "model"

            await until(answered)

    asyncio.run(story())


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("GET", "/recommend/abc", 400),
        ("GET", "/recommend/-1", 400),
        ("GET", "/recommend/0", 400),
        ("GET", "/recommend/", 400),
        ("GET", "/recommend/99999999999999999999", 400),
        ("POST", "/recommend/1", 405),
        ("GET", "/", 404),
        ("GET", "/recommend/" + "1" * 3_000, 414),
        ("GET", "/recommend/" + "1" * 10_000, 414),
    ],
)
def test_a_bad_request_gets_one_line_that_says_what_is_expected(tmp_path, method, path, code):
    async def story():
        async with proxy_and_upstream(tmp_path) as (upstream, port):
            return await get(port, path, method), upstream.asked

    (found, text, _), asked = asyncio.run(story())
    assert found == code
    assert text.startswith("expected")
    assert text.count("\n") == 1
    assert asked == 0


@pytest.mark.parametrize(
    ("request_bytes", "code"),
    [
        (b"\x16\x03\x01\x00\xa5\x01\r\n\r\n", b"400"),
        (b"GET\r\n\r\n", b"400"),
        (b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 9_000 + b"\r\n\r\n", b"431"),
    ],
)
def test_bytes_that_are_no_request_get_one_line_and_are_disconnected(tmp_path, request_bytes, code):
    async def story():
        async with proxy_and_upstream(tmp_path) as (_, port):
            return await raw(port, request_bytes), (await get(port))[0]

    answer, afterwards = asyncio.run(story())
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.split()[1] == code
    assert body.startswith(b"expected")
    assert body.count(b"\n") == 1
    assert afterwards == 200


@pytest.mark.parametrize("beginning", [b"", b"GET /recommend/42 HTTP/1.1\r\nHost: x\r\n"])
def test_a_connection_without_a_whole_header_is_closed_and_others_are_served(tmp_path, beginning):
    async def story():
        async with proxy_and_upstream(tmp_path, header_timeout_s=0.2) as (_, port):
            closed = asyncio.create_task(raw(port, beginning))
            served = await get(port)
            return served[0], await closed

    assert asyncio.run(story()) == (200, b"")


def test_an_idle_connection_is_kept_for_the_next_request(tmp_path):
    async def story():
        async with proxy_and_upstream(tmp_path, header_timeout_s=0.05) as (_, port):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            for pause_s in (0.2, 0):
                writer.write(b"GET /version HTTP/1.1\r\nHost: x\r\n\r\n")
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
                await reader.readexactly(length)
                await asyncio.sleep(pause_s)  # longer than the header may take
            writer.close()
            await writer.wait_closed()

    asyncio.run(story())


def test_the_own_pages_say_what_runs(tmp_path):
    async def story():
        async with proxy_and_upstream(tmp_path, code_version="abc1234", proxy_id="a") as (_, port):
            await get(port)
            return [await get(port, path) for path in ("/healthz", "/version", "/metrics")]

    healthz, version, metrics = asyncio.run(story())
    assert healthz[0] == 200
    assert json.loads(healthz[1])["popular_list"] == "m1"
    assert json.loads(version[1]) == {"code_version": "abc1234", "proxy_id": "a"}
    for line in (
        'movierec_proxy_requests_total{source="model",status="200"} 1.0',
        "movierec_proxy_latency_seconds_count 1.0",
        "movierec_proxy_fallback_ratio 0.0",
        "movierec_proxy_journal_backlog_records 1.0",
        "movierec_proxy_journal_dropped_records 0.0",
        "movierec_proxy_shipping_stopped 0.0",
        "movierec_proxy_circuit_open 0.0",
    ):
        assert line in metrics[1].splitlines()
