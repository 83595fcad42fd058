from queue import Queue

from lambda_process_executor.log_buffer import Log, Segment
from lambda_process_executor.log_delivery import MAX_BYTES, MAX_EVENTS, gather, requests


def entry(text: str, stream: str = "s") -> tuple[str, str, Log]:
    return "g", stream, Log.of([Segment(7, text)])


def test_logs_of_one_stream_are_one_request_in_order() -> None:
    found = list(requests([entry("a\nb\n"), entry("x\n", "other"), entry("c\n\n")]))
    assert [(stream, [e["message"] for e in events]) for _, stream, events in found] == [
        ("s", ["a\n", "b\n", "c\n"]),
        ("other", ["x\n"]),
    ]


def test_a_request_holds_no_more_events_than_cloudwatch_takes() -> None:
    found = list(requests([entry("x\n" * (MAX_EVENTS + 1))]))
    assert [len(events) for _, _, events in found] == [MAX_EVENTS, 1]


def test_a_request_holds_no_more_bytes_than_cloudwatch_takes() -> None:
    found = list(requests([entry(("é" * 200_000 + "\n") * 3)]))
    sizes = [sum(len(e["message"].encode()) + 26 for e in events) for _, _, events in found]
    assert len(sizes) == 2
    assert max(sizes) <= MAX_BYTES


def test_an_event_that_cloudwatch_would_not_take_goes_in_parts() -> None:
    found = list(requests([entry("x" * (MAX_BYTES + 7) + "\n")]))
    events = [event for _, _, events in found for event in events]
    assert [len(event["message"]) for event in events] == [MAX_BYTES - 26, 34]


def test_what_arrives_while_waiting_is_gathered_and_the_pill_ends_it() -> None:
    queue: Queue[str] = Queue()
    queue.put("1")

    def wait(_seconds: float) -> None:
        queue.put("2")
        queue.put("pill")

    assert gather(queue, "pill", wait) == (["1", "2"], True)


def test_nothing_is_waited_for_at_the_end() -> None:
    queue: Queue[str] = Queue()
    queue.put("pill")

    def wait(_seconds: float) -> None:
        raise AssertionError

    assert gather(queue, "pill", wait) == ([], True)
