"""Of a log group that grows for ever the newest events stay, and survive."""

import time
from pathlib import Path

from tests.harness import Client, Emulator, wait_until

KEPT = 20


def put(logs: Client, *numbers: int) -> None:
    now_ms = int(time.time() * 1000)
    events = [{"timestamp": now_ms + n, "message": f"{n}"} for n in numbers]
    logs.put_log_events(logGroupName="group", logStreamName="stream", logEvents=events)


def messages(logs: Client) -> list[int]:
    found = logs.filter_log_events(logGroupName="group")["events"]
    return [int(event["message"]) for event in found]


def test_the_newest_events_stay(tmp_path: Path) -> None:
    emulator = Emulator(tmp_path, KEEPER_LOG_EVENTS=str(KEPT))
    try:
        emulator.start()
        logs = emulator.client("logs")
        logs.create_log_group(logGroupName="group")
        logs.create_log_stream(logGroupName="group", logStreamName="stream")
        put(logs, *range(100))
        wait_until(lambda: messages(logs) == list(range(80, 100)), "the oldest are gone")
        emulator.restart()
        logs = emulator.client("logs")
        assert messages(logs) == list(range(80, 100))
        put(logs, 100)
        assert messages(logs) == list(range(80, 101))
    finally:
        emulator.finish()
