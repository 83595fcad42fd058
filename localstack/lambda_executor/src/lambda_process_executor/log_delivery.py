"""Batch logs of invocations into PutLogEvents requests, off the invocations' path.

LocalStack makes one PutLogEvents call an invocation, 5 ms of the interpreter's time each, which
the next invocation then waits for.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from queue import Empty, Queue
from typing import Any, Final

from lambda_process_executor.log_buffer import Log

# Short against the seconds that AWS takes. Each environment has a stream of its own and each stream
# takes a request: four times a second, that was a ninth of the interpreter's time under load.
GATHER_S: Final = 1.0

# PutLogEvents' own limits: events, bytes of UTF-8, and what each event counts on top of its text.
MAX_EVENTS: Final = 10_000
MAX_BYTES: Final = 1_048_576
EVENT_OVERHEAD_BYTES: Final = 26


Event = dict[str, Any]


def gather[T](queue: "Queue[T]", pill: T, wait: Callable[[float], object]) -> tuple[list[T], bool]:
    """Return what arrives in the queue within `GATHER_S` of the first item, and whether it ended.

    Blocks until there is a first item. `pill` ends the queue; `wait` sleeps, or returns early.
    """
    first = queue.get()
    if first is not pill:
        wait(GATHER_S)
    items = [first]
    while True:
        try:
            items.append(queue.get_nowait())
        except Empty:
            break
    return [item for item in items if item is not pill], pill in items


def requests(logs: Iterable[tuple[str, str, Log]]) -> Iterator[tuple[str, str, list[Event]]]:
    """Yield log group, log stream and events of each PutLogEvents request that is due.

    `logs` are invocations' whole logs, each with the group and the stream that it goes to.
    """
    by_stream: dict[tuple[str, str], list[Event]] = {}
    for group, stream, log in logs:
        by_stream.setdefault((group, stream), []).extend(_events(log))
    for (group, stream), events in by_stream.items():
        for part in _split(events):
            yield group, stream, part


def _events(log: Log) -> Iterator[Event]:
    most_bytes = MAX_BYTES - EVENT_OVERHEAD_BYTES
    for epoch_ms, message in log.events():
        encoded = message.encode()
        for begin in range(0, len(encoded), most_bytes):
            piece = encoded[begin : begin + most_bytes].decode("utf-8", "replace")
            yield {"timestamp": epoch_ms, "message": piece}


def _split(events: Sequence[Event]) -> Iterator[list[Event]]:
    part: list[Event] = []
    size_bytes = 0
    for event in events:
        event_bytes = len(event["message"].encode()) + EVENT_OVERHEAD_BYTES
        if part and (len(part) == MAX_EVENTS or size_bytes + event_bytes > MAX_BYTES):
            yield part
            part, size_bytes = [], 0
        part.append(event)
        size_bytes += event_bytes
    if part:
        yield part
