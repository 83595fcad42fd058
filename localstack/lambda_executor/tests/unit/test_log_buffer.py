import json

from lambda_process_executor.log_buffer import Log, LogBuffer

MULTI = "Traceback:\n  line é\n"


def frame(text: str, epoch_ms: int, kind: int = 0x17) -> bytes:
    """Return a record as awslambdaric's FramedTelemetryLogSink writes it."""
    message = text.encode()
    head = (0xA55A0000 + kind).to_bytes(4, "big") + len(message).to_bytes(4, "big")
    return head + (epoch_ms * 1000).to_bytes(8, "big") + message


def log_buffer(epoch_s: float = 5.0, **settings: int) -> LogBuffer:
    return LogBuffer(lambda: epoch_s, **settings)


def stamped(log: Log) -> list[tuple[int, str]]:
    return list(log.events())


def test_a_record_is_one_event_with_its_own_time_and_prints_are_lines() -> None:
    clock = [5.0]
    written = LogBuffer(lambda: clock[0])
    written.write("START\n")
    clock[0] = 6.0
    written.feed(b"one\ntwo\n")
    clock[0] = 9.0
    written.feed(frame(MULTI, 7000) + b"three\n")
    log, output = written.take()
    assert stamped(log) == [
        (5000, "START\n"), (6000, "one\n"), (6000, "two\n"), (7000, MULTI), (9000, "three\n")
    ]  # fmt: skip
    assert log == f"START\none\ntwo\n{MULTI}three\n"
    assert output == f"one\ntwo\n{MULTI}three\n"


def test_times_never_go_back_nor_ahead_of_the_clock() -> None:
    """CloudWatch Logs would refuse every event of the request."""
    written = log_buffer(epoch_s=5.0)
    written.feed(frame("old", 0) + frame("to come", 99_000))
    written.write("REPORT\n")
    assert {epoch_ms for epoch_ms, _ in stamped(written.take()[0])} == {5000}
    written.feed(frame("late", 4000))
    assert stamped(written.take()[0]) == [(5000, "late\n")]


def test_however_the_output_arrives_it_says_the_same() -> None:
    data = "å\n".encode() + frame(MULTI, 1) + "Zå".encode() + frame('{"a": 1}', 2, 0x0E) + b"end"
    whole = log_buffer()
    whole.feed(data)
    bytewise = log_buffer()
    for byte in data:
        bytewise.feed(bytes([byte]))
    expected = f'å\n{MULTI}Zå\n{{"a": 1}}\nend\n'
    log, _ = whole.take()
    assert log == expected
    again, _ = bytewise.take()
    assert again == expected
    assert [json.loads(said) for _, said in again.events() if "{" in said] == [{"a": 1}]


def test_a_record_without_its_end_is_text_and_so_is_half_a_character() -> None:
    written = log_buffer()
    written.feed(frame("never whole", 1)[:-3] + "é".encode()[:1])
    log, _ = written.take()
    assert "never wh" in log
    written.feed(b"anew\n")
    assert written.take()[0] == "anew\n"


def test_a_length_beyond_all_measure_swallows_nothing() -> None:
    written = log_buffer(limit_bytes=100)
    written.feed(b"\xa5\x5a\x00\x03\xff\xff\xff\xff" + b"\0" * 8 + b"here\n")
    assert "here\n" in written.take()[0]


def test_output_without_end_is_cut_and_the_log_says_so() -> None:
    written = log_buffer(limit_bytes=10)
    for _ in range(4):
        written.feed(b"12345\n")
    written.feed(frame("a record", 1))
    written.end_output()
    written.write("END\n")
    log, output = written.take()
    assert output == "12345\n"
    assert log == "12345\n26 bytes of output left out\nEND\n"
    written.feed(b"more\n")
    assert written.take()[0] == "more\n"


def test_a_line_without_its_end_gets_one_before_the_platforms() -> None:
    written = log_buffer()
    written.feed(b"no newline")
    assert written.recent() == "no newline"
    written.write("END\n")
    assert written.take() == ("no newline\nEND\n", "no newline")
