"""The site's APIs over HTTP with their faults: bulk, rate limit, slow and failing answers."""

import asyncio
import contextlib
import json
from collections import Counter

import aiohttp
import pytest

from simulator import site_api, synthetic_world
from simulator.growing_site import Site
from simulator.site_faults import SiteFaults, UnknownInBulk

WORLD = synthetic_world.generate(300, 500, 3)
IDS = WORLD.films.ids


@contextlib.asynccontextmanager
async def serving(site=WORLD, **options):
    runner = await site_api.serve(site_api.application(site, **options), "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def answers(*paths, site=WORLD, **options):
    """Return (status, headers, text) of one request after the other."""

    async def ask():
        found = []
        async with serving(site, **options) as base, aiohttp.ClientSession() as http:
            for path in paths:
                async with http.get(base + path) as response:
                    found.append((response.status, response.headers, await response.text()))
        return found

    return asyncio.run(ask())


def test_200_movies_with_long_ids_fit_into_one_request():
    longest = sorted(IDS, key=len)[-200:]
    ((status, _, text),) = answers("/movie/" + ",".join([*longest[1:], "x" * 9000]))
    assert status == 200
    assert [movie.get("id") for movie in json.loads(text)] == [*longest[1:], None]


@pytest.mark.parametrize(
    ("how", "status", "kind", "ids"),
    [
        (UnknownInBulk.MESSAGE, 200, "application/json", [IDS[0], None, IDS[1]]),
        (UnknownInBulk.NOT_FOUND, 404, "text/plain", None),
        (UnknownInBulk.LEFT_OUT, 200, "application/json", IDS[:2]),
    ],
)
def test_one_unknown_id_among_several_is_answered_as_set(how, status, kind, ids):
    faults = SiteFaults(unknown_in_bulk=how)
    found, known = answers(
        f"/movie/{IDS[0]},not+there+1999,{IDS[1]}", f"/movie/{IDS[0]},{IDS[1]}", faults=faults
    )
    assert (found[0], found[1]["Content-Type"].partition(";")[0]) == (status, kind)
    if ids is None:
        assert found[2] == "movie not found\n"
    else:
        assert [movie.get("id") for movie in json.loads(found[2])] == ids
    assert [movie["id"] for movie in json.loads(known[2])] == IDS[:2]


def test_an_unknown_id_alone_is_404_whatever_is_set_for_several():
    for how in UnknownInBulk:
        ((status, _, text),) = answers("/user/301", faults=SiteFaults(unknown_in_bulk=how))
        assert (status, json.loads(text)) == (404, {"message": "user not found"})


class Clock:
    now_s = 100.0

    def __call__(self):
        return self.now_s


@pytest.mark.parametrize(("retry_after", "expected"), [(True, "2"), (False, None)])
def test_past_the_rate_limit_the_answer_is_429_until_the_window_is_over(retry_after, expected):
    clock = Clock()

    async def ask(http, base, path="/user/1"):
        async with http.get(base + path) as response:
            return response.status, response.headers.get("Retry-After")

    async def run():
        faults = SiteFaults(rate_limit=20, rate_window_s=2.0, retry_after=retry_after)
        async with serving(faults=faults, now_s=clock) as base, aiohttp.ClientSession() as http:
            first = [await ask(http, base) for _ in range(25)]
            clock.now_s += 0.5
            still = await ask(http, base)
            others = [await ask(http, base, path) for path in ("/healthz", "/users.jsonl")]
            clock.now_s += 1.5
            return first, still, others, await ask(http, base)

    first, still, others, after = asyncio.run(run())
    assert first == [(200, None)] * 20 + [(429, expected)] * 5
    assert still == (429, expected)
    assert others == [(200, None)] * 2
    assert after == (200, None)


def test_a_share_of_the_answers_is_a_server_error_that_is_no_json():
    found = answers(*["/user/1"] * 200, faults=SiteFaults(error_share=0.3))
    count = Counter(status for status, _, _ in found)
    assert set(count) == {200, 500, 502, 503}
    assert 30 < 200 - count[200] < 90
    for status, headers, text in found:
        assert (status == 200) is (headers["Content-Type"] == "application/json; charset=utf-8")
        assert text
    again = answers(*["/user/1"] * 200, faults=SiteFaults(error_share=0.3))
    assert [status for status, _, _ in again] == [status for status, _, _ in found]


def test_a_slow_answer_is_still_awaited_when_a_fast_one_is_there():
    """The slow one takes longer than any client of this test waits."""

    async def run():
        faults = SiteFaults(slow_share=1.0, slow_s=3600.0)
        timeout = aiohttp.ClientTimeout(total=0.3)
        async with serving(faults=faults) as base, aiohttp.ClientSession(timeout=timeout) as http:
            async with http.get(f"{base}/healthz") as response:
                assert response.status == 200
            with pytest.raises(TimeoutError):
                await http.get(f"{base}/user/1")

    asyncio.run(run())


def test_incomplete_documents_are_the_same_alone_in_bulk_and_in_the_export():
    faults = SiteFaults(incomplete_share=1.0)
    alone, bulk, export = answers(
        f"/movie/{IDS[7]}", f"/movie/{IDS[6]},{IDS[7]}", "/movies.jsonl", faults=faults
    )
    movie = json.loads(alone[2])
    assert movie == json.loads(bulk[2])[1] == json.loads(export[2].splitlines()[7])
    assert movie != json.loads(answers(f"/movie/{IDS[7]}")[0][2])


def test_a_film_is_answered_from_the_day_on_that_it_comes():
    clock = Clock()
    site = Site(WORLD, seed=3, movies_per_day=86_400 / 10, now_s=clock)
    before, _ = answers("/movies.jsonl", "/user/1", site=site)
    clock.now_s += 30.0
    (after,) = answers("/movies.jsonl", site=site)
    old, new = (
        [json.loads(line)["id"] for line in text.splitlines()] for _, _, text in (before, after)
    )
    assert old == IDS
    assert new[:500] == IDS
    assert len(new) == 503
    unborn = Site(WORLD, seed=3, movies_per_day=86_400 / 10, now_s=clock)
    assert answers(f"/movie/{new[-1]}", site=unborn)[0][0] == 404
    status, _, text = answers(f"/movie/{new[-1]}", site=site)[0]
    assert (status, json.loads(text)["id"]) == (200, new[-1])
