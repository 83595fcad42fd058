"""The popular list with an API of its own making; the file is a small one of pytest's."""

import asyncio

import pytest

from proxy.answers import Answer, UpstreamError
from proxy.popular import POLL_S, POLL_WITHOUT_A_LIST_S, PopularList, keep_polling, poll

LIST = Answer(("p", "q"), "r", "popular", "m1", "7")


class OneAnswer:
    def __init__(self, answer):
        self.answer = answer

    async def popular(self):
        if isinstance(self.answer, Exception):
            raise self.answer
        if self.answer is None:
            await asyncio.Event().wait()
        return self.answer

    async def recommend(self, user_id):
        raise NotImplementedError


@pytest.fixture
def path(tmp_path):
    return tmp_path / "popular.json"


def polled(path, answer, popular=None, **options):
    popular = popular or PopularList(path)
    asyncio.run(poll(OneAnswer(answer), popular, **options))
    return popular


def test_there_is_no_list_before_the_first_one(path):
    assert PopularList(path).current is None


def test_a_restart_begins_with_the_last_list(path):
    polled(path, LIST)
    kept = PopularList(path).current
    assert kept is not None
    assert (kept.movie_ids, kept.model_version) == (LIST.movie_ids, LIST.model_version)


@pytest.mark.parametrize("failure", [UpstreamError("connect", "refused"), None])
def test_a_failed_poll_leaves_the_list_alone(path, failure):
    popular = polled(path, LIST)
    polled(path, failure, popular, timeout_s=0.001)
    assert popular.current == LIST


def test_a_newer_list_replaces_the_older_one(path):
    popular = polled(path, LIST)
    newer = Answer(("x",), "r", "popular", "m2", "8")
    polled(path, newer, popular)
    kept = PopularList(path).current
    assert popular.current == newer
    assert kept is not None
    assert kept.movie_ids == ("x",)


def test_a_poll_that_crashes_is_counted_and_polling_goes_on(path, caplog):
    """The first two crash, then the API is late, then it answers."""
    api = OneAnswer(RuntimeError("a fault of ours"))
    outcomes: list[str] = []
    pauses: list[float] = []
    answers = iter([UpstreamError("connect", "refused"), LIST])
    popular = PopularList(path)

    async def sleep(pause_s):
        pauses.append(pause_s)
        api.answer = next(answers, None)
        if api.answer is None:
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(keep_polling(api, popular, polled=outcomes.append, sleep=sleep))

    assert outcomes == ["crashed", "crashed", "missed", "taken"]
    assert pauses == [POLL_WITHOUT_A_LIST_S, POLL_WITHOUT_A_LIST_S, POLL_S]
    assert popular.current == LIST
    crash, _ = (record for record in caplog.records if record.message == "polling_crashed")
    assert "a fault of ours" in crash.exc_text


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"movie_ids": []}', '{"movie_ids": [], "model_version": "m"}', "\x00"]
)
def test_a_spoilt_file_is_no_list_and_no_reason_not_to_start(path, text):
    path.write_text(text)
    assert PopularList(path).current is None


def test_a_list_that_cannot_be_kept_serves_all_the_same(tmp_path):
    popular = polled(tmp_path / "no-such-folder" / "popular.json", LIST)
    assert popular.current == LIST
