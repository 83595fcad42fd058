"""Records in a file."""

import pytest

from localstack_keeper.journal import frame, join, read, split

PAYLOADS = [b"first", b"x" * 100, b"\0", b"last"]
WHOLE = b"".join(map(frame, PAYLOADS))


def test_what_was_framed_is_read() -> None:
    reading = read(WHOLE)
    assert reading.payloads == PAYLOADS
    assert reading.intact_bytes == len(WHOLE)
    assert not reading.is_damaged


@pytest.mark.parametrize("length", range(len(WHOLE)))
def test_cut_anywhere_whole_records_are_read_and_the_rest_is_torn(length: int) -> None:
    reading = read(WHOLE[:length])
    assert reading.payloads == PAYLOADS[: len(reading.payloads)]
    assert b"".join(map(frame, reading.payloads)) == WHOLE[: reading.intact_bytes]
    assert not reading.is_damaged


@pytest.mark.parametrize("tail", [bytes(64), b"\xff" * 64, frame(b"lost")[:-1]])
def test_a_tail_of_zeros_or_rubbish_is_torn(tail: bytes) -> None:
    reading = read(WHOLE + tail)
    assert (reading.payloads, reading.intact_bytes) == (PAYLOADS, len(WHOLE))
    assert not reading.is_damaged


@pytest.mark.parametrize("at", range(12))
def test_a_flipped_bit_in_a_head_does_not_hide_what_follows(at: int) -> None:
    start = len(frame(PAYLOADS[0])) + at
    reading = read(WHOLE[:start] + bytes([WHOLE[start] ^ 1]) + WHOLE[start + 1 :])
    assert reading.payloads == PAYLOADS[:1]
    assert reading.is_damaged


def test_what_was_joined_is_split_and_nothing_else_is() -> None:
    joined = join([*PAYLOADS, b""])
    assert split(joined) == [*PAYLOADS, b""]
    assert split(b"") == []
    for length in range(1, len(joined)):
        if joined[:length] not in [join(PAYLOADS[:n]) for n in range(5)]:
            with pytest.raises(ValueError, match="a joined payload"):
                split(joined[:length])


def test_a_flipped_bit_with_whole_records_after_it_is_damage() -> None:
    at = len(frame(PAYLOADS[0])) + 50
    reading = read(WHOLE[:at] + bytes([WHOLE[at] ^ 1]) + WHOLE[at + 1 :])
    assert reading.payloads == PAYLOADS[:1]
    assert reading.is_damaged
