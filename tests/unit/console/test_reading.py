"""Readings: each once at a time, kept for a while, and not for long when they fail."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from console.reading import FAULT, Readings
from movierec.errors import UnavailableError
from tests.unit.console.browser import Inline


class Source:
    """Counts how often it is read; fails on request."""

    def __init__(self) -> None:
        self.asked, self.failure = 0, None

    def __call__(self) -> int:
        self.asked += 1
        if self.failure is not None:
            raise self.failure
        return self.asked


class Lab:
    def __init__(self) -> None:
        self.now_s, self.source = 0.0, Source()
        self.readings = Readings(Inline(), clock_s=lambda: self.now_s)

    async def read(self):
        found = await self.readings.read("key", self.source, fresh_s=10)
        assert found is not None
        return found


@pytest.fixture
def lab():
    return Lab()


def test_a_reading_is_kept_while_it_is_fresh(lab):
    async def work():
        first = (await lab.read()).value
        lab.now_s = 9.9
        second = (await lab.read()).value
        lab.now_s = 10.0
        return first, second, (await lab.read()).value

    assert asyncio.run(work()) == (1, 1, 2)


def test_after_a_change_everything_is_read_anew(lab):
    async def work():
        await lab.read()
        lab.readings.forget()
        return (await lab.read()).value

    assert asyncio.run(work()) == 2


def test_a_failure_says_what_to_do_and_is_tried_again_soon(lab):
    lab.source.failure = UnavailableError("the lake does not answer; see `movierec status`")

    async def work():
        first = await lab.read()
        lab.now_s = 1.9
        await lab.read()
        assert lab.source.asked == 1
        lab.now_s, lab.source.failure = 2.0, None
        return first, await lab.read()

    failed, found = asyncio.run(work())
    assert failed.failure == "the lake does not answer; see `movierec status`"
    assert (found.failure, found.value) == ("", 2)


def test_a_fault_is_not_shown_but_logged(lab, caplog):
    lab.source.failure = KeyError("secret")

    found = asyncio.run(lab.read())

    assert found.failure == FAULT
    assert "secret" in caplog.text


def test_those_who_ask_at_once_share_one_reading(lab):
    async def work():
        return await asyncio.gather(*(lab.read() for _ in range(20)))

    assert {found.value for found in asyncio.run(work())} == {1}


def test_what_is_not_ready_in_time_is_there_for_the_next():
    go_on = threading.Event()

    def slow():
        go_on.wait(20)
        return "here"

    async def work():
        with ThreadPoolExecutor(1) as executor:
            readings = Readings(executor)
            late = await readings.read("key", slow, fresh_s=10, within_s=0)
            go_on.set()
            return late, await readings.read("key", slow, fresh_s=10)

    late, found = asyncio.run(work())
    assert late is None
    assert found is not None
    assert found.value == "here"


def test_no_more_than_so_many_are_kept(lab):
    async def work():
        for i in range(2_000):
            await lab.readings.read(i, lab.source, fresh_s=10)

    asyncio.run(work())
    assert len(lab.readings._kept) <= 512
