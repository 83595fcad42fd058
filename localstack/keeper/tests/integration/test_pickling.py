"""What LocalStack's state is made of comes back usable."""

import queue
import threading
import time
from collections import defaultdict
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from moto.logs.models import LogEvent, LogsBackend

from localstack_keeper import pickling
from localstack_keeper.log_stream_pickling import ROWS


def back(state: Any) -> Any:  # noqa: ANN401 - anything
    return pickling.loads(pickling.dumps(state))


@pytest.mark.parametrize("make", [threading.Lock, threading.RLock])
def test_a_lock_comes_back_free_even_if_it_was_held(make: Any) -> None:  # noqa: ANN401
    free, held = make(), make()
    with held:
        restored = back([free, held])
    for lock in restored:
        assert lock.acquire(blocking=False)


def test_a_queue_comes_back_with_what_is_in_it_and_works() -> None:
    before: queue.PriorityQueue[int] = queue.PriorityQueue()
    before.put(2)
    before.put(1)
    after = back(before)
    after.put(0)
    assert [after.get(timeout=1) for _ in range(3)] == [0, 1, 2]
    with after.mutex:
        after.not_empty.notify()  # only under the lock that they share


def test_what_is_shared_stays_shared() -> None:
    shared: dict[str, int] = {}
    first, second = back([shared, shared])
    assert first is second


class Odd(defaultdict[str, list[int]]):
    """As moto has them: its constructor wants something else."""

    def __init__(self, account: str) -> None:
        super().__init__(list)
        self.account = account


def test_a_defaultdict_with_a_constructor_of_its_own_comes_back() -> None:
    odd = Odd("a")
    odd["k"].append(1)
    after = back(odd)
    assert (type(after), after.account, dict(after), after["new"]) == (Odd, "a", {"k": [1]}, [])


def test_functions_without_a_name_come_back_and_threads_do_not() -> None:
    step = 3
    after = back({"f": lambda x: x + step, "thread": threading.Thread(target=print)})
    assert (after["f"](1), after["thread"]) == (4, None)


@pytest.mark.parametrize(
    "key", [ec.generate_private_key(ec.SECP256R1()), ed25519.Ed25519PrivateKey.generate()]
)
def test_a_key_comes_back_as_the_same_key(key: Any) -> None:  # noqa: ANN401 - of any kind
    private, public = back([key, key.public_key()])
    assert private.public_key() == public == key.public_key()


def test_a_log_stream_comes_back_in_its_group_and_new_events_get_new_ids() -> None:
    logs = LogsBackend("us-east-1", "000000000000")
    logs.create_log_group("group", {})
    logs.create_log_stream("group", "stream")
    now_ms = int(time.time() * 1000)
    events = [{"timestamp": now_ms, "message": f"{n}"} for n in range(2 * ROWS + 1)]
    logs.put_log_events("group", "stream", events)
    group = logs.groups["group"]
    ids = [event.event_id for event in group.streams["stream"].events]
    saved = pickling.dumps(group)
    LogEvent._event_id = 0  # noqa: SLF001 - as in a new process
    after = pickling.loads(saved)
    stream = after.streams["stream"]
    assert stream.log_group is after
    assert [event.to_response_dict()["message"] for event in stream.events] == [
        event["message"] for event in events
    ]
    assert [event.event_id for event in stream.events] == ids
    assert stream.upload_sequence_token == group.streams["stream"].upload_sequence_token
    assert LogEvent(now_ms, events[0]).event_id == ids[-1] + 1


def test_a_log_stream_of_nothing_comes_back() -> None:
    logs = LogsBackend("us-east-1", "000000000000")
    logs.create_log_group("group", {})
    logs.create_log_stream("group", "stream")
    assert back(logs.groups["group"]).streams["stream"].events == []
