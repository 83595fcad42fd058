"""The oldest events of a log group go, whichever stream they are in."""

import time
from collections.abc import Iterator

import pytest
from moto.logs.models import LogsBackend, logs_backends

from localstack_keeper.log_retention import keep_newest


@pytest.fixture
def logs() -> Iterator[LogsBackend]:
    """Return the backend of a region, with two streams in one group, and one in another."""
    backend = logs_backends["000000000000"]["us-east-1"]
    for group, streams in (("busy", "ab"), ("other", "c")):
        backend.create_log_group(group, {})
        for stream in streams:
            backend.create_log_stream(group, stream)
    yield backend
    logs_backends.reset()


def put(logs: LogsBackend, group: str, stream: str, *messages: int) -> None:
    now_ms = int(time.time() * 1000)
    events = [{"timestamp": now_ms, "message": f"{message}"} for message in messages]
    logs.put_log_events(group, stream, events)


def messages(logs: LogsBackend, group: str) -> dict[str, list[int]]:
    streams = logs.groups[group].streams.items()
    return {name: [int(event.message) for event in stream.events] for name, stream in streams}


def test_the_newest_of_all_streams_of_a_group_stay(logs: LogsBackend) -> None:
    for n in range(0, 60, 3):
        put(logs, "busy", "a", n, n + 1)
        put(logs, "other", "c", n)
        put(logs, "busy", "b", n + 2)
    keep_newest(20)
    assert messages(logs, "busy") == {
        "a": [n for n in range(40, 60) if n % 3 != 2],
        "b": [n for n in range(40, 60) if n % 3 == 2],
    }
    assert messages(logs, "other") == {"c": list(range(0, 60, 3))}


def test_they_go_many_at_a_time(logs: LogsBackend) -> None:
    put(logs, "busy", "a", *range(22))
    keep_newest(20)
    assert len(messages(logs, "busy")["a"]) == 22
    put(logs, "busy", "a", 22)
    keep_newest(20)
    assert messages(logs, "busy")["a"] == list(range(3, 23))


def test_what_came_at_the_same_time_is_not_dropped_for_its_order(logs: LogsBackend) -> None:
    put(logs, "busy", "a", *range(20))
    events = logs.groups["busy"].streams["a"].events
    events[:] = [*events[10:], *events[:10]]
    keep_newest(15)
    assert set(range(5, 20)) <= set(messages(logs, "busy")["a"])


def test_whoever_reads_meanwhile_misses_nothing(logs: LogsBackend) -> None:
    put(logs, "busy", "a", *range(30))
    reading = iter(logs.groups["busy"].streams["a"].events)
    read = [next(reading)]
    keep_newest(20)
    read += reading
    assert [int(event.message) for event in read] == list(range(30))


def test_a_stream_that_lost_all_takes_more(logs: LogsBackend) -> None:
    put(logs, "busy", "a", *range(30))
    put(logs, "busy", "b", *range(30, 60))
    keep_newest(20)
    put(logs, "busy", "a", 60)
    assert messages(logs, "busy") == {"a": [60], "b": list(range(40, 60))}
