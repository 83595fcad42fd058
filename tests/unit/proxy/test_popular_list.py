"""The popular list with an API of its own making."""

import asyncio

import pytest

from proxy.answers import Answer, UpstreamError
from proxy.popular_list import POLL_S, POLL_WITHOUT_A_LIST_S, PopularList, poll, poll_forever

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


@pytest.mark.parametrize("failure", [UpstreamError("connect", "refused"), None])
def test_a_failed_poll_leaves_the_list_alone(failure):
    kept: list[Answer] = []
    popular = PopularList(LIST, kept.append)
    asyncio.run(poll(OneAnswer(failure), popular, timeout_s=0.001))
    assert popular.current == LIST
    assert not kept


def test_a_newer_list_replaces_the_older_one():
    kept: list[Answer] = []
    popular = PopularList(LIST, kept.append)
    newer = Answer(("x",), "r", "popular", "m2", "8")
    for answer in (LIST, newer, newer):
        asyncio.run(poll(OneAnswer(answer), popular))
    assert popular.current == newer
    assert kept == [newer]


def test_a_poll_that_crashes_is_counted_and_polling_goes_on(caplog):
    """The first two crash, then the API is late, then it answers."""
    api = OneAnswer(RuntimeError("a fault of ours"))
    outcomes: list[str] = []
    pauses: list[float] = []
    answers = iter([UpstreamError("connect", "refused"), LIST])
    popular = PopularList(None, keep=lambda _: None)

    async def sleep(pause_s):
        pauses.append(pause_s)
        api.answer = next(answers, None)
        if api.answer is None:
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(poll_forever(api, popular, polled=outcomes.append, sleep=sleep))

    assert outcomes == ["crashed", "crashed", "missed", "taken"]
    assert pauses == [POLL_WITHOUT_A_LIST_S, POLL_WITHOUT_A_LIST_S, POLL_S]
    assert popular.current == LIST
    crash, _ = (record for record in caplog.records if record.message == "polling_crashed")
    assert "a fault of ours" in crash.exc_text
