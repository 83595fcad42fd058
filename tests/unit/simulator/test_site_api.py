import asyncio
import json

import pytest
from aiohttp.test_utils import make_mocked_request

from simulator import site_api


@pytest.fixture
def get(small_world):
    """Return a function that routes a path without any network."""
    app = site_api.application(small_world)

    async def route(path):
        request = make_mocked_request("GET", path, app=app)
        found = await app.router.resolve(request)
        request._match_info = found
        found.add_app(app)
        found.freeze()
        return await found.handler(request)

    def answer(path):
        response = asyncio.run(route(path))
        return response.status, json.loads(response.text)

    return answer


def test_a_known_user_and_movie_are_answered(get, small_world):
    name = small_world.films.ids[5]
    assert get("/user/7")[0] == 200
    assert get("/user/7")[1]["user_id"] == 7
    assert get(f"/movie/{name}")[1]["id"] == name


@pytest.mark.parametrize("user_id", ["0", "301", "-1", "abc", "9" * 400, "²", "7.0"])
def test_an_unknown_user_is_not_found(get, user_id):
    assert get(f"/user/{user_id}") == (404, {"message": "user not found"})


def test_an_unknown_movie_is_not_found(get):
    assert get("/movie/nothing+1999") == (404, {"message": "movie not found"})


def test_several_ids_give_a_list_in_which_unknown_ones_keep_their_place(get):
    status, found = get("/user/1,999,3")
    assert status == 200
    assert [one.get("user_id") for one in found] == [1, None, 3]
    assert found[1] == {"message": "user not found"}


def test_200_ids_are_taken_and_201_are_not(get):
    assert len(get("/user/" + ",".join(["1"] * 200))[1]) == 200
    status, found = get("/user/" + ",".join(["1"] * 201))
    assert status == 400
    assert "200" in found["message"]
