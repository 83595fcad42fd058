"""The popular list in its file: what a restart of the proxy begins with."""

import asyncio

import pytest

from proxy.answers import Answer
from proxy.popular_list import PopularList, poll

OLDER = Answer(("x",), "r", "popular", "m0", "6")
LIST = Answer(("p", "q"), "r", "popular", "m1", "7")


class OneList:
    """An API that gives a popular list, and nothing else."""

    def __init__(self, answer):
        self.answer = answer

    async def popular(self):
        return self.answer

    async def recommend(self, user_id):
        raise NotImplementedError


@pytest.fixture
def path(tmp_path):
    return tmp_path / "popular.json"


def polled(path, answer=LIST):
    popular = PopularList.in_file(path)
    asyncio.run(poll(OneList(answer), popular))
    return popular


def test_there_is_no_list_before_the_first_one(path):
    assert PopularList.in_file(path).current is None


def test_a_restart_begins_with_the_last_list(path):
    polled(path, OLDER)
    polled(path)
    kept = PopularList.in_file(path).current
    assert kept is not None
    assert (kept.movie_ids, kept.model_version) == (LIST.movie_ids, LIST.model_version)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"movie_ids": []}', '{"movie_ids": [], "model_version": "m"}', "\x00"]
)
def test_a_spoilt_file_is_no_list_and_no_reason_not_to_start(path, text):
    path.write_text(text)
    assert PopularList.in_file(path).current is None


def test_a_list_that_cannot_be_kept_serves_all_the_same(tmp_path):
    popular = polled(tmp_path / "no-such-folder" / "popular.json")
    assert popular.current == LIST
